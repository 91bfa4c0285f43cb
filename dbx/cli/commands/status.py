"""Show where the domain stands and what is staged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, fields, hint, warn
from dbx.cli.session import session
from dbx.cli.shapes import head_value

if TYPE_CHECKING:
    from dbx.repo.upkeep.survey import Survey


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.status import status

    with session(invocation) as opened:
        name, found = status(opened)
    emit(invocation, _document(name, found), _lines(name, found))
    if found.torn:
        warn("an interrupted write follows the last commit; the next commit puts it aside, and nothing is lost")
    if found.caught_up:
        warn(f"the index lagged {found.caught_up} commits behind the log, and has been brought up to it")
    if found.in_memory:
        warn("index.db cannot be written, so every command reads the log anew; look at the disk and at permissions")
    if found.staged and invocation.stdout_tty:
        hint(invocation, "'dbx staged' shows what is staged, 'dbx commit' makes it history, 'dbx reset' drops it")


def _document(name: str, found: Survey) -> dict[str, Any]:
    staged: dict[str, Any] | None = None
    if found.staged is not None:
        staged = {"batch": found.staged.batch, "events": found.staged.events, "since": _since(found)}
    return {
        "domain": name,
        "head": head_value(found.head),
        "events": found.events,
        "aggregates": found.aggregates,
        "staged": staged,
        "remotes": [one._asdict() for one in found.remotes],
        "journal_bytes": found.journal_bytes,
        "torn": found.torn,
        "index": {"caught_up": found.caught_up, "in_memory": found.in_memory},
    }


def _lines(name: str, found: Survey) -> list[str]:
    head = head_value(found.head)
    shown: dict[str, object] = {
        "domain": name,
        "head": head["id"] if head else None,
        "commits": head["seq"] + 1 if head else 0,
        "committed_at": head["time"] if head else None,
        "events": found.events,
        "aggregates": found.aggregates,
        "staged": found.staged.events if found.staged else 0,
    }
    if found.staged:
        shown["staged_since"] = _since(found)
    for one in found.remotes:
        shown[f"{one.remote}/main"] = f"ahead {one.ahead}, behind {one.behind}"
    shown["journal_bytes"] = found.journal_bytes
    return fields(shown)


def _since(found: Survey) -> str | None:
    from dbx.model.time import format_time

    return format_time(found.staged.since_us) if found.staged else None
