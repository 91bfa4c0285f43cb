"""Drop all staged events."""

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
    from dbx.ops.staged import clear_staged, count_staged

    with session(invocation) as opened:
        count = count_staged(opened)
        if count != 0:
            what = "the damaged staging file" if count is None else f"{count} staged event(s)"
            confirm(invocation, f"this drops {what} of domain '{opened.domain.name}'", yes=yes)
            clear_staged(opened)
    lines = {None: "dropped the damaged staging file", 0: "no staged events"}
    emit(invocation, {"dropped": count}, [lines.get(count, f"dropped {count} staged event(s)")])
