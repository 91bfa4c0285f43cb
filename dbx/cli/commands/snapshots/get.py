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
@pass_invocation
def command(invocation: Invocation, snapshot_id: str) -> None:
    from dbx.ops.snapshots import get_snapshot

    with session(invocation) as opened:
        document = snapshot_value(get_snapshot(opened, snapshot_id))
    lines = [
        snapshot_line(document),
        f"state={json_text(document['state'], pretty=True)}",
        f"merkle_root={document['merkle_root']}",
    ]
    emit(invocation, document, lines)
