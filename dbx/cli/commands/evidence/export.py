"""Pack evidence into a directory or a zip file that verifies without dbx, offline.

By default of the whole domain.
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
from dbx.errors import UsageError

_MAX_CHECKPOINT_BYTES = 1 << 20


@define()
@click.argument("path", metavar="DIR|FILE.zip")
@click.option("--aggregate", metavar="TYPE[/ID]", help="Of this type, or of this aggregate.")
@click.option("--range", "wanted", metavar="A..B", help="Of these commits.")
@click.option("--no-bodies", is_flag=True, help="Leave payloads, metadata and notes out; they stay provable.")
@click.option("--checkpoint", metavar="FILE", help="Under this signed checkpoint, not under a fresh one.")
@pass_invocation
def command(
    invocation: Invocation,
    path: str,
    aggregate: str | None,
    wanted: str | None,
    no_bodies: bool,
    checkpoint: str | None,
) -> None:
    from dbx.ops.evidence import export_evidence

    if aggregate is not None and wanted is not None:
        raise UsageError("give --aggregate or --range, not both")
    note = None
    if checkpoint is not None:
        note = params.read_input(None, checkpoint, _MAX_CHECKPOINT_BYTES, "the checkpoint")
    with session(invocation) as opened, progress(invocation, None, "packing") as bar:
        if note is None:
            prepare_key(invocation, opened)
        done = export_evidence(
            opened,
            path,
            aggregate=aggregate,
            wanted=wanted,
            note=note,
            bodies=not no_bodies,
            progress=bar.update,
        )
    lines = [f"packed {done.events} events of {done.commits} commits into '{path}'"]
    if not done.report:
        lines.append("there is no report.html: this is more than one page can show")
    emit(invocation, done._asdict(), lines)
