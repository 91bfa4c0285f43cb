"""The house rules hold, and each rule finds what it is there to find."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.meta import rules
from tests.meta.source import CHECKOUT, Source, python_files, source, text_files

Rule = Callable[[Source], list[str]]

# Rule -> where it holds.
PRODUCT = ("dbx",)
WRITTEN_FOR_USE = ("dbx", "fixtures")
EVERYWHERE = ("dbx", "tests", "fixtures")
RULES: dict[Rule, tuple[str, ...]] = {
    rules.only_fs_changes_the_disk: PRODUCT,
    rules.only_cli_meets_the_terminal: PRODUCT,
    rules.nothing_unsafe: PRODUCT,
    rules.no_stub: EVERYWHERE,
    rules.short_files: WRITTEN_FOR_USE,
    rules.short_functions: EVERYWHERE,
    rules.documented: PRODUCT,
    rules.plain_names: EVERYWHERE,
}

LONG_FUNCTION = '"""."""\ndef f(x):\n    """One."""\n' + "    x += 1\n" * (rules.MAX_STATEMENTS + 1)

# What each rule must find: rule, path, text.
BROKEN: list[tuple[Rule, str, str]] = [
    (rules.only_fs_changes_the_disk, "dbx/repo/x.py", "import os\nos.replace('a', 'b')\n"),
    (rules.only_fs_changes_the_disk, "dbx/repo/x.py", "import os\nsync = os.fsync\n"),
    (rules.only_fs_changes_the_disk, "dbx/repo/x.py", "from os import unlink\n"),
    (rules.only_fs_changes_the_disk, "dbx/ops/x.py", "import shutil\nshutil.rmtree('a')\n"),
    (rules.only_fs_changes_the_disk, "dbx/ops/x.py", "path.unlink()\n"),
    (rules.only_cli_meets_the_terminal, "dbx/ops/x.py", "import os\nos.environ['HOME']\n"),
    (rules.only_cli_meets_the_terminal, "dbx/ops/x.py", "from os import getenv\n"),
    (rules.only_cli_meets_the_terminal, "dbx/ops/x.py", "print('hi')\n"),
    (rules.only_cli_meets_the_terminal, "dbx/store/x.py", "import sys\nsys.stderr.write('hi')\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "eval('1')\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "exec('1')\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "import pickle\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "from pickle import loads\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "import yaml\nyaml.load('a')\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "import os\nos.system('ls')\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "import subprocess\nsubprocess.run('ls', shell=True)\n"),
    (rules.no_stub, "dbx/model/x.py", "def f():\n    raise NotImplementedError\n"),
    (rules.short_files, "dbx/model/x.py", "\n" * (rules.MAX_LINES + 1)),
    (rules.short_functions, "dbx/model/x.py", LONG_FUNCTION),
    (rules.documented, "dbx/model/x.py", "x = 1\n"),
    (rules.documented, "dbx/model/x.py", '"""."""\ndef f():\n    return 1\n'),
    (rules.documented, "dbx/model/x.py", '"""."""\nclass C:\n    """."""\n    def f(self):\n        return 1\n'),
    (rules.plain_names, "dbx/model/utils.py", ""),
    (rules.plain_names, "dbx/common/x.py", ""),
]

# What the rules must leave alone.
FINE: list[tuple[Rule, str, str]] = [
    (rules.only_fs_changes_the_disk, "dbx/store/fs.py", "import os\nos.replace('a', 'b')\n"),
    (rules.only_fs_changes_the_disk, "dbx/repo/x.py", "fs.unlink('a')\n'a'.replace('a', 'b')\nlist.remove(1)\n"),
    (rules.only_cli_meets_the_terminal, "dbx/cli/x.py", "import os\nprint(os.environ)\n"),
    (rules.nothing_unsafe, "dbx/model/x.py", "import yaml\nyaml.safe_load('a')\nrun(shell=False)\n"),
    (rules.short_functions, "dbx/model/x.py", LONG_FUNCTION.removesuffix("    x += 1\n")),
    (
        rules.documented,
        "dbx/cli/x.py",
        '"""."""\nclass C(click.Group):\n    """."""\n    def invoke(self):\n        return 1\n',
    ),
    (rules.documented, "dbx/cli/commands/x.py", '"""."""\ndef command():\n    return 1\n'),
    (rules.documented, "dbx/model/x.py", '"""."""\ndef _f():\n    def g():\n        return 1\n    return g\n'),
]


def _name(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize("rule", RULES, ids=_name)
def test_the_project_keeps_the_rule(rule: Rule) -> None:
    findings = [finding for src in python_files(*RULES[rule]) for finding in rule(src)]
    assert not findings, f"{rule.__doc__}\n" + "\n".join(findings)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN, ids=_name)
def test_the_rule_finds_a_breach(rule: Rule, path: str, text: str) -> None:
    assert rule(source(path, text))


@pytest.mark.parametrize(("rule", "path", "text"), FINE, ids=_name)
def test_the_rule_leaves_good_code_alone(rule: Rule, path: str, text: str) -> None:
    assert rule(source(path, text)) == []


def test_the_search_reads_the_project() -> None:
    assert {"dbx/errors.py", "dbx/store/__init__.py"} <= {src.path for src in python_files("dbx")}
    assert {"README.md", "pyproject.toml", "dbx/errors.py"} <= {path for path, _ in text_files()}


def test_an_exception_names_a_file_that_exists_and_a_reason() -> None:
    for place, reason in [*rules.LONG.items(), *rules.DISK.items()]:
        path, _, function = place.partition("::")
        assert (CHECKOUT / path).is_file(), f"'{path}' is excepted from a rule, but does not exist"
        assert f"def {function}" in (CHECKOUT / path).read_text(encoding="utf-8")
        assert len(reason.split()) >= 4, f"why is '{place}' excepted?"


def test_no_work_is_left_in_comments() -> None:
    marker = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if marker.search(line)
    ]
    assert not found, "do it now, or open an issue\n" + "\n".join(found)


def test_unit_tests_mirror_the_code() -> None:
    # tests/unit/store/test_journal.py or test_journal_damage.py tests dbx/store/journal.py.
    strays = []
    unit = CHECKOUT / "tests" / "unit"
    for test in sorted(unit.rglob("test_*.py")):
        folder = CHECKOUT / "dbx" / test.parent.relative_to(unit)
        words = test.stem.removeprefix("test_").split("_")
        candidates = ["_".join(words[:n]) for n in range(1, len(words) + 1)]
        if not any((folder / f"{name}.py").is_file() or (folder / name).is_dir() for name in candidates):
            strays.append(test.relative_to(CHECKOUT).as_posix())
    assert not strays, "no module of dbx has the name that these tests carry: " + ", ".join(strays)
