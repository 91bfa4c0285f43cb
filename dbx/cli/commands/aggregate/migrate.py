"""Spell references as they are stored now: one event for each aggregate that has others, all in one commit."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, warn
from dbx.cli.session import session


@define()
@click.argument("aggregate_type", metavar="TYPE", type=params.TYPE)
@click.option("--event", "event_type", metavar="EVENT", required=True, type=params.EVENT_TYPE, help="The events' type.")
@click.option("--field", "fields", metavar="FIELD", multiple=True, required=True, help="A reference. Repeatable.")
@click.option("--aggregate-id", metavar="ID", type=params.ID, help="Of this aggregate only.")
@click.option("--note", metavar="TEXT", help="The events' note.")
@click.option("--dry-run", is_flag=True, help="Check everything, and write nothing.")
@pass_invocation
def command(
    invocation: Invocation,
    aggregate_type: str,
    event_type: str,
    fields: tuple[str, ...],
    aggregate_id: str | None,
    note: str | None,
    dry_run: bool,
) -> int:
    from dbx.ops.references import migrate_references

    with session(invocation) as opened:
        done = migrate_references(
            opened, aggregate_type, event_type, fields, aggregate_id=aggregate_id, note=note, dry_run=dry_run
        )
    verb = "updated fields" if done.applied else "would update fields"
    lines = [
        f"aggregate_type={one.aggregate_type} aggregate_id={one.aggregate_id} {verb}: {', '.join(one.fields)}"
        for one in done.changed
        if one.error is None
    ]
    for one in done.changed:
        if one.error is not None:
            warn(f"aggregate '{one.aggregate_type}/{one.aggregate_id}': {one.error}")
    summary = {
        "planned": done.planned,
        "applied": done.applied,
        "unchanged": done.unchanged,
        "skipped": done.planned - done.applied,
        "errors": done.errors,
    }
    lines.append("migrate references summary: " + " ".join(f"{key}={value}" for key, value in summary.items()))
    document = {**summary, "dry_run": dry_run, "aggregates": [one._asdict() for one in done.changed]}
    emit(invocation, document, lines)
    return 5 if done.errors else 0
