"""Show which event set each field of an aggregate, when, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text, note, paint, table
from dbx.cli.session import session
from dbx.cli.shapes import event_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject
from dbx.cli.text import escape
from dbx.errors import UsageError

if TYPE_CHECKING:
    from dbx.ops.blame import Blamed, Field


@define()
@subject_options("TYPE ID")
@click.option("--field", "fields", metavar="PATH", multiple=True, help="Only this field, as in address.city.")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="As it was at version N.")
@click.option("--at", metavar="REF", type=params.REF, help="As it was at that commit, tag or time.")
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    fields: tuple[str, ...],
    version: int | None,
    at: str | None,
    include_hidden: bool,
) -> None:
    from dbx.ops.blame import blame

    if version is not None and at is not None:
        raise UsageError("--version cannot be used together with --at")
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        found = blame(opened, kind, name, fields=fields, version=version, at=at, include_hidden=include_hidden)
    emit(invocation, _value(found), _lines(invocation, found))
    if found.erased:
        versions = ", ".join(map(str, found.erased))
        note(invocation, f"what these versions set was erased: {versions}")


def _value(found: Blamed) -> dict[str, Any]:
    return {
        "aggregate_type": found.aggregate_type,
        "aggregate_id": found.aggregate_id,
        "version": found.version,
        "fields": [_field_value(field) for field in found.fields],
        "erased": found.erased,
    }


def _field_value(field: Field) -> dict[str, Any]:
    event = event_value(field.event)
    return {
        "field": field.name,
        "path": list(field.path),
        "value": field.value,
        **{key: event[key] for key in ("event_id", "event_type", "version", "created_at", "issued_by")},
        "changed": field.changed,
        "since_version": field.since.version,
    }


def _lines(invocation: Invocation, found: Blamed) -> list[str]:
    rows = []
    for field in found.fields:
        event = field.event
        by = "-" if event.issued_by is None else f"{event.issued_by.group}:{event.issued_by.user}"
        rows.append((event.version, event.event_id, event.event_type, event.created_at, by))
    lines = []
    columns = table(rows, right=frozenset({0}))
    width = max(map(len, columns), default=0)
    for row, field in zip(columns, found.fields, strict=True):
        same = "" if field.changed else f" (since version {field.since.version})"
        lines.append(
            f"{paint(invocation, row.ljust(width), 'yellow')}  {escape(field.name)}={json_text(field.value)}{same}"
        )
    return lines or ["no fields"]
