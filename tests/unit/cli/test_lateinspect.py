"""A module stands in for `inspect` until somebody needs it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from dbx.cli import lateinspect

PARSER = "tokenize"
"""What the real module imports first of all."""


def _run(script: str) -> str:
    script = f"import sys\nfrom dbx.cli import lateinspect\nlateinspect.postpone()\n{script}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_click_and_a_command_do_without() -> None:
    assert _run(f"import click, dbx.cli.frame\nprint({PARSER!r} in sys.modules)") == "False"


@pytest.mark.parametrize(
    "doc", ["", "One line.", "  indented ", "first\n    second\n      third\n", "\n\n  late\n", "a\tb"]
)
def test_help_texts_are_stripped_as_ever(doc: str) -> None:
    assert _run(f"import inspect\nprint(ascii(inspect.cleandoc({doc!r})))") == ascii(inspect.cleandoc(doc))


def test_every_other_question_loads_the_real_module() -> None:
    assert _run(
        "import inspect\n"
        "def f(a, *, b=1): pass\n"
        "print(inspect.signature(f), inspect.isfunction(f), sys.modules['inspect'] is not inspect)"
    ) == "(a, *, b=1) True True"  # fmt: skip
    assert (
        _run("from inspect import Parameter, isgeneratorfunction\nprint(Parameter.KEYWORD_ONLY.name)") == "KEYWORD_ONLY"
    )


def test_a_name_that_inspect_lacks_stays_unknown() -> None:
    assert _run(
        "import inspect\ntry:\n    inspect.nothing\nexcept AttributeError as error:\n    print(error)"
    ) == "module 'inspect' has no attribute 'nothing'"  # fmt: skip


def test_what_is_loaded_is_left_alone() -> None:
    lateinspect.postpone()
    assert sys.modules["inspect"] is inspect
