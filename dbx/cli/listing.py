"""Lists that end after --take, say how to go on, and never hold more than they show; and how events look in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from dbx.cli import complete, render
from dbx.cli.shapes import event_value
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbx.cli.context import Invocation
    from dbx.model.event import Aggregate, Event
    from dbx.ops.staged import StagedEvent

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


_ERASED = "(erased)"


def listing_options(function: F) -> F:
    """Decorator: `take`, `cursor` and `jsonl`."""
    function = click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")(function)
    function = click.option("--cursor", metavar="CURSOR", help="Go on behind the last item of an earlier list.")(
        function
    )
    return take_option(function)


def query_options(function: F) -> F:
    """Decorator: `filter` as `expression`, and `sort`."""
    function = click.option(
        "--sort",
        metavar="FIELD[:desc][,…]",
        help="Order by these fields, ascending unless told otherwise.",
        shell_complete=complete.complete_sort,
    )(function)
    return click.option(
        "--filter", "expression", metavar="EXPR", help="Only those that an expression holds for; see dbx-filter(7)."
    )(function)


def archived_options(function: F) -> F:
    """Decorator: `include_archived` and `archived_only`."""
    function = click.option("--archived-only", is_flag=True, help="Archived ones only.")(function)
    return click.option("--include-archived", is_flag=True, help="Archived ones too.")(function)


def archived_scope(include_archived: bool, archived_only: bool) -> bool | None:
    """Whether archived ones are listed: None for both kinds. Raises UsageError."""
    if include_archived and archived_only:
        raise UsageError("--include-archived cannot be used together with --archived-only")
    return None if include_archived else archived_only


def take_option(function: F) -> F:
    """Decorator: `take`, None for all."""
    return click.option("--take", type=click.IntRange(min=1), metavar="N", help="Show at most N.")(function)


class Listing(Generic[T]):
    """The first `take` of some items. When there are more, `last` is afterwards the one to go on behind."""

    def __init__(self, items: Iterable[T], take: int | None) -> None:
        self._items = items
        self._take = take
        self.last: T | None = None

    def __iter__(self) -> Iterator[T]:
        shown: T | None = None
        for count, item in enumerate(self._items):
            if count == self._take:
                self.last = shown
                return
            yield item
            shown = item


def say_next(invocation: Invocation, listing: Listing[T], cursor_of: Callable[[T], str | None]) -> None:
    """Tell, on stderr, how to see what comes after."""
    if listing.last is not None:
        cursor = cursor_of(listing.last)
        if cursor is None:
            render.hint(invocation, "there is more, and this order has no cursor: take more at once")
        else:
            render.hint(invocation, f"there is more, next cursor: {cursor}")


def event_line(event: Event) -> str:
    """An event on one line, as EventDBX lists it."""
    by = event.issued_by
    return render.pairs(
        {
            **event_pairs(event),
            "created_at": event.created_at,
            "issued_by": None if by is None else f"{by.group}:{by.user}",
            "note": event.note,
        }
    )


def event_lines(event: Event) -> list[str]:
    """An event on several lines, everything that it holds."""
    by = event.issued_by
    values: dict[str, object] = {
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "version": event.version,
        "event_type": event.event_type,
        "event_id": event.event_id,
        "created_at": event.created_at,
        "issued_by": None if by is None else f"{by.group}:{by.user}",
        "note": event.note,
        "hash": event.hash,
        "position": event.position,
        "seq": event.commit,
    }
    lines = render.fields(values)
    for name, content in (("payload", event.payload), ("metadata", event.metadata)):
        lines.append(f"{name}={_ERASED if content is None else render.json_text(content, pretty=True)}")
    return lines


def event_pairs(event: Event) -> dict[str, object]:
    """What tells an event from all others."""
    return {
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "version": event.version,
        "event_type": event.event_type,
        "event_id": event.event_id,
        **({"redacted": True} if event.payload is None else {}),
    }


def aggregate_line(aggregate: Aggregate, *, with_archived: bool) -> str:
    """An aggregate on one line, as EventDBX lists it."""
    values: dict[str, object] = {
        "aggregate_type": aggregate.aggregate_type,
        "aggregate_id": aggregate.aggregate_id,
        "version": aggregate.version,
        "merkle_root": aggregate.root,
    }
    if with_archived:
        values["archived"] = aggregate.archived
    return render.pairs(values)


def show_staged(
    invocation: Invocation, staged: Iterable[StagedEvent], *, take: int | None = None, jsonl: bool = False
) -> None:
    """List staged events: `dbx staged`, `dbx aggregate list --stage`."""
    if invocation.json or jsonl:
        documents = ({**event_value(s.event), "base_version": s.base_version} for s in Listing(staged, take))
        render.emit_stream(invocation, documents, lambda _: "", jsonl=jsonl)
        return
    render.emit_stream(
        invocation,
        Listing(staged, take),
        lambda s: render.pairs(
            {**event_pairs(s.event), "created_at": s.event.created_at, "base_version": s.base_version}
        ),
        empty="no staged events",
    )
