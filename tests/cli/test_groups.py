"""Groups, defaults, aliases and every way a command can end, with a small set of commands of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, Runner

HEADER = """\
import errno, signal, sys
import click
from dbx.cli import render
from dbx.cli.context import pass_invocation
from dbx.cli.frame import define
from dbx.errors import Conflict
"""

FILES = {
    "__init__.py": '"""Commands for tests."""\nALIASES = {"ci": ("box", "put-in")}\n',
    "end.py": '''
        """End in a chosen way."""
        @define()
        @click.argument("how")
        @pass_invocation
        def command(invocation, how):
            if how == "status": return 1
            if how == "conflict": raise Conflict("it moved", hint="run 'dbx pull'", details={"at": 3})
            if how == "full": raise OSError(errno.ENOSPC, "", "/r/journal")
            if how == "pipe": raise BrokenPipeError(errno.EPIPE, "Broken pipe")
            if how == "bug": raise KeyError("secret")
            if how == "deep":
                def deeper(n): return deeper(n + 1) + 1
                deeper(0)
            if how == "memory": raise MemoryError
            if how == "interrupt": signal.raise_signal(signal.SIGINT)
            if how == "abort": raise click.Abort
            if how == "stream":
                for n in range(100_000): render.write(f"line {n}\\n")
        ''',
    "box/__init__.py": '"""Work with boxes."""\nDEFAULT = "_open"\n',
    "box/_open.py": '''
        """Open a box."""
        @define()
        @click.argument("name", required=False)
        @click.option("--force", is_flag=True)
        @pass_invocation
        def command(invocation, name, force):
            render.emit(invocation, {"open": name, "force": force}, [f"open {name} {force}"])
        ''',
    "box/put_in.py": '''
        """Put something into a box."""
        @define()
        @click.argument("what")
        @click.option("-d", "depth", type=int, default=0)
        @click.option("--note")
        @pass_invocation
        def command(invocation, what, depth, note):
            document = {"what": what, "depth": depth, "note": note}
            document |= {"domain": invocation.domain, "start": invocation.start_dir}
            render.emit(invocation, document, [what])
        ''',
}

SCRIPT = "import sys; from dbx.cli.main import main; sys.exit(main(sys.argv[1:], 'box_commands'))"

Call = Callable[..., Outcome]


@pytest.fixture
def call(tmp_path: Path, run: Runner) -> Call:
    for name, source in FILES.items():
        file = tmp_path / "lib" / "box_commands" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(source).lstrip()
        docstring, _, rest = text.partition("\n")
        file.write_text(text if name.endswith("__init__.py") else f"{docstring}\n{HEADER}{rest}")

    def call(*arguments: str, env: dict[str, str] | None = None) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            capture_output=True,
            text=True,
            cwd=run.cwd,
            env=run.environment({"PYTHONPATH": str(tmp_path / "lib"), **(env or {})}),
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


def test_a_folder_is_a_group(call: Call) -> None:
    assert call("box", "put-in", "apple").stdout == "apple\n"
    assert call("box", "--help").stdout.startswith(
        "Usage: dbx box [OPTIONS] COMMAND [ARGS]…\n   or: dbx box [OPTIONS] [NAME]\n\n"
        "  Work with boxes.\n\nCommands:\n  put-in  Put"
    )
    assert "--force" in call("box", "--help").stdout
    assert call("box", "put-in", "--help").stdout.startswith("Usage: dbx box put-in ")


def test_underscores_and_capitals_name_no_command(call: Call) -> None:
    for name in ("put_in", "Put-in", "__init__"):
        # The default command of the group takes it for its own argument.
        assert call("box", name).stdout == f"open {name} False\n"
        assert call(name).status == 2


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        (("box", "--json"), {"open": None, "force": False}),
        (("box", "red", "--json"), {"open": "red", "force": False}),
        (("box", "--json", "red"), {"open": "red", "force": False}),
        (("--json", "box", "--force"), {"open": None, "force": True}),
        (("box", "--wait", "3", "--json", "--force", "red"), {"open": "red", "force": True}),
        (("box", "--wait=3", "--json", "--", "put-in"), {"open": "put-in", "force": False}),
    ],
)
def test_the_default_answers_when_no_command_is_named(
    call: Call, arguments: tuple[str, ...], document: dict[str, object]
) -> None:
    assert call(*arguments).json == document


def test_errors_of_the_default_speak_of_the_group(call: Call) -> None:
    outcome = call("box", "--forze")
    assert outcome.status == 2
    assert outcome.stderr == "dbx: error: unknown option '--forze' for 'dbx box'\ndbx: hint: did you mean '--force'?\n"
    assert call("box", "a", "b").stderr.startswith("dbx: error: unexpected argument 'b' for 'dbx box'\n")


def test_an_alias_is_the_command(call: Call) -> None:
    assert call("ci", "apple").stdout == "apple\n"
    assert "  ci   Put something into a box\n" in call("--help").stdout
    assert call("end", "x", "--json", "--nope").error["hint"]


def test_a_commands_own_option_hides_a_global_one(call: Call) -> None:
    document = call("-d", "orders", "box", "put-in", "x", "-d", "7", "--json").json
    assert (document["depth"], document["domain"]) == (7, "orders")


def test_later_options_win_and_values_are_no_options(call: Call) -> None:
    outcome = call("-C", "a", "box", "-C", "b", "put-in", "x", "--note", "--json", "-C", "c")
    assert outcome.stdout == "x\n"
    assert call("-C", "a", "box", "-C", "b", "put-in", "x", "-C", "c", "--json").json["start"] == "c"


@pytest.mark.parametrize(
    ("how", "status", "stderr"),
    [
        ("nothing", 0, ""),
        ("status", 1, ""),
        ("conflict", 4, "dbx: error: it moved\ndbx: hint: run 'dbx pull'\n"),
        (
            "full",
            1,
            "dbx: error: cannot write '/r/journal': no space left on device\n"
            "dbx: hint: make room on the disk and run the command again\n",
        ),
        ("pipe", 1, "dbx: error: the system refused: broken pipe\n"),
        ("deep", 70, "dbx: error: internal error: the input is nested too deeply\n"),
        ("memory", 70, "dbx: error: internal error: out of memory\n"),
        ("interrupt", 130, "dbx: error: interrupted\n"),
        ("abort", 130, "dbx: error: interrupted\n"),
    ],
)
def test_every_end_has_its_status_and_its_sentence(call: Call, how: str, status: int, stderr: str) -> None:
    outcome = call("end", how)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (status, "", stderr)
    if status > 1:
        assert call("end", how, "--json").error["status"] == status


def test_a_bug_shows_its_values_only_to_who_asks(call: Call) -> None:
    outcome = call("end", "bug")
    assert outcome.status == 70
    assert outcome.stderr.startswith("dbx: error: internal error: KeyError in end.py, line ")
    assert "DBX_DEBUG=1" in outcome.stderr
    assert "secret" not in outcome.stderr
    assert "KeyError: 'secret'" in call("end", "bug", env={"DBX_DEBUG": "1"}).stderr


def test_details_are_in_the_json(call: Call) -> None:
    error = call("end", "conflict", "--json").error
    assert error == {
        "type": "conflict",
        "status": 4,
        "message": "it moved",
        "hint": "run 'dbx pull'",
        "details": {"at": 3},
    }


def test_a_reader_that_leaves_early_is_no_error(call: Call, tmp_path: Path, run: Runner) -> None:
    environment = run.environment({"PYTHONPATH": str(tmp_path / "lib")})
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "end", "stream"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""


def test_ctrl_c_is_json_too(call: Call) -> None:
    outcome = call("end", "interrupt", "--json")
    assert json.loads(outcome.stderr)["error"]["type"] == "interrupted"
    assert signal.SIGINT == 2  # 130 = 128 + 2
