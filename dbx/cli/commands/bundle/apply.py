"""Take the commits of a bundle into our history."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import find_input
from dbx.cli.progress import progress
from dbx.cli.remoteoptions import counted, point_value, short
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be taken in, and write nothing.")
@pass_invocation
def command(invocation: Invocation, file: str, dry_run: bool) -> None:
    from dbx.ops.bundle import apply

    source = find_input(invocation, file, "the bundle")
    with session(invocation) as opened, progress(invocation, None, "checking") as bar:
        done = apply(opened, source, dry_run=dry_run, progress=bar.update)
    received = done.received
    document = {
        "file": done.file,
        "domain": done.domain,
        **received._asdict(),
        "before": point_value(received.before),
        "head": point_value(received.head),
        "up_to_date": not received.commits and not received.schemas,
        "dry_run": dry_run,
    }
    verb = "Would take" if dry_run else "Took"
    lines = [f"Domain '{done.domain}' has all of it already."]
    if received.commits:
        what = f"{counted(received.commits, 'commit')}, {counted(received.events, 'event')}"
        lines = [f"{verb} in {what}.", f"{done.domain}: {short(received.before)} -> {short(received.head)}"]
    elif received.schemas:
        lines = [f"{verb} in {counted(received.schemas, 'schema version')}."]
    emit(invocation, document, lines)
