"""Declare an event no longer. What is stored of it stays."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.schemashapes import aggregate_words, schema_value, take_aggregate, take_last
from dbx.cli.session import session


@define()
@aggregate_words("TYPE EVENT")
@click.option("--event", metavar="EVENT", help="The event, instead of the argument.")
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...], aggregate: str | None, event: str | None) -> None:
    from dbx.model.names import check_event_type
    from dbx.ops.schema import remove_event

    kind, rest = take_aggregate(words, aggregate)
    name = check_event_type(take_last(rest, event, "event"))
    with session(invocation) as opened:
        schema = remove_event(opened, kind, name).schema
    text = {"schema": kind, "removed_event": name, "remaining_events": len(schema.events)}
    emit(invocation, schema_value(schema), [pairs(text)])
