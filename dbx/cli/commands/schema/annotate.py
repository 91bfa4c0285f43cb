"""Say in a note what an event means, or take the note away."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.schemashapes import aggregate_words, schema_value, take_aggregate, take_last
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@aggregate_words("TYPE EVENT")
@click.option("--event", metavar="EVENT", help="The event, instead of the argument.")
@click.option("--note", metavar="TEXT", help="The note, at most 128 characters.")
@click.option("--clear", is_flag=True, help="Take the note away.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate: str | None,
    event: str | None,
    note: str | None,
    clear: bool,
) -> None:
    from dbx.model.names import check_event_type
    from dbx.ops.schema import annotate_event

    if note is None and not clear:
        raise UsageError("either --note must be provided or use --clear")
    if note is not None and clear:
        raise UsageError("--note cannot be combined with --clear")
    kind, rest = take_aggregate(words, aggregate)
    name = check_event_type(take_last(rest, event, "event"))
    with session(invocation) as opened:
        schema = annotate_event(opened, kind, name, note).schema
    done = "note_cleared" if note is None else f"note_set={json_text(note)}"
    emit(invocation, schema_value(schema), [f"aggregate={kind} event={name} {done}"])
