"""Take a snapshot of an aggregate."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.session import session
from dbx.cli.snapshotlines import snapshot_value
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@click.option("--version", metavar="N", type=click.IntRange(min=1), help="At version N instead of the latest.")
@click.option("--comment", metavar="TEXT", help="What it is for.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int | None,
    comment: str | None,
) -> None:
    from dbx.ops.snapshots import create_snapshot
    from dbx.ops.veil import Veil

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        document = snapshot_value(create_snapshot(opened, kind, name, version=version, comment=comment), Veil(opened))
    emit(invocation, document, [json_text(document, pretty=True)])
