"""Erase the bodies of all events of an aggregate for good."""

from __future__ import annotations

from typing import Any

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.redacting import carry_out, redact_options
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@redact_options
@pass_invocation
def command(
    invocation: Invocation,
    /,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    **given: Any,
) -> int:
    from dbx.ops.redact import plan_aggregate

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        return carry_out(invocation, opened, plan_aggregate(opened, kind, name), **given)
