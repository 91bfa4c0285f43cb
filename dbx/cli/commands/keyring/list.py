"""List the data keys, oldest first; the last one seals."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, table
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.ops.sealing import list_data_keys

    with session(invocation) as opened:
        found = list_data_keys(opened)
    rows = [("*" if key.current else "", key.key_id, key.created_at) for key in found]
    lines = table(rows, ("", "KEY", "SINCE")) if rows else ["nothing is sealed"]
    emit(invocation, [key._asdict() for key in found], lines)
