"""Create an aggregate with its first event."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli.appended import show_done
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.eventinput import check_publish, event_options, expect_option, make_item, publish_option
from dbx.cli.frame import define
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject
from dbx.errors import UsageError


@define()
@subject_options("TYPE ID")
@click.option("--event", "event_type", metavar="EVENT", required=True, help="The type of the first event.")
@event_options
@expect_option
@publish_option
@click.option("--stage", is_flag=True, help="Stage the event for 'dbx commit'.")
@click.option("--message", "-m", metavar="TEXT", help="The message of the commit (without --stage).")
@click.option("--dry-run", is_flag=True, help="Check everything, and write nothing.")
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

    check_publish(publish, stage=stage)
    if stage and message is not None:
        raise UsageError("a staged event has no message of its own", hint="give it to the commit: dbx commit -m TEXT")
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
