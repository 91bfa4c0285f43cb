"""Verify an aggregate: read, hash and fold its events again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, emit_stream, pairs
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject
from dbx.errors import Corrupt, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Aggregate
    from dbx.ops.session import Session

_NAMED = 100


@define()
@subject_options("TYPE ID")
@click.option("--all", "everything", is_flag=True, help="Every aggregate, or every one of TYPE.")
@click.option("--jsonl", is_flag=True, help="With --all: print one JSON document a line.")
@pass_invocation
def command(
    invocation: Invocation,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    everything: bool,
    jsonl: bool,
) -> None:
    from dbx.ops.aggregates import verify_aggregate

    if everything:
        kind = _only_type(words, aggregate_type, aggregate_id)
        with session(invocation) as opened:
            _verify_all(invocation, opened, kind, jsonl=jsonl)
        return
    if jsonl:
        raise UsageError("--jsonl goes with --all")
    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        document = _value(verify_aggregate(opened, kind, name))
    emit(invocation, document, [pairs(document)])


def _only_type(words: tuple[str, ...], aggregate_type: str | None, aggregate_id: str | None) -> str | None:
    from dbx.model.names import check_type

    rest = list(words)
    kind = aggregate_type or (rest.pop(0) if rest else None)
    if aggregate_id is not None:
        raise UsageError("--all cannot be used together with an aggregate id")
    refuse_rest(rest)
    return None if kind is None else check_type(kind)


def _verify_all(invocation: Invocation, opened: Session, aggregate_type: str | None, *, jsonl: bool) -> None:
    from dbx.ops.aggregates import verify_all

    bad: list[str] = []
    count = 0

    def sound() -> Iterator[dict[str, object]]:
        nonlocal count
        for aggregate, fault in verify_all(opened, aggregate_type):
            count += 1
            if fault is None:
                yield _value(aggregate)
            else:
                bad.append(fault.message)

    emit_stream(invocation, sound(), pairs, jsonl=jsonl, empty="no aggregates")
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise Corrupt(
            f"{len(bad)} of {count} aggregates do not verify: {bad[0]}{more}",
            hint="run 'dbx fsck' to see what is damaged",
            details={"faults": bad[:_NAMED]},
        )


def _value(aggregate: Aggregate) -> dict[str, object]:
    return {
        "aggregate_type": aggregate.aggregate_type,
        "aggregate_id": aggregate.aggregate_id,
        "merkle_root": aggregate.root,
        "version": aggregate.version,
    }
