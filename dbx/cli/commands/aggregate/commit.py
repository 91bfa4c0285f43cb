"""Commit all staged events, all or none."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.progress import progress
from dbx.cli.render import emit
from dbx.cli.session import session

_NOTHING = "no staged events to commit"


@define()
@click.option("--message", "-m", metavar="TEXT", help="What the events are about.")
@click.option("--dry-run", is_flag=True, help="Check whether it would succeed, and commit nothing.")
@pass_invocation
def command(invocation: Invocation, message: str | None, dry_run: bool) -> None:
    from dbx.cli.shapes import commit_value
    from dbx.ops.staged import check_staged, commit_staged, count_staged

    with session(invocation) as opened:
        if dry_run:
            count = check_staged(opened)
            line = f"would commit {count} event(s)" if count else _NOTHING
            emit(invocation, {"id": None, "count": count, "dry_run": True}, [line])
            return
        with progress(invocation, count_staged(opened), "committing") as bar:
            done = commit_staged(opened, message=message, progress=bar.update)
    if done is None:
        emit(invocation, {"id": None, "count": 0}, [_NOTHING])
        return
    commit, commit_id = done
    emit(
        invocation,
        commit_value(commit, commit_id),
        [f"committed {commit.count} event(s) in commit {commit_id[:16]}"],
    )
