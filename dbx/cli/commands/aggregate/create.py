"""Create an aggregate with its first event."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli.appended import show_done
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.eventinput import check_write, event_options, make_item, write_options
from dbx.cli.frame import define
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@click.option("--event", "event_type", metavar="EVENT", required=True, help="The type of the first event.")
@event_options
@write_options("Stage the event for 'dbx commit'.")
@pass_invocation
def command(
    invocation: Invocation,
    /,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    event_type: str,
    stage: bool,
    message: str | None,
    dry_run: bool,
    publish: tuple[str, ...],
    **content: Any,
) -> None:
    from dbx.cli.shapes import aggregate_value
    from dbx.ops.append import create_aggregate

    check_write(publish, message, stage=stage)
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    item = make_item(kind, name, event_type, **content)
    with session(invocation) as opened:
        made = create_aggregate(opened, item, message=message, stage=stage, dry_run=dry_run, publish=publish)
        values: dict[str, object] = {
            "aggregate_type": kind,
            "aggregate_id": name,
            "version": made.version,
            "archived": made.archived,
        }
        show_done(invocation, opened, aggregate_value(made), values, stage=stage, dry_run=dry_run)
