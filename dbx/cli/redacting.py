"""What `aggregate redact`, `aggregate forget` and `forget` have in common: they ask, erase, and say what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from dbx.cli import params
from dbx.cli.render import emit, note
from dbx.cli.signing import prepare_key
from dbx.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.cli.context import Invocation
    from dbx.ops.redact import Done, Plan
    from dbx.ops.session import Session

    F = TypeVar("F", bound=Callable[..., Any])

_LISTED = 20


def redact_options(function: F) -> F:
    """Decorator: the options of all three."""
    for option in (
        params.yes_option,
        click.option("--dry-run", is_flag=True, help="Check everything, say what would be erased, and write nothing."),
        click.option("--certificate", metavar="FILE", help="Write a signed certificate of what was done to FILE."),
        click.option("--reason", metavar="TEXT", required=True, help="Why. It stays readable."),
    ):
        function = option(function)
    return function


def carry_out(
    invocation: Invocation,
    opened: Session,
    plan: Plan,
    *,
    reason: str,
    certificate: str | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Ask, erase, show; the exit status."""
    from dbx.ops.redact import redact

    if not dry_run and plan.fresh:
        params.confirm(invocation, f"this erases {_count(plan.fresh)} of domain '{plan.domain}' for good", yes=yes)
    if certificate is not None and not dry_run:
        prepare_key(invocation, opened)
    done = redact(opened, plan, reason, dry_run=dry_run, certificate=certificate)
    emit(invocation, _value(done, reason), _lines(done))
    for copy in plan.copies:
        how = "may have some of them too" if copy.bodies is None else f"still has {copy.bodies} of them"
        note(invocation, f"domain '{copy.domain}' {how}: redact them there as well")
    if not dry_run:
        note(invocation, "backups, exports and remotes may have copies: push, and see to your backups")
    if done.failure is not None:
        note(invocation, f"it is erased from the log, but removing copies failed: {done.failure}")
    elif not dry_run and not done.purged:
        note(invocation, "somebody is reading the domain: run 'dbx gc' later to remove what is left in its index")
    return 0 if done.purged or dry_run else Failure.status


def _count(number: int) -> str:
    return "the body of 1 event" if number == 1 else f"the bodies of {number} events"


def _lines(done: Done) -> list[str]:
    before = len(done.plan.bodies) - done.plan.fresh
    known = f"; {before} {'was' if before == 1 else 'were'} erased before" if before else ""
    if done.dry_run:
        first = f"would erase {_count(done.plan.fresh)}{known}"
    elif done.commit is None:
        first = f"nothing is left to erase{known}"
    else:
        first = f"erased {_count(done.plan.fresh)} in commit {done.seq} ({done.commit[:12]}){known}"
    lines = [first]
    for body in done.plan.bodies[:_LISTED]:
        was = "" if body.erased_by is None else f", erased by version {body.erased_by}"
        lines.append(f"  {body.aggregate_type} {body.aggregate_id} version {body.version} ({body.event_type}){was}")
    if len(done.plan.bodies) > _LISTED:
        lines.append(f"  … and {len(done.plan.bodies) - _LISTED} more")
    if done.certificate is not None:
        lines.append(f"certificate in '{done.certificate}'")
    return lines


def _value(done: Done, reason: str) -> dict[str, Any]:
    return {
        "domain": done.plan.domain,
        "dry_run": done.dry_run,
        "reason": reason,
        "redacted": done.plan.fresh,
        "commit": done.commit,
        "seq": done.seq,
        "events": [
            {
                "aggregate_type": body.aggregate_type,
                "aggregate_id": body.aggregate_id,
                "version": body.version,
                "event_id": str(body.event_id),
                "event_type": body.event_type,
                "body": body.body,
                "redacted_before": body.erased_by is not None,
            }
            for body in done.plan.bodies
        ],
        "rewritten": [{"old": old, "new": new} for old, new in done.rewritten],
        "removed": list(done.removed),
        "purged": done.purged,
        "copies": [{"domain": copy.domain, "bodies": copy.bodies} for copy in done.plan.copies],
        "certificate": done.certificate,
    }
