"""Remove snapshots by a policy."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import confirm, yes_option
from dbx.cli.render import emit, pairs
from dbx.cli.session import session
from dbx.cli.snapshotlines import take_scope
from dbx.cli.subject import subject_options
from dbx.errors import Invalid, UsageError


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    from dbx.model.snapshot import parse_size

    if value is None:
        return None
    try:
        return parse_size(value)
    except Invalid as error:
        raise UsageError(error.message, hint=error.hint) from None


def _days(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    digits = value.removesuffix("d")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 6:
        raise UsageError(f"--keep-days takes a number of days, not '{value[:40]}'", hint="write 30, or 30d")
    return int(digits)


@define()
@subject_options("[TYPE [ID]]")
@click.option("--keep-last", metavar="N", type=click.IntRange(0, 10**9), help="Keep the last N of each aggregate.")
@click.option("--keep-days", metavar="D", callback=_days, help="Keep those of the last D days.")
@click.option("--larger-than", metavar="SIZE", callback=_size, help="Only those larger than SIZE: 500, 64k, 10M.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@yes_option
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    keep_last: int | None,
    keep_days: int | None,
    larger_than: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    from dbx.ops.snapshots import Policy, prune_snapshots

    kind, name = take_scope(words, aggregate_type, aggregate_id)
    policy = Policy(keep_last, keep_days, larger_than)
    with session(invocation) as opened:
        done = prune_snapshots(opened, policy, kind, name, dry_run=True)
        if done.snapshots and not dry_run:
            what = f"this removes {len(done.snapshots)} snapshots of {done.freed_bytes} bytes"
            confirm(invocation, what, yes=yes)
            done = prune_snapshots(opened, policy, kind, name)
    document = {
        "pruned": len(done.snapshots),
        "kept": done.kept,
        "freed_bytes": done.freed_bytes,
        "dry_run": dry_run,
        "snapshots": [
            {
                "snapshot_id": str(one.id),
                "aggregate_type": one.type,
                "aggregate_id": one.aggregate_id,
                "version": one.version,
                "bytes": one.size_bytes,
            }
            for one in done.snapshots
        ],
    }
    verb = "would remove" if dry_run else "removed"
    lines = [pairs(one) for one in document["snapshots"]] if dry_run else []  # type: ignore[attr-defined]
    total = f"{verb} {document['pruned']} snapshots, {done.freed_bytes} bytes; {done.kept} stay"
    emit(invocation, document, [*lines, total])
