"""List aggregates, by type and id; or what is staged."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import Listing, aggregate_line, listing_options, say_next, show_staged
from dbx.cli.render import emit_stream
from dbx.cli.session import session
from dbx.cli.shapes import aggregate_value
from dbx.errors import UsageError


@define()
@click.argument("aggregate_type", metavar="[TYPE]", type=params.TYPE, required=False)
@click.option("--stage", is_flag=True, help="List the staged events instead, in the order of staging.")
@click.option("--at", metavar="REF", type=params.REF, help="As they were at that commit, tag or time.")
@click.option("--include-archived", is_flag=True, help="Archived ones too.")
@click.option("--archived-only", is_flag=True, help="Archived ones only.")
@listing_options
@pass_invocation
def command(
    invocation: Invocation,
    aggregate_type: str | None,
    stage: bool,
    at: str | None,
    include_archived: bool,
    archived_only: bool,
    take: int | None,
    cursor: str | None,
    jsonl: bool,
) -> None:
    if include_archived and archived_only:
        raise UsageError("--include-archived cannot be used together with --archived-only")
    if stage and at is not None:
        raise UsageError("--stage cannot be used together with --at")
    if stage:
        _list_staged(invocation, aggregate_type, include_archived or archived_only, take, cursor, jsonl=jsonl)
        return
    from dbx.ops.aggregates import cursor_of, list_aggregates
    from dbx.ops.past import list_aggregates_at

    archived = None if include_archived else archived_only
    with session(invocation) as opened:
        if at is None:
            every = list_aggregates(opened, aggregate_type, cursor=cursor, archived=archived)
        else:
            every = list_aggregates_at(opened, at, aggregate_type, cursor=cursor, archived=archived)
        found = Listing(every, take)
        if invocation.json or jsonl:
            emit_stream(invocation, map(aggregate_value, found), lambda _: "", jsonl=jsonl)
        else:
            emit_stream(
                invocation,
                found,
                lambda a: aggregate_line(a, with_archived=archived is not False),
                empty="no aggregates",
            )
        say_next(invocation, found, cursor_of)


def _list_staged(
    invocation: Invocation,
    aggregate_type: str | None,
    archived: bool,
    take: int | None,
    cursor: str | None,
    *,
    jsonl: bool,
) -> None:
    from dbx.ops.staged import list_staged

    if archived or cursor is not None:
        raise UsageError("--stage lists events: no cursor and no choice of archived aggregates goes with it")
    with session(invocation) as opened:
        show_staged(invocation, list_staged(opened, aggregate_type), take=take, jsonl=jsonl)
