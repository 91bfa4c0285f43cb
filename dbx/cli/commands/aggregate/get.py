"""Show an aggregate: its state, version and root."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.session import session
from dbx.cli.shapes import aggregate_value, event_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="As it was at version N.")
@click.option("--include-events", is_flag=True, help="Its events as well.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int | None,
    include_events: bool,
) -> None:
    from dbx.ops.aggregates import events_of, get_aggregate

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        found = get_aggregate(opened, kind, name, version)
        document = aggregate_value(found)
        if include_events:
            document["events"] = [event_value(event) for event in events_of(opened, found)]
    emit(invocation, document, [json_text(document, pretty=True)])
