"""The key that a command signs with, made where the workspace has none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.cli.render import note

if TYPE_CHECKING:
    from dbx.cli.context import Invocation
    from dbx.ops.session import Session


def prepare_key(invocation: Invocation, opened: Session) -> None:
    """Have a key to sign with; a first one is made, and its public half told. Raises KeyFailure, Denied."""
    from dbx.formats.note import format_vkey
    from dbx.ops.key import find_or_generate

    made = find_or_generate(opened)
    if made is not None:
        note(invocation, f"made a key for this workspace to sign with: {format_vkey(made)}")
