"""Append an event that changes the state by a JSON Patch (RFC 6902): add, replace, remove."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli import params
from dbx.cli.appended import show_event
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.eventinput import (
    MAX_JSON_BYTES,
    about_options,
    check_write,
    make_item,
    write_options,
)
from dbx.cli.frame import define
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject, take_word


@define()
@subject_options("TYPE ID EVENT")
@click.option("--event", "event_type", metavar="EVENT", help="The event's type, instead of the argument.")
@click.option(
    "--patch",
    metavar="JSON|@FILE|-",
    type=params.Json("patch", MAX_JSON_BYTES, "an array of operations"),
    required=True,
    help="The operations, a JSON array; '-' reads standard input.",
)
@about_options
@write_options("Patch what will be once staged events are committed, and stage the event.")
@pass_invocation
def command(
    invocation: Invocation,
    /,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    event_type: str | None,
    patch: Any,
    metadata: object,
    note: str | None,
    expected_version: int | None,
    publish: tuple[str, ...],
    stage: bool,
    message: str | None,
    dry_run: bool,
) -> None:
    from dbx.ops.change import Manner, patch_aggregate

    check_write(publish, message, stage=stage)
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    event = take_word(rest, event_type, "event type")
    refuse_rest(rest)
    item = make_item(kind, name, event, metadata=metadata, note=note)
    with session(invocation) as opened:
        made = patch_aggregate(opened, item, patch, Manner(stage, message, dry_run, expected_version, publish))
        show_event(invocation, opened, made, stage=stage, dry_run=dry_run)
