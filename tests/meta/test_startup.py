"""What a start of dbx imports (architecture.md, rule 5): every module costs time before the work begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {
    "yaml",
    "cryptography",
    "watchdog",
    "sqlite3",
    "_sqlite3",
    "json",
    "asyncio",
    "tempfile",
    "shutil",
    "subprocess",
    "logging",
    "concurrent.futures",
    "hashlib",
    "ast",
    "dataclasses",
    "difflib",
    "tokenize",
    "zlib",
}


SCRIPT = """\
import sys
from dbx.__main__ import main
status = main()
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def _python(script: str, *arguments: str, cwd: Path | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"LANG": "C.UTF-8"},
        cwd=cwd,
    )
    return set(done.stderr.split())


def _loaded(*arguments: str, cwd: Path | None = None) -> set[str]:
    return _python(SCRIPT, *arguments, cwd=cwd)


def test_the_version_needs_nothing_but_the_version() -> None:
    bare = _python("import sys; print(*sys.modules, file=sys.stderr)")
    for question in ("--version", "-V", "version"):
        assert _loaded(question) - bare == {"dbx", "dbx.__main__", "dbx.version"}


def test_a_command_loads_click_and_nothing_heavy() -> None:
    loaded = _loaded("version", "--quiet")
    assert {"click", "dbx.cli.main", "dbx.cli.commands.version"} <= loaded
    assert loaded & HEAVY == set()


def test_a_command_loads_no_other_command() -> None:
    commands = {name for name in _loaded("version", "--quiet") if name.startswith("dbx.cli.commands.")}
    assert commands == {"dbx.cli.commands.version"}


def test_the_list_of_commands_loads_none() -> None:
    assert not {name for name in _loaded("--help") if name.startswith("dbx.cli.commands.")}


ENGINE = "base64, bisect, fcntl, gc, hashlib, json, pwd, sqlite3, struct, zlib"
"""What staging one event may import beside click, and with it what those import."""


def test_staging_an_event_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    stage = ("aggregate", "apply", "order", "o-1", "e", "--stage", "--create", "--field", "a=b")
    _loaded("init", cwd=tmp_path)
    _loaded(*stage, cwd=tmp_path)
    known = _python(f"import sys, click, {ENGINE}; print(*sys.modules, file=sys.stderr)")
    loaded = _loaded(*stage, cwd=tmp_path)
    assert {name for name in loaded - known if name.partition(".")[0] != "dbx"} == set()
    ours = {name for name in loaded if name.startswith("dbx.")}
    commands = {name for name in ours if name.startswith("dbx.cli.commands.")}
    assert commands == {"dbx.cli.commands.aggregate", "dbx.cli.commands.aggregate.apply"}
    assert {name for name in ours if name.startswith("dbx.ops.")} == {"dbx.ops.session", "dbx.ops.stage"}
    assert not {
        "dbx.formats.yamltext", "dbx.formats.commit", "dbx.formats.manifest", "dbx.repo.config", "dbx.repo.domainfile",
        "dbx.repo.query", "dbx.repo.lines", "dbx.repo.writer", "dbx.cli.shapes", "dbx.cli.progress",
    } & ours  # fmt: skip
