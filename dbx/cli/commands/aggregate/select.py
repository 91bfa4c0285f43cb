"""Show some fields of an aggregate."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.session import session
from dbx.cli.subject import subject_options, take_subject, take_word


@define()
@subject_options("TYPE ID FIELD…")
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    include_hidden: bool,
) -> None:
    from dbx.ops.aggregates import get_aggregate, select_fields
    from dbx.ops.veil import Veil

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    fields = (take_word(rest, None, "field"), *rest)
    with session(invocation) as opened:
        found = Veil(opened, lifted=include_hidden).cover(get_aggregate(opened, kind, name))
    document = {
        "aggregate_type": kind,
        "aggregate_id": name,
        "version": found.version,
        "selection": select_fields(found, fields),
    }
    emit(invocation, document, [json_text(document, pretty=True)])
