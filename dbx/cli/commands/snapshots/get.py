"""Show a snapshot."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, json_text
from dbx.cli.session import session
from dbx.cli.snapshotlines import snapshot_line, snapshot_value


@define()
@click.argument("snapshot_id", metavar="SNAPSHOT_ID")
@click.option("--include-hidden", is_flag=True, help="Also what the schema hides.")
@pass_invocation
def command(invocation: Invocation, snapshot_id: str, include_hidden: bool) -> None:
    from dbx.ops.snapshots import get_snapshot
    from dbx.ops.veil import Veil

    with session(invocation) as opened:
        document = snapshot_value(get_snapshot(opened, snapshot_id), Veil(opened, lifted=include_hidden))
    lines = [
        snapshot_line(document),
        f"state={json_text(document['state'], pretty=True)}",
        f"merkle_root={document['merkle_root']}",
    ]
    emit(invocation, document, lines)
