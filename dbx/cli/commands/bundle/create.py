"""Write commits into a file."""

from __future__ import annotations

import os

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import counted, point_value
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape


@define()
@click.argument("file", metavar="FILE")
@click.argument("wanted", metavar="[RANGE]", required=False, type=params.REF)
@click.option("--plain", is_flag=True, help="Open what is sealed, for somebody who has not our keys.")
@pass_invocation
def command(invocation: Invocation, file: str, wanted: str | None, plain: bool) -> None:
    from dbx.ops.bundle import create

    with session(invocation) as opened:
        done = create(opened, os.path.normpath(os.path.join(invocation.start_dir, file)), wanted, plain=plain)
    document = {**done._asdict(), "base": point_value(done.base), "head": point_value(done.head)}
    what = f"{counted(done.commits, 'commit')}, {counted(done.events, 'event')}"
    after = "" if done.base.seq < 0 else f" behind commit {done.base.seq}"
    emit(invocation, document, [f"Wrote {what}{after} of domain '{done.domain}' into {escape(done.file)}."])
