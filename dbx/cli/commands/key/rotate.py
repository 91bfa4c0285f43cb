"""Replace the key that the workspace signs with.

The old key signs that the new one takes over, and is kept: what it signed in its time is still believed.
"""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.formats.note import format_vkey
    from dbx.ops.key import rotate_key

    with session(invocation) as opened:
        old, new = rotate_key(opened)
    emit(invocation, {"old": format_vkey(old), "new": format_vkey(new)}, [format_vkey(new)])
