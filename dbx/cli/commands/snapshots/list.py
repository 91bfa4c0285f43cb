"""List snapshots."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit_stream
from dbx.cli.session import session
from dbx.cli.snapshotlines import snapshot_line, snapshot_value, take_scope
from dbx.cli.subject import subject_options


@define()
@subject_options("[TYPE [ID]]")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="Only those of version N.")
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int | None,
    jsonl: bool,
) -> None:
    from dbx.ops.snapshots import list_snapshots
    from dbx.ops.veil import Veil

    kind, name = take_scope(words, aggregate_type, aggregate_id)
    with session(invocation) as opened:
        veil = Veil(opened)
        documents = (snapshot_value(found, veil) for found in list_snapshots(opened, kind, name, version))
        emit_stream(invocation, documents, snapshot_line, jsonl=jsonl, empty="no snapshots found")
