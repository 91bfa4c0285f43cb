"""The frame around every command: options, errors, statuses, streams."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import DBX, Runner


def test_version_is_said_by_option_and_by_command(run: Runner) -> None:
    for question in ("--version", "-V", "version"):
        assert run.ok(question).stdout == "dbx 0.1.0\n"


@pytest.mark.parametrize(
    "arguments", [("version", "--json"), ("--json", "version"), ("--version", "--json"), ("--json", "-V")]
)
def test_json_may_stand_before_and_after_the_command(run: Runner, arguments: tuple[str, ...]) -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    outcome = run.ok(*arguments)
    assert outcome.json == {"version": "0.1.0", "format": 1, "python": python}
    assert len(outcome.lines) == 1


def test_python_m_dbx_is_the_same(run: Runner) -> None:
    done = subprocess.run([sys.executable, "-m", "dbx", "version"], capture_output=True, cwd=run.cwd, check=True)
    assert done.stdout == b"dbx 0.1.0\n"


def test_help_lists_commands_with_their_summaries(run: Runner) -> None:
    for spelling in ("-h", "--help"):
        outcome = run.ok(spelling)
        assert outcome.stdout.startswith("Usage: dbx ")
        assert re.search(r"^  version +Show the version", outcome.stdout, re.MULTILINE)
        assert outcome.stderr == ""


def test_help_of_a_command_shows_the_options_that_work_everywhere(run: Runner) -> None:
    shown = run.ok("version", "--help").stdout
    assert shown.startswith("Usage: dbx version")
    for option in ("-C DIR", "-d, --domain NAME", "--json", "--quiet", "--no-color", "--wait SECONDS", "-h, --help"):
        assert option in shown


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "'dbx' needs a command", "run 'dbx --help' to see what there is"),
        (("versoin",), "unknown command 'dbx versoin'", "did you mean 'version'?"),
        (("zzz",), "unknown command 'dbx zzz'", "run 'dbx --help' to see what there is"),
        (("_version",), "unknown command 'dbx _version'", "did you mean 'version'?"),
        (("../version",), "unknown command 'dbx ../version'", "did you mean 'version'?"),
        (("version", "--jsn"), "unknown option '--jsn' for 'dbx version'", "did you mean '--json'?"),
        (("--jsn", "version"), "unknown option '--jsn' for 'dbx'", "did you mean '--json'?"),
        (("version", "-x"), "unknown option '-x' for 'dbx version'", "run 'dbx version --help' to see how it is used"),
        (("version", "x", "y"), "unexpected argument 'x' for 'dbx version'", "run 'dbx version --help'"),
        (
            ("completion",),
            "'dbx completion' needs the argument 'SHELL'",
            "run 'dbx completion --help' to see how it is used",
        ),
        (
            ("version", "--wait"),
            "option '--wait' requires an argument",
            "run 'dbx version --help' to see how it is used",
        ),
        (
            ("version", "--json=1"),
            "option '--json' does not take a value",
            "run 'dbx version --help' to see how it is used",
        ),
        (
            ("version", "--wait", "nan"),
            "bad value for '--wait': it must be a number of seconds, as in 10 or 0.5",
            "run 'dbx version --help' to see how it is used",
        ),
        (
            ("fsck", "--all", "shop"),
            "'--all' and the name of a domain exclude each other",
            "run 'dbx fsck --help' to see how it is used",
        ),
        (
            ("-C", "", "version"),
            "bad value for '-C': it must name a directory",
            "run 'dbx --help' to see how it is used",
        ),
    ],
)
def test_usage_errors(run: Runner, arguments: tuple[str, ...], message: str, hint: str) -> None:
    outcome = run(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr == f"dbx: error: {message}\ndbx: hint: {hint}\n"


@pytest.mark.parametrize(
    "arguments", [("versoin", "--json"), ("--json", "versoin"), ("version", "--nope", "--json"), ("--json",)]
)
def test_usage_errors_are_json_when_json_was_asked_for(run: Runner, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.error["type"] == "usage"
    assert outcome.error["hint"]


def test_json_behind_a_double_dash_is_no_option(run: Runner) -> None:
    outcome = run("version", "--", "--json")
    assert outcome.stderr.startswith("dbx: error: unexpected argument '--json'")


def test_a_bad_domain_name_is_invalid_wherever_it_comes_from(run: Runner) -> None:
    for outcome in (
        run("version", "-d", "Über"),
        run("--domain", "Über", "version"),
        run("version", "--quiet", env={"DBX_DOMAIN": "Über"}),
    ):
        assert outcome.status == 5
        assert outcome.stderr.startswith("dbx: error: domain name 'Über' must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [("DBX_NOW", "yesterday"), ("DBX_NOW", "2026-13-01T00:00:00Z"), ("DBX_ACTOR", ":jane"), ("DBX_ACTOR", "ops:")],
)
def test_a_bad_environment_is_invalid(run: Runner, name: str, value: str) -> None:
    outcome = run("version", "--json", env={name: value})
    assert outcome.status == 5
    assert outcome.error["type"] == "invalid"


def test_messages_cannot_forge_lines_or_steer_the_terminal(run: Runner) -> None:
    outcome = run("x\ndbx: hint: forged\x1b[31m\u202e\x9b")
    assert outcome.stderr.splitlines() == [
        "dbx: error: unknown command 'dbx x\\ndbx: hint: forged\\u001b[31m\\u202e\\u009b'",
        "dbx: hint: run 'dbx --help' to see what there is",
    ]


def test_arguments_that_are_not_utf8_are_named_and_refused(run: Runner) -> None:
    done = subprocess.run([DBX, b"\xff\xfe"], capture_output=True, env=run.environment(), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"dbx: error: unknown command 'dbx \\udcff\\udcfe'")


def test_results_are_utf8_in_every_locale(run: Runner) -> None:
    outcome = run.ok("--help", env={"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"})
    assert "COMMAND [ARGS]…" in outcome.stdout


@pytest.mark.parametrize("arguments", [["--version"], ["version", "--quiet"], ["--help"]])
def test_a_full_disk_behind_stdout_is_told(run: Runner, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        process = run.start(*arguments, stdout=full, stderr=subprocess.PIPE)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.startswith(b"dbx: error: cannot write the output: no space left on device\n")


def test_a_full_disk_behind_stdout_is_told_as_json(run: Runner) -> None:
    with open("/dev/full", "wb") as full:
        process = run.start("version", "--json", stdout=full, stderr=subprocess.PIPE)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(stderr)["error"]["status"] == 1


@pytest.mark.parametrize("arguments", [["--version"], ["version", "--json"], ["--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error(run: Runner, arguments: list[str], unbuffered: str) -> None:
    import os

    reading, writing = os.pipe()
    os.close(reading)
    process = run.start(*arguments, stdout=writing, stderr=subprocess.PIPE, env={"PYTHONUNBUFFERED": unbuffered})
    os.close(writing)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("command", ["--version", "version --quiet", "nope"])
def test_closed_streams_change_nothing_but_what_is_seen(run: Runner, closed: str, command: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{DBX} {command} {closed}"], capture_output=True, env=run.environment(), check=False
    )
    assert done.returncode == (2 if command == "nope" else 0)
    assert b"Traceback" not in done.stderr
    if "1>&-" not in closed and command != "nope":
        assert done.stdout == b"dbx 0.1.0\n"


def test_a_terminal_gets_indented_json(run: Runner, in_terminal) -> None:  # type: ignore[no-untyped-def]
    status, shown = in_terminal(run, "version", "--json")
    assert status == 0
    assert shown.startswith('{\n  "version": "0.1.0",\n  "format": 1,\n')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("aggregate", "list", "--take", "0"), "bad value for '--take': 0 is less than 1"),
        (("aggregate", "list", "--take", "x"), "bad value for '--take': 'x' is not a whole number"),
        (("serve", "--port", "65536"), "bad value for '--port': 65536 is not from 0 to 65535"),
        (("aggregate", "export"), "'dbx aggregate export' needs the option '--output'"),
    ],
)
def test_bad_values_are_told_in_words(run: Runner, words: tuple[str, ...], message: str) -> None:
    run.ok("init")
    outcome = run(*words, "--json")
    assert outcome.status == 2
    assert outcome.error["message"] == message
    assert outcome.stderr.startswith('{"error":{"type":"usage","status":2,"message":"')
