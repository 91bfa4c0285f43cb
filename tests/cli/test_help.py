"""`dbx help`: manual pages on a terminal, in a pipe, with and without man(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Runner

InTerminal = Callable[..., tuple[int, str]]


def test_help_alone_lists_the_commands(run: Runner) -> None:
    assert run.ok("help").stdout == run.ok("--help").stdout


@pytest.mark.parametrize("words", [("format",), ("dbx-format",)])
def test_a_topic_is_shown_as_text_in_a_pipe(run: Runner, words: tuple[str, ...]) -> None:
    shown = run.ok("help", *words).stdout
    assert shown.startswith("DBX-FORMAT(5) ")
    assert "\nNAME\n       dbx-format - " in shown
    assert "\x1b" not in shown
    assert "\\f" not in shown


def test_dbx_itself_has_a_page(run: Runner) -> None:
    assert run.ok("help", "dbx").stdout.startswith("DBX(1) ")


def test_json(run: Runner) -> None:
    document = run.ok("help", "format", "--json").json
    assert document["topic"] == "format"
    assert document["path"].endswith("dbx-format.5")
    assert document["text"] == run.ok("help", "format").stdout


def test_an_unknown_topic_is_not_found(run: Runner) -> None:
    outcome = run("help", "fromat")
    assert outcome.status == 3
    assert outcome.stderr == "dbx: error: no manual page for 'fromat'\ndbx: hint: did you mean 'format'?\n"
    assert run("help", "../../etc/passwd").status == 3


def _bin_without(run: Runner, *names: str) -> str:
    """A PATH of one directory with the programs `names`."""
    folder = run.home / "bin"
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


def test_a_terminal_without_man_gets_styled_text_through_the_pager(run: Runner, in_terminal: InTerminal) -> None:
    path = _bin_without(run, "cat", "sed")
    status, shown = in_terminal(run, "help", "format", env={"PATH": path, "PAGER": "sed 's/^/| /'"})
    assert status == 0
    assert shown.startswith("| DBX-FORMAT(5)")
    assert "| \x1b[1mNAME\x1b[0m\n" in shown


def test_no_color_is_obeyed(run: Runner, in_terminal: InTerminal) -> None:
    path = _bin_without(run, "cat")
    for option, env in ((("--no-color",), {}), ((), {"NO_COLOR": "1"})):
        _, shown = in_terminal(run, "help", "format", *option, env={"PATH": path, "PAGER": "cat", **env})
        assert "\nNAME\n" in shown
        assert "\x1b" not in shown


@pytest.mark.parametrize("pager", ["", "no-such-pager", "'unbalanced"])
def test_a_pager_that_does_not_work_is_done_without(run: Runner, in_terminal: InTerminal, pager: str) -> None:
    status, shown = in_terminal(run, "help", "format", env={"PATH": _bin_without(run, "cat"), "PAGER": pager})
    assert status == 0
    assert shown.startswith("DBX-FORMAT(5)")


def test_leaving_the_pager_early_is_no_error(run: Runner, in_terminal: InTerminal) -> None:
    path = _bin_without(run, "true")
    assert in_terminal(run, "help", "format", env={"PATH": path, "PAGER": "true"}) == (0, "")


@pytest.mark.skipif(shutil.which("man") is None, reason="man(1) is not installed")
def test_a_terminal_with_man_gets_man(run: Runner, in_terminal: InTerminal) -> None:
    status, shown = in_terminal(run, "help", "format", env={"MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""})
    assert status == 0
    assert "dbx manual" in shown  # in the page's header, which only man(1) makes from .TH


def test_pages_are_found_in_the_prefix_too(run: Runner, tmp_path: Path) -> None:
    import gzip

    folder = tmp_path / "prefix" / "share" / "man" / "man7"
    folder.mkdir(parents=True)
    (folder / "dbx-elsewhere.7.gz").write_bytes(gzip.compress(b".TH DBX-ELSEWHERE 7\n.SH NAME\nfar away\n"))
    script = f"import sys; sys.prefix = {str(tmp_path / 'prefix')!r}; from dbx.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, "help", "elsewhere"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert "far away" in done.stdout
