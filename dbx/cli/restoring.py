"""What `schema activate` and `schema rollback` have in common, which is everything but the version they begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import complete
from dbx.cli.render import emit
from dbx.cli.schemashapes import parse_actor, reason_options, version_value
from dbx.cli.session import session

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.cli.context import Invocation


def restore_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the arguments and options of both commands; `default` says which version is meant by default."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--force", is_flag=True, help="Drop unpublished changes of the schema files.")(function)
        function = click.option(
            "--version",
            metavar="VERSION",
            shell_complete=complete.complete_schema_version,
            help=f"Which; {default} by default.",
        )(function)
        function = click.argument("word", metavar="[DOMAIN|VERSION]", required=False)(function)
        return reason_options(function)

    return decorate


def restore_version(
    invocation: Invocation,
    *,
    rolls_back: bool,
    word: str | None,
    version: str | None,
    reason: str | None,
    actor: str | None,
    force: bool,
) -> None:
    """Put a version in force again, and say which."""
    from dbx.ops.schemaversions import activate_version, roll_back, take_version

    by = parse_actor(actor)
    restore, verb = (roll_back, "rolled back") if rolls_back else (activate_version, "activated")
    with session(invocation) as active:
        opened, version = take_version(active, word, version)
        target, done = restore(opened, version, reason=reason, actor=by, force=force)
        name = opened.domain.name
    text = f"{verb} as {done.published.id}" if done.is_new else "already in force"
    document = {**version_value(done.published, active=True), "new": done.is_new, "restored": target.id}
    emit(invocation, document, [f"domain={name} version={target.id} {text}"])
