"""Show an aggregate: its state, version and root."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.resolving import check_resolve, resolve_options, tree_value
from dbx.cli.session import session
from dbx.cli.shapes import aggregate_value, event_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject
from dbx.errors import UsageError


@define()
@subject_options("TYPE ID")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="As it was at version N.")
@click.option("--at", metavar="REF", type=params.REF, help="As it was at that commit, tag or time.")
@click.option("--include-events", is_flag=True, help="Its events as well.")
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@resolve_options
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int | None,
    at: str | None,
    include_events: bool,
    include_hidden: bool,
    resolve: bool,
    resolve_depth: int | None,
) -> None:
    from dbx.ops.aggregates import events_of, get_aggregate
    from dbx.ops.past import get_aggregate_at
    from dbx.ops.veil import Veil

    if version is not None and at is not None:
        raise UsageError("--version cannot be used together with --at")
    check_resolve(resolve, resolve_depth)
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        found = get_aggregate(opened, kind, name, version) if at is None else get_aggregate_at(opened, kind, name, at)
        veil = Veil(opened, lifted=include_hidden)
        document = aggregate_value(veil.cover(found))
        if include_events:
            document["events"] = [event_value(event) for event in events_of(opened, found, at)]
        if resolve:
            from dbx.ops.references import make_resolver

            document["resolved"] = tree_value(make_resolver(opened, resolve_depth, veil.cover)(veil.cover(found)))
    emit(invocation, document, [json_text(document, pretty=True)])
