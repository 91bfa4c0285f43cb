"""List the keys that the workspace knows, its own and those it trusts."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, table
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.key import list_keys

    with session(invocation) as opened:
        found = list_keys(opened)
    rows = [
        ("*" if key.signs else "", key.role, key.kind, key.since[:10], key.until[:10] if key.until else None, key.vkey)
        for key in found
    ]
    lines = table(rows, ("", "ROLE", "KIND", "SINCE", "UNTIL", "VKEY")) if rows else ["no keys"]
    emit(invocation, [key._asdict() for key in found], lines)
