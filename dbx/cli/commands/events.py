"""List events, all or filtered, page by page or as they come; or show one by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import (
    Listing,
    archived_options,
    archived_scope,
    event_line,
    event_lines,
    listing_options,
    query_options,
    say_next,
)
from dbx.cli.render import check_reader, emit, emit_stream, json_text
from dbx.cli.session import session
from dbx.cli.shapes import event_value
from dbx.cli.subject import refuse_rest, subject_options
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.event import Event
    from dbx.ops.events import WantedEvents
    from dbx.ops.session import Session


@define()
@subject_options("[TYPE [ID]] | EVENT_ID")
@click.option("--event", "-e", "event_id", metavar="EVENT_ID", help="Show one event.")
@query_options
@archived_options
@listing_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["dbx", "cloudevents"]),
    default="dbx",
    help="How JSON shows an event; cloudevents: as CloudEvents 1.0, a line each unless --json.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on with new events as they are committed, until Ctrl-C.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    event_id: str | None,
    expression: str | None,
    sort: str | None,
    include_archived: bool,
    archived_only: bool,
    take: int | None,
    cursor: str | None,
    jsonl: bool,
    form: str,
    follow: bool,
) -> None:
    jsonl = jsonl or (form != "dbx" and not invocation.json)
    subject = aggregate_type or aggregate_id
    if event_id is None and len(words) == 1 and words[0].isdigit() and not subject:
        event_id, words = words[0], ()
    archived = archived_scope(include_archived, archived_only)
    if event_id is not None:
        if words or subject or cursor or take or expression or sort or follow or archived is not False:
            raise UsageError("an event id stands alone, without an aggregate and the options of lists")
        _show(invocation, event_id, form, jsonl=jsonl)
        return
    from dbx.ops.events import WantedEvents

    kind, name = _scope(words, aggregate_type, aggregate_id)
    wanted = WantedEvents(kind, name, archived, expression, sort, cursor, take)
    if follow:
        _follow(invocation, wanted, form, jsonl=jsonl)
    else:
        _list(invocation, wanted, form, jsonl=jsonl)


def _list(invocation: Invocation, wanted: WantedEvents, form: str, *, jsonl: bool) -> None:
    from dbx.ops.events import cursor_of, list_events
    from dbx.ops.listing import page_size

    with session(invocation) as opened:
        size = page_size(opened, wanted.take)
        # One is looked at to know whether there is more.
        more = None if size is None else size + 1
        found = Listing(list_events(opened, wanted._replace(take=more)), size)
        if invocation.json or jsonl:
            emit_stream(invocation, map(_shape(opened, form), found), lambda _: "", jsonl=jsonl)
        else:
            emit_stream(invocation, found, event_line, empty="no events")
        say_next(invocation, found, cursor_of if wanted.sort is None else lambda _: None)


def _follow(invocation: Invocation, wanted: WantedEvents, form: str, *, jsonl: bool) -> None:
    from dbx.ops.follow import follow_events

    if wanted.sort is not None:
        raise UsageError("--follow shows events in the order of the log: --sort cannot be used with it")
    with session(invocation) as opened:
        found = follow_events(opened, wanted, check=check_reader)
        if invocation.json or jsonl:
            emit_stream(invocation, map(_shape(opened, form), found), lambda _: "", jsonl=True, live=True)
        else:
            emit_stream(invocation, found, event_line, live=True)


def _shape(opened: Session, form: str) -> Callable[[Event], dict[str, Any]]:
    """How JSON shows an event."""
    if form == "dbx":
        return event_value
    from dbx.model.cloudevents import to_cloudevent

    domain_id = opened.domain.id
    return lambda event: to_cloudevent(event, domain_id)


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


def _show(invocation: Invocation, text: str, form: str, *, jsonl: bool) -> None:
    from dbx.model.snowflake import parse_event_id
    from dbx.ops.events import get_event

    number = parse_event_id(text)
    with session(invocation) as opened:
        event = get_event(opened, number)
        document = _shape(opened, form)(event)
    emit(invocation, document, [json_text(document)] if jsonl else event_lines(event))
