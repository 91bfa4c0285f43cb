"""List events, by aggregate, page by page; or show one by its id."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import Listing, event_line, event_lines, listing_options, say_next
from dbx.cli.render import emit, emit_stream, json_text
from dbx.cli.session import session
from dbx.cli.shapes import event_value
from dbx.cli.subject import refuse_rest, subject_options
from dbx.errors import UsageError


@define()
@subject_options("[TYPE [ID]] | EVENT_ID")
@click.option("--event", "-e", "event_id", metavar="EVENT_ID", help="Show one event.")
@listing_options
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    event_id: str | None,
    take: int | None,
    cursor: str | None,
    jsonl: bool,
) -> None:
    subject = aggregate_type or aggregate_id
    if event_id is None and len(words) == 1 and words[0].isdigit() and not subject:
        event_id, words = words[0], ()
    if event_id is not None:
        if words or subject or cursor or take:
            raise UsageError("an event id stands alone, without an aggregate, --take or --cursor")
        _show(invocation, event_id, jsonl=jsonl)
        return
    from dbx.ops.events import cursor_of, list_events

    kind, name = _scope(words, aggregate_type, aggregate_id)
    with session(invocation) as opened:
        found = Listing(list_events(opened, kind, name, cursor=cursor), take)
        if invocation.json or jsonl:
            emit_stream(invocation, map(event_value, found), lambda _: "", jsonl=jsonl)
        else:
            emit_stream(invocation, found, event_line, empty="no events")
        say_next(invocation, found, cursor_of)


def _scope(
    words: tuple[str, ...], aggregate_type: str | None, aggregate_id: str | None
) -> tuple[str | None, str | None]:
    from dbx.model import names

    rest = list(words)
    kind = aggregate_type if aggregate_type is not None or not rest else rest.pop(0)
    name = aggregate_id if aggregate_id is not None or not rest else rest.pop(0)
    refuse_rest(rest)
    if kind is None and name is not None:
        raise UsageError("an aggregate id needs its type", hint="dbx events TYPE ID")
    return None if kind is None else names.check_type(kind), None if name is None else names.check_id(name)


def _show(invocation: Invocation, text: str, *, jsonl: bool) -> None:
    from dbx.model.snowflake import parse_event_id
    from dbx.ops.events import get_event

    number = parse_event_id(text)
    with session(invocation) as opened:
        event = get_event(opened, number)
    emit(invocation, event_value(event), [json_text(event_value(event))] if jsonl else event_lines(event))
