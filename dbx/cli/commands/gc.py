"""Seal the journal, merge small segments and remove files that nothing names."""

from __future__ import annotations

from dataclasses import asdict

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--reseal", is_flag=True, help="Seal everything with the latest data key, also what is plain.")
@pass_invocation
def command(invocation: Invocation, dry_run: bool, reseal: bool) -> None:
    if reseal:
        if dry_run:
            raise UsageError("'--reseal' has no '--dry-run'")
        _reseal(invocation)
        return
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


def _reseal(invocation: Invocation) -> None:
    from dbx.ops.gc import reseal_domain

    with session(invocation) as opened, progress(invocation, None, "sealing") as bar:
        done = reseal_domain(opened, progress=bar.update)
    lines = []
    if done.segments:
        lines.append(f"sealed {done.segments} segments anew, {done.bytes} bytes")
    if done.staged:
        lines.append(f"sealed {done.staged} staged events anew")
    if done.snapshots:
        lines.append(f"sealed {done.snapshots} snapshots anew")
    if done.reindexed:
        lines.append("made the index anew")
    emit(invocation, done._asdict(), lines or ["nothing to do"])
