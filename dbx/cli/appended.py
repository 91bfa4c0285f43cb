"""How commands that write one event show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.render import emit, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.cli.context import Invocation
    from dbx.model.event import Event
    from dbx.ops.session import Session


def show_event(invocation: Invocation, opened: Session, made: Event, *, stage: bool, dry_run: bool) -> None:
    """The event with --json, else a line that names it."""
    if invocation.json:
        from dbx.cli.shapes import event_value

        emit(invocation, event_value(made))
        return
    values: dict[str, object] = {
        "aggregate_type": made.aggregate_type,
        "aggregate_id": made.aggregate_id,
        "version": made.version,
        "event_type": made.event_type,
        "event_id": made.event_id,
    }
    show_done(invocation, opened, {}, values, stage=stage, dry_run=dry_run)


def show_done(
    invocation: Invocation,
    opened: Session,
    document: object,
    values: Mapping[str, object],
    *,
    stage: bool = False,
    dry_run: bool = False,
) -> None:
    """`document` with --json, else `values` on a line; only `Ok` where the setting verbose_responses is false."""
    if stage:
        values = {**values, "staged": True}
    if dry_run:
        values = {**values, "dry_run": True}
    is_terse = not dry_run and opened.find_set("verbose_responses") is False
    emit(invocation, document, ["Ok" if is_terse else pairs(values)])
