"""Write commits into a file."""

from __future__ import annotations

import os

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import counted, point_value
from dbx.cli.render import emit, flush, write_bytes
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.errors import UsageError


@define()
@click.argument("file", metavar="FILE")
@click.argument("wanted", metavar="[RANGE]", required=False, type=params.REF)
@click.option("--plain", is_flag=True, help="Open what is sealed, for somebody who has not our keys.")
@pass_invocation
def command(invocation: Invocation, file: str, wanted: str | None, plain: bool) -> None:
    from dbx.ops.bundle import create

    if file == "-" and invocation.json:
        raise UsageError("the bundle and '--json' would both go to standard output", hint="name a file")
    flush()
    target = write_bytes if file == "-" else os.path.normpath(os.path.join(invocation.start_dir, file))
    with session(invocation) as opened:
        done = create(opened, target, wanted, plain=plain)
    if file == "-":
        return
    document = {**done._asdict(), "base": point_value(done.base), "head": point_value(done.head)}
    what = f"{counted(done.commits, 'commit')}, {counted(done.events, 'event')}"
    after = "" if done.base.seq < 0 else f" behind commit {done.base.seq}"
    emit(invocation, document, [f"Wrote {what}{after} of domain '{done.domain}' into {escape(done.file)}."])
