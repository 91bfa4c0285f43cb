"""Make a schema of a JSON Schema, as far as it maps; what does not is told."""

from __future__ import annotations

import sys

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs, warn
from dbx.cli.schemashapes import aggregate_words, schema_value, take_last
from dbx.cli.session import session
from dbx.errors import Invalid


@define()
@aggregate_words("[TYPE] FILE|-")
@click.option("--format", "kind", type=click.Choice(["json-schema"]), default="json-schema", help="The format.")
@click.option("--replace", is_flag=True, help="Also where the type has a schema.")
@pass_invocation
def command(invocation: Invocation, words: tuple[str, ...], aggregate: str | None, kind: str, replace: bool) -> None:
    from dbx.ops.schemaexchange import MAX_IMPORT_BYTES, import_schema

    rest = list(words)
    if aggregate is None and len(rest) > 1:
        aggregate = rest.pop(0)
    source = take_last(rest, None, "file")
    most = MAX_IMPORT_BYTES + 1
    data = sys.stdin.buffer.read(most) if source == "-" else params.read_bounded(source, most)
    if len(data) == most:
        raise Invalid(f"the JSON Schema has more than {MAX_IMPORT_BYTES} bytes")
    with session(invocation) as opened:
        schema, unmapped = import_schema(opened, aggregate, data, replace=replace)
    for place, sentence in unmapped:
        warn(f"{place}: {sentence}" if place else sentence)
    document = {**schema_value(schema), "unmapped": [{"path": place, "message": text} for place, text in unmapped]}
    text = {"schema": schema.aggregate, "events": len(schema.events), "columns": len(schema.columns)}
    emit(invocation, document, [pairs({**text, "unmapped": len(unmapped)})])
