"""Taking a snapshot, which two commands do: `snapshots create` and, as EventDBX has it, `aggregate snapshot`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.render import emit, json_text
from dbx.cli.session import session
from dbx.cli.snapshotlines import snapshot_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.cli.context import Invocation


def snapshot_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: which aggregate, at which version, and what for; what `take_snapshot` takes."""
    function = click.option("--comment", metavar="TEXT", help="What it is for.")(function)
    function = click.option(
        "--version", metavar="N", type=click.IntRange(min=1), help="At version N instead of the latest."
    )(function)
    return subject_options("TYPE ID")(function)


def take_snapshot(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int | None,
    comment: str | None,
) -> None:
    """Take it, and show it."""
    from dbx.ops.snapshots import create_snapshot
    from dbx.ops.veil import Veil

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        document = snapshot_value(create_snapshot(opened, kind, name, version=version, comment=comment), Veil(opened))
    emit(invocation, document, [json_text(document, pretty=True)])
