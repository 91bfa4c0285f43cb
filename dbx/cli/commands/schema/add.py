"""Declare more events."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.schemashapes import aggregate_words, schema_value, split_list, take_aggregate
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@aggregate_words("TYPE EVENT[,EVENT]…")
@click.option("-e", "--events", metavar="EVENT[,EVENT]", multiple=True, help="Events, instead of the arguments.")
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...], aggregate: str | None, events: tuple[str, ...]) -> None:
    from dbx.model.schemachange import event_names
    from dbx.ops.schema import add_events

    kind, rest = take_aggregate(words, aggregate)
    given = split_list([*rest, *events])
    if not given:
        raise UsageError("'dbx schema add' needs an event")
    with session(invocation) as opened:
        schema = add_events(opened, kind, given).schema
    text = {"schema": kind, "added_events": ",".join(event_names(given)), "total_events": len(schema.events)}
    emit(invocation, schema_value(schema), [pairs(text)])
