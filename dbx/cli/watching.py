"""How the watch commands show states and cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Options
from dbx.cli.remoteoptions import counted
from dbx.cli.text import escape
from dbx.errors import UsageError

if TYPE_CHECKING:
    from dbx.cli.context import Invocation
    from dbx.ops.watching import Cycle, Watched


def choose_domain(invocation: Invocation, name: str | None) -> None:
    """Let the command be about the domain that was named."""
    if name is not None:
        option = click.get_current_context().find_root().obj
        if isinstance(option, Options) and option.domain not in (None, name):
            raise UsageError("conflicting domain inputs provided via -d/--domain and positional argument")
        invocation.domain = name


def watched_value(found: Watched) -> dict[str, Any]:
    """A watcher in JSON."""
    value = found.state._asdict()
    del value["born"]
    return {**value, "active": found.active, "log": found.log}


def cycle_value(domain: str, remote: str, cycle: Cycle) -> dict[str, Any]:
    """A cycle in JSON."""
    error = cycle.error
    return {
        "domain": domain,
        "remote": remote,
        "cycle": cycle.number,
        "started_at": cycle.started_at,
        "completed_at": cycle.completed_at,
        "pull": cycle.pulled,
        "push": cycle.pushed,
        "error": None if error is None else {"type": error.kind, "status": error.status, "message": error.message},
    }


def cycle_line(cycle: Cycle) -> str:
    """A cycle on one line."""
    moved = [
        f"{verb} {_counts(what)}"
        for verb, what in (("pulled", cycle.pulled), ("pushed", cycle.pushed))
        if what is not None and not what["up_to_date"]
    ]
    if cycle.error is not None:
        moved.append(f"failed: {cycle.error.message}")
    return f"{cycle.completed_at} cycle {cycle.number}: {escape('; '.join(moved) or 'up to date')}"


def is_news(cycle: Cycle) -> bool:
    """Whether a cycle moved anything, or failed."""
    moved = (cycle.pulled, cycle.pushed)
    return cycle.error is not None or any(what is not None and not what["up_to_date"] for what in moved)


def _counts(what: dict[str, Any]) -> str:
    parts = [
        counted(what[key], word) for key, word in (("commits", "commit"), ("aggregates", "aggregate")) if key in what
    ]
    parts.append(counted(what["events"], "event"))
    if what.get("schemas"):
        parts.append(counted(what["schemas"], "schema version"))
    return ", ".join(parts)
