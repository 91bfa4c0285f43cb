"""Seal the journal, merge small segments and remove files that nothing names."""

from __future__ import annotations

from dataclasses import asdict

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@pass_invocation
def command(invocation: Invocation, dry_run: bool) -> None:
    from dbx.ops.gc import collect_garbage

    with session(invocation) as opened, progress(invocation, None, "merging") as bar:
        done = collect_garbage(opened, dry_run=dry_run, progress=bar.update)
    lines = []
    if done.sealed:
        lines.append("the journal would be sealed" if dry_run else "sealed the journal")
    if done.merged:
        lines.append(f"{'would merge' if dry_run else 'merged'} {done.merged} segments; {done.segments} in all")
    if done.removed:
        verb = "would remove" if dry_run else "removed"
        lines.append(f"{verb} {done.removed} files, {done.freed_bytes} bytes")
    emit(invocation, asdict(done), lines or ["nothing to do"])
