"""Show the audit trail: who changed tokens, keys, settings, remotes and refs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, emit_stream, pairs
from dbx.cli.session import session

if TYPE_CHECKING:
    from dbx.formats.audit import AuditEntry


@define()
@click.option("-n", "count", metavar="N", type=click.IntRange(0), help="Only the newest N.")
@click.option("--since", metavar="TIME", help="Only what was done since: a time, a date, or how long ago.")
@click.option("--verify", is_flag=True, help="Compare the trail with its head, and with what was signed.")
@pass_invocation
def command(invocation: Invocation, count: int | None, since: str | None, verify: bool) -> None:
    from dbx.errors import UsageError
    from dbx.ops.audit import list_entries, verify_trail

    if verify and (count is not None or since is not None):
        raise UsageError("'--verify' looks at the whole trail")
    with session(invocation) as opened:
        if verify:
            found = verify_trail(opened)
            document = {"entries": found.size, "root": found.root.hex(), "signed": found.signed, "ok": True}
            said = f", the first {found.signed} of them as they were signed" if found.signed else ""
            emit(invocation, document, [f"{found.size} entries are whole{said}: root {found.root.hex()}"])
            return
        entries = list_entries(opened, newest=count, since=since)
        emit_stream(invocation, map(_value, entries), _line, empty="nothing was done yet")


def _value(entry: AuditEntry) -> dict[str, Any]:
    return {
        "n": entry.n,
        "time": entry.time,
        "event": entry.event,
        "actor": {"group": entry.actor.group, "user": entry.actor.user, "token": entry.token},
        "domain": entry.domain,
        "details": entry.details,
    }


def _line(document: dict[str, Any]) -> str:
    actor = document["actor"]
    shown = {"actor": f"{actor['group']}:{actor['user']}", "token": actor["token"], "domain": document["domain"]}
    known = {key: value for key, value in shown.items() if value is not None}
    return f"{document['n']} {document['time']} {document['event']} {pairs({**known, **document['details']})}"
