"""List commits, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli.complete import complete_ref
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import commit_lines, commit_summary
from dbx.cli.render import emit_stream
from dbx.cli.session import session
from dbx.cli.shapes import commit_value

if TYPE_CHECKING:
    from dbx.formats.commit import Commit


@define()
@click.argument("wanted", metavar="[RANGE]", required=False, shell_complete=complete_ref)
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=1), metavar="N", help="At most N commits.")
@click.option("--oneline", is_flag=True, help="Each commit on one line.")
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")
@pass_invocation
def command(invocation: Invocation, wanted: str | None, limit: int | None, oneline: bool, jsonl: bool) -> None:
    from dbx.ops.log import list_commits

    with session(invocation) as opened:
        found = list_commits(opened, wanted, limit)
        if invocation.json or jsonl:
            emit_stream(invocation, (commit_value(*each) for each in found), lambda _: "", jsonl=jsonl)
        elif oneline:
            emit_stream(invocation, found, lambda each: commit_summary(invocation, *each), empty="no commits")
        else:
            emit_stream(invocation, enumerate(found), lambda each: _paragraph(invocation, *each), empty="no commits")


def _paragraph(invocation: Invocation, number: int, found: tuple[Commit, str]) -> str:
    lines = commit_lines(invocation, *found)
    return "\n".join(["", *lines] if number else lines)
