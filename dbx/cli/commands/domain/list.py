"""List the domains; the one that is checked out has a star."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, paint
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.domain import list_domains

    with session(invocation) as opened:
        found = list_domains(opened)
    lines = [paint(invocation, f"* {one.domain}", "green") if one.active else f"  {one.domain}" for one in found]
    emit(invocation, [one._asdict() for one in found], lines)
