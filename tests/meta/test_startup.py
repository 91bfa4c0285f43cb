"""What a start of dbx imports (architecture.md, rule 5): every module costs time before the work begins."""

from __future__ import annotations

import subprocess
import sys

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
    "dataclasses",
    "difflib",
    "zlib",
}


SCRIPT = """\
import sys
from dbx.__main__ import main
status = main()
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def _python(script: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, env={"LANG": "C.UTF-8"}
    )
    return set(done.stderr.split())


def _loaded(*arguments: str) -> set[str]:
    return _python(SCRIPT, *arguments)


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
