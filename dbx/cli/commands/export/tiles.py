"""Write the commit log as static files for any web server (c2sp.org/tlog-tiles).

A second export into the same directory adds what is new.
"""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.signing import prepare_key

_MAX_CHECKPOINT_BYTES = 1 << 20


@define()
@click.argument("directory", metavar="DIR", type=params.DIRECTORY)
@click.option("--checkpoint", metavar="FILE", help="Export under this signed checkpoint, not under a fresh one.")
@pass_invocation
def command(invocation: Invocation, directory: str, checkpoint: str | None) -> None:
    from dbx.ops.export import export_tiles

    note = None
    if checkpoint is not None:
        note = params.read_input(None, checkpoint, _MAX_CHECKPOINT_BYTES, "the checkpoint")
    with session(invocation) as opened, progress(invocation, None, "exporting") as bar:
        if note is None:
            prepare_key(invocation, opened)
        done = export_tiles(opened, directory, note, progress=bar.update)
    document = {
        "origin": done.checkpoint.origin,
        "size": done.checkpoint.size,
        "root": done.checkpoint.root.hex(),
        "before": done.before,
        "files": done.files,
        "bytes": done.bytes,
    }
    new = done.checkpoint.size - done.before
    emit(
        invocation,
        document,
        [f"exported {new} commits of {done.checkpoint.size}: {done.files} files, {done.bytes} bytes"],
    )
