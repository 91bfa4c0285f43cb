"""Erase the body of one event for good."""

from __future__ import annotations

from typing import Any

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.redacting import carry_out, redact_options
from dbx.cli.session import session
from dbx.cli.subject import refuse_rest, subject_options, take_subject


@define()
@subject_options("TYPE ID")
@click.option("--version", metavar="N", type=click.IntRange(1), required=True, help="The version whose body it is.")
@redact_options
@pass_invocation
def command(
    invocation: Invocation,
    /,
    words: tuple[str, ...],
    aggregate_type: str | None,
    aggregate_id: str | None,
    version: int,
    **given: Any,
) -> int:
    from dbx.ops.redact import plan_event

    kind, name, rest = take_subject(words, aggregate_type, aggregate_id)
    refuse_rest(rest)
    with session(invocation) as opened:
        return carry_out(invocation, opened, plan_event(opened, kind, name, version), **given)
