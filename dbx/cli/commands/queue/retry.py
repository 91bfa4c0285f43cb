"""Let dead jobs be tried again, their attempts counted from nothing."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, hint
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.option("--event-id", metavar="ID", help="Only the jobs of this event: its id, its position or a delivery id.")
@click.option("--all", "everything", is_flag=True, help="All of them, as without options.")
@pass_invocation
def command(invocation: Invocation, event_id: str | None, everything: bool) -> None:
    from dbx.ops.queue import retry

    if event_id is not None and everything:
        raise UsageError("'--all' and '--event-id' exclude each other")
    with session(invocation) as opened:
        retried, left = retry(opened, event_id)
    if not retried:
        text = "no dead plugin jobs to retry" if event_id is None else "no dead plugin jobs match the provided id"
    else:
        text = f"retry summary: retried {retried} job(s), {left} still dead"
        hint(invocation, "they are due now: 'dbx plugin run' delivers them")
    emit(invocation, {"retried": retried, "dead": left}, [text])
