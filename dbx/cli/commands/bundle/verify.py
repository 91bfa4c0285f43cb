"""Check every byte of a bundle; no repository is needed."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import find_input
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import counted, point_value
from dbx.cli.render import emit


@define()
@click.argument("file", metavar="FILE")
@pass_invocation
def command(invocation: Invocation, file: str) -> None:
    from dbx.ops.bundle import verify

    source = find_input(invocation, file, "the bundle")
    with progress(invocation, None, "checking") as bar:
        found = verify(source, progress=bar.update)
    header = found.header
    document = {
        "file": source if isinstance(source, str) else "-",
        "domain": header.domain,
        "name": header.name,
        "base": point_value(header.base),
        "head": point_value(header.head),
        "commits": found.commits,
        "events": found.events,
        "schemas": found.schemas,
        "segments": found.segments,
        "complete": found.complete,
        "ok": True,
    }
    what = f"{counted(found.commits, 'commit')}, {counted(found.events, 'event')} of domain '{header.name}'"
    lines = [f"The bundle is sound: {what}."]
    if not found.complete:
        lines.append(
            f"It continues commit {header.base.seq}, {header.base.commit[:12]}; with it, index roots are checked."
        )
    emit(invocation, document, lines)
