"""List the published versions, the newest first; the one in force has a star."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, table
from dbx.cli.schemashapes import SHORT, domain_argument, version_value
from dbx.cli.session import session

if TYPE_CHECKING:
    from dbx.ops.schemaversions import Entry


@define()
@domain_argument
@click.option("--audit", is_flag=True, help="What made each version: publish, activate or rollback, and by whom.")
@pass_invocation
def command(invocation: Invocation, domain: str | None, audit: bool) -> None:
    from dbx.ops.schemaversions import list_versions

    invocation.domain = domain or invocation.domain
    with session(invocation) as opened:
        found = list_versions(opened)
        name = opened.domain.name
    document: dict[str, Any] = {
        "active_version": found[0].published.id if found else None,
        "versions": [version_value(entry.published, active=entry.active) for entry in found],
    }
    if audit:
        document["audit_log"] = [_audit(entry) for entry in found]
    lines = [f"domain={name} has no published schema versions"]
    if found:
        lines = table([_row(entry, audit=audit) for entry in found])
    emit(invocation, document, lines)


def _row(entry: Entry, *, audit: bool) -> list[object]:
    version = entry.published.version
    by = "-" if version.actor is None else f"{version.actor.group}:{version.actor.user}"
    row: list[object] = ["*" if entry.active else " ", entry.published.id[:SHORT], version.published_at, by]
    if audit:
        row.append(_action(entry))
    return [*row, ",".join(version.labels) or "-", version.reason or "-"]


def _audit(entry: Entry) -> dict[str, Any]:
    version = entry.published.version
    words = (entry.move or "").split()
    restored = words[1] if words and words[0] in ("activate", "rollback") and len(words) > 1 else None
    return {
        "timestamp": version.published_at,
        "actor": None if version.actor is None else {"group": version.actor.group, "user": version.actor.user},
        "action": _action(entry),
        "version": entry.published.id,
        "restored": restored,
        "reason": version.reason,
    }


def _action(entry: Entry) -> str:
    word = (entry.move or "").partition(" ")[0].rstrip(":")
    return word if word in ("activate", "rollback") else "publish"
