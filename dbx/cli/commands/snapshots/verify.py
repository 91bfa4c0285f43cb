"""Compare snapshots with what the events add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit_stream
from dbx.cli.session import session
from dbx.cli.snapshotlines import snapshot_line, snapshot_value, take_scope
from dbx.cli.subject import subject_options
from dbx.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_NAMED = 100


@define()
@subject_options("[TYPE [ID] | SNAPSHOT_ID]")
@pass_invocation
def command(
    invocation: Invocation, words: tuple[str, ...], aggregate_type: str | None, aggregate_id: str | None
) -> None:
    from dbx.ops.snapshots import verify_snapshot, verify_snapshots
    from dbx.ops.veil import Veil

    bad: list[Corrupt] = []
    count = 0
    is_one = len(words) == 1 and words[0][:1].isdigit() and aggregate_type is aggregate_id is None
    scope = (None, None) if is_one else take_scope(words, aggregate_type, aggregate_id)

    def sound() -> Iterator[dict[str, Any]]:
        nonlocal count
        if is_one:
            yield snapshot_value(verify_snapshot(opened, words[0]), veil)
            return
        for snapshot, fault in verify_snapshots(opened, *scope):
            count += 1
            if fault is None:
                yield snapshot_value(snapshot, veil)
            else:
                bad.append(fault)

    with session(invocation) as opened:
        veil = Veil(opened)
        emit_stream(invocation, sound(), snapshot_line, empty="no snapshots found" if not bad else None)
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        named = [fault.details["snapshot_id"] for fault in bad[:_NAMED]]
        raise Corrupt(
            f"{len(bad)} of {count} snapshots do not verify: {bad[0].message}{more}",
            hint=bad[0].hint,
            details={"snapshots": named, "faults": [fault.message for fault in bad[:_NAMED]]},
        )
