"""Forget what was delivered: it is only counted."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.errors import UsageError


@define()
@click.option("--older-than", metavar="DURATION", type=params.DURATION, help="Only what was delivered so long ago.")
@click.option("--older-than-hours", metavar="N", type=click.IntRange(min=0), help="The same, in hours.")
@params.yes_option
@pass_invocation
def command(invocation: Invocation, older_than: int | None, older_than_hours: int | None, yes: bool) -> None:
    from dbx.ops.queue import clear_done, count_done

    if older_than is not None and older_than_hours is not None:
        raise UsageError("'--older-than' and '--older-than-hours' exclude each other")
    age_s = older_than if older_than is not None else (older_than_hours or 0) * 3600
    with session(invocation) as opened:
        count = count_done(opened, age_s)
        if count:
            params.confirm(invocation, f"this will remove {count} done plugin job(s)", yes=yes)
            count = clear_done(opened, age_s)
    emit(invocation, {"cleared": count}, [f"cleared {count} done job(s) from the plugin queue"])
