"""List aggregates, by type and id or sorted, all or filtered; or what is staged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import (
    Listing,
    aggregate_line,
    archived_options,
    archived_scope,
    listing_options,
    query_options,
    say_next,
    show_staged,
)
from dbx.cli.render import emit_stream
from dbx.cli.resolving import check_resolve, resolve_options, tree_value
from dbx.cli.session import session
from dbx.cli.shapes import aggregate_value
from dbx.cli.subject import take_type, type_options
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.event import Aggregate
    from dbx.ops.session import Session
    from dbx.ops.veil import Veil


@define()
@type_options
@click.option("--stage", is_flag=True, help="List the staged events instead, in the order of staging.")
@click.option("--at", metavar="REF", type=params.REF, help="As they were at that commit, tag or time.")
@query_options
@archived_options
@listing_options
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@resolve_options
@pass_invocation
def command(
    invocation: Invocation,
    aggregate_type: str | None,
    named_type: str | None,
    stage: bool,
    at: str | None,
    expression: str | None,
    sort: str | None,
    include_archived: bool,
    archived_only: bool,
    take: int | None,
    cursor: str | None,
    jsonl: bool,
    include_hidden: bool,
    resolve: bool,
    resolve_depth: int | None,
) -> None:
    aggregate_type = take_type(aggregate_type, named_type)
    archived = archived_scope(include_archived, archived_only)
    check_resolve(resolve, resolve_depth)
    if resolve and (stage or not (invocation.json or jsonl)):
        raise UsageError("--resolve needs --json, and goes without --stage")
    if stage and at is not None:
        raise UsageError("--stage cannot be used together with --at")
    if stage:
        if archived is not False or (cursor, expression, sort) != (None, None, None):
            raise UsageError(
                "--stage lists events: no cursor, filter, sort and choice of archived aggregates goes with it"
            )
        _list_staged(invocation, aggregate_type, take, jsonl=jsonl)
        return
    from dbx.ops.listing import Wanted, list_aggregates, page_size
    from dbx.ops.veil import Veil

    with session(invocation) as opened:
        size = page_size(opened, take)
        veil = Veil(opened, lifted=include_hidden)
        # One is looked at to know whether there is more; how many are hidden nobody knows before.
        more = None if size is None or veil.hides_types else size + 1
        listed = list_aggregates(opened, Wanted(aggregate_type, archived, expression, sort, cursor, more, at))
        found = Listing(veil.pass_visible(iter(listed.found)), size)
        if invocation.json or jsonl:
            shape = _resolver(opened, resolve_depth, veil) if resolve else aggregate_value
            emit_stream(invocation, map(shape, found), lambda _: "", jsonl=jsonl)
        else:
            with_archived = listed.archived is not False
            emit_stream(
                invocation, found, lambda a: aggregate_line(a, with_archived=with_archived), empty="no aggregates"
            )
        say_next(invocation, found, listed.cursor_of)


def _resolver(opened: Session, depth: int | None, veil: Veil) -> Callable[[Aggregate], dict[str, Any]]:
    from dbx.ops.references import make_resolver

    follow = make_resolver(opened, depth, veil.cover)
    return lambda aggregate: tree_value(follow(aggregate))


def _list_staged(invocation: Invocation, aggregate_type: str | None, take: int | None, *, jsonl: bool) -> None:
    from dbx.ops.staged import list_staged

    with session(invocation) as opened:
        show_staged(invocation, list_staged(opened, aggregate_type), take=take, jsonl=jsonl)
