"""What the commands that reach other repositories share: options, the way to the remote, and how they tell of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from dbx.cli import complete, params
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.cli.context import Invocation
    from dbx.cli.progress import Progress
    from dbx.formats.bundle import Point
    from dbx.ops.link import Access
    from dbx.ops.remote import Shown


class _RemoteName(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    name = "remote"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value or value.startswith("-"):
            self.fail("it must be the name of a remote", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        return complete.complete_remote(ctx, param, incomplete)


REMOTE = _RemoteName()
_TIMEOUT = "dbx.remote.timeout"

remote_argument = click.argument("remote", metavar="[REMOTE]", required=False, type=REMOTE)


def _keep_timeout(ctx: click.Context, _: click.Parameter, value: float | None) -> None:
    if value is not None:
        if value <= 0:
            raise UsageError("bad value for '--timeout': it must be more than 0 seconds", hint="as in 10 or 0.5")
        ctx.meta[_TIMEOUT] = value


def token_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--token and --token-file."""
    for option in (
        click.option("--token-file", metavar="FILE", help="The token is in the first line of FILE."),
        click.option("--token", metavar="TOKEN", type=params.SECRET, help="The token for the remote; - reads it."),
    ):
        function = option(function)
    return function


def reach_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a command that reaches a remote takes: its token, and how long it may say nothing."""
    option = click.option(
        "--timeout",
        "timeout_s",
        metavar="SECONDS",
        type=params.SECONDS,
        expose_value=False,
        callback=_keep_timeout,
        help="Give up on a remote that says nothing for so long (default 30).",
    )
    return token_options(option(function))


def aggregate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--aggregate TYPE and --id ID."""
    for option in (
        click.option(
            "--id", "--aggregate-id", "aggregate_id", metavar="ID", type=params.ID, help="Only this one of them."
        ),
        click.option(
            "--aggregate", "aggregate_type", metavar="TYPE", type=params.TYPE, help="Only aggregates of TYPE."
        ),
    ):
        function = option(function)
    return function


def transfer_options(what_dry_run_says: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: what `pull` and `push` take: a remote, some aggregates of it, a trial, and how to reach it."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--dry-run", is_flag=True, help=what_dry_run_says)(reach_options(function))
        return remote_argument(aggregate_options(function))

    return decorate


def check_aggregate(aggregate_type: str | None, aggregate_id: str | None) -> None:
    """An id needs its type."""
    if aggregate_id is not None and aggregate_type is None:
        raise UsageError("'--id' needs '--aggregate TYPE'", hint="as in '--aggregate order --id o-17'")


def access(invocation: Invocation, token: str | None, token_file: str | None, bar: Progress | None = None) -> Access:
    """What the command may use to reach its remote."""
    from dbx.ops.link import Access as Made

    safe = invocation.environment.get("DBX_SAFE_DIRECTORIES", "").split(os.pathsep)
    if token is None and token_file is None:  # before the word that says what to do, it is the one for the remote too
        token, token_file = invocation.token, invocation.token_file
    found = params.find_secret(invocation, token, token_file, "DBX_TOKEN")
    timeout_s = click.get_current_context().meta.get(_TIMEOUT)
    progress = None if bar is None else bar.update
    return Made(found, [path for path in safe if path], progress, timeout_s, invocation.cross_env)


def point_value(point: Point) -> dict[str, Any] | None:
    """A point of a history in JSON; null before the first commit."""
    return None if point.seq < 0 else {"id": point.commit, "seq": point.seq}


def counted(count: int, what: str) -> str:
    """`1 commit`, `3 commits`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def short(point: Point) -> str:
    """A point for people."""
    return "nothing" if point.seq < 0 else point.commit[:12]


def given_token(token: str | None, token_file: str | None) -> str | None:
    """The token that was given to be stored; what the environment holds is not meant."""
    if token is not None and token_file is not None:
        raise UsageError("give the token or the file that holds it, not both")
    return params.read_secret_file(token_file) if token_file is not None else token


def shown_value(shown: Shown) -> dict[str, Any]:
    """A remote in JSON; `token` tells whether one is stored, never what it is."""
    head = None if shown.head is None else {"id": shown.head, "seq": shown.seq}
    where = {"name": shown.name, "url": shown.url, "domain": shown.domain}
    return {**where, "head": head, "token": shown.token, "env": shown.environment, "sealed": shown.sealed}
