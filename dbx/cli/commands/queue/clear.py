"""Give up on dead jobs: those events are never delivered."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import confirm, yes_option
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@yes_option
@pass_invocation
def command(invocation: Invocation, yes: bool) -> None:
    from dbx.ops.queue import clear, count_dead

    with session(invocation) as opened:
        count = count_dead(opened)
        if count:
            confirm(invocation, f"this will remove {count} dead plugin job(s)", yes=yes)
            count = clear(opened)
    emit(invocation, {"cleared": count}, [f"cleared {count} dead job(s) from the plugin queue"])
