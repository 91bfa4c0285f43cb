"""Take back the last commit or tag that has not been shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.history import SHORT
from dbx.cli.params import confirm, yes_option
from dbx.cli.render import emit, note
from dbx.cli.session import session
from dbx.cli.text import escape

if TYPE_CHECKING:
    from dbx.ops.undo import Step


@define()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@yes_option
@pass_invocation
def command(invocation: Invocation, dry_run: bool, yes: bool) -> None:
    from dbx.ops.undo import plan_undo, undo

    with session(invocation) as opened:
        domain, step = plan_undo(opened)
        if not dry_run:
            confirm(invocation, _consequence(step), yes=yes)
            undo(opened, step)
    emit(invocation, _value(domain, step, dry_run=dry_run), [_line(step, dry_run=dry_run)])
    if step.kept is not None and not dry_run:
        note(invocation, f"they are kept as {step.kept}; 'dbx undo' once more puts them back")


def _value(domain: str, step: Step, *, dry_run: bool) -> dict[str, Any]:
    return {
        "domain": domain,
        "dry_run": dry_run,
        "kind": step.kind,
        "ref": step.ref,
        "reason": step.reason,
        "old": step.old,
        "new": step.new,
        "seq": step.seq if step.new is not None else None,
        "commits": step.commits,
        "events": step.events,
        "kept": step.kept,
    }


def _what(step: Step) -> str:
    if step.kind == "tag":
        return f"the last move of the tag '{step.ref.rpartition('/')[2]}' ({step.reason})"
    commits = "1 commit" if step.commits == 1 else f"{step.commits} commits"
    what = f"{commits} with {'1 event' if step.events == 1 else f'{step.events} events'}"
    return f"{what} ({step.reason})" if step.kind == "commit" else f"the undoing of {what}"


def _consequence(step: Step) -> str:
    return f"this takes back {_what(step)}"


def _line(step: Step, *, dry_run: bool) -> str:
    ref = step.ref.rpartition("/")[2] if step.kind == "tag" else "HEAD"
    to = "nothing" if step.new is None else step.new[:SHORT]
    if dry_run:
        return escape(f"would take back {_what(step)}: {ref} would be {to}")
    return escape(f"took back {_what(step)}: {ref} is {to}")
