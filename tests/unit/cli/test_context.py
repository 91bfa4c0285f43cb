import time

import click
import pytest

from dbx.cli.context import Invocation, Options, pass_invocation
from dbx.errors import Invalid


def make(**environment: str) -> Invocation:
    return Invocation(Options(), environment)


def test_nothing_set() -> None:
    invocation = make()
    assert (invocation.start_dir, invocation.dbx_dir, invocation.domain, invocation.actor) == (".", None, None, None)
    assert (invocation.restrict, invocation.json, invocation.quiet, invocation.wait_s) == (None, False, False, 10.0)
    assert invocation.pager == "less -FRX"
    assert not invocation.debug
    before = time.time_ns() // 1000
    assert before <= invocation.clock() <= time.time_ns() // 1000


def test_empty_variables_are_unset() -> None:
    invocation = make(DBX_DIR="", DBX_DOMAIN="", DBX_ACTOR="", DBX_NOW="", DBX_RESTRICT="", DBX_DEBUG="")
    assert (invocation.dbx_dir, invocation.domain, invocation.actor, invocation.restrict, invocation.debug) == (
        None,
    ) * 4 + (False,)


def test_options_win_over_the_environment() -> None:
    options = Options()
    options.directory, options.domain = "/elsewhere", "orders"
    invocation = Invocation(options, {"DBX_DIR": "/here", "DBX_DOMAIN": "default"})
    assert (invocation.start_dir, invocation.dbx_dir, invocation.domain) == ("/elsewhere", None, "orders")
    assert make(DBX_DIR="/here", DBX_DOMAIN="default").dbx_dir == "/here"


@pytest.mark.parametrize(
    ("text", "actor"), [("ops:jane", ("ops", "jane")), ("jane", (None, "jane")), ("ops:a:b", ("ops", "a:b"))]
)
def test_actors(text: str, actor: tuple[str | None, str]) -> None:
    assert make(DBX_ACTOR=text).actor == actor


@pytest.mark.parametrize(
    "environment", [{"DBX_ACTOR": ":"}, {"DBX_ACTOR": "ops:"}, {"DBX_DOMAIN": "A/B"}, {"DBX_NOW": "noon"}]
)
def test_what_cannot_be_read_is_invalid(environment: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Invocation(Options(), environment)


def test_the_clock_can_stand_still() -> None:
    clock = make(DBX_NOW="1970-01-01T01:00:01.5+01:00").clock
    assert clock() == clock() == 1_500_000


def test_a_command_gets_the_invocation() -> None:
    invocation = make()

    @click.command()
    @pass_invocation
    def command(given: Invocation) -> bool:
        return given is invocation

    assert command.main([], obj=invocation, standalone_mode=False) is True
