"""The user's own editor, for text that is to be changed by hand."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import TYPE_CHECKING

from dbx.errors import Failure, UsageError

if TYPE_CHECKING:
    from dbx.cli.context import Invocation

_MAX_BYTES = 4 << 20


def edit_text(invocation: Invocation, text: bytes, path: str) -> bytes:
    """Let $VISUAL or $EDITOR (vi without either) change a copy of a file; the bytes it leaves.

    It is started from a list of arguments, without a shell. Raises UsageError where it cannot be, Failure when it says
    that it failed.
    """
    spelled = invocation.environment.get("VISUAL") or invocation.environment.get("EDITOR") or "vi"
    try:
        arguments = shlex.split(spelled)
    except ValueError:
        arguments = []
    if not arguments:
        raise UsageError("EDITOR is not a command", hint="set EDITOR to the name of your editor")
    # A directory of its own, because editors put copies beside the file, and its name tells them what language it is.
    with tempfile.TemporaryDirectory(prefix="dbx-edit-") as folder:
        copy = os.path.join(folder, os.path.basename(path))
        with open(copy, "xb") as file:
            file.write(text)
        try:
            done = subprocess.run([*arguments, copy], check=False)  # noqa: S603 - the user's own editor, no shell
        except OSError as error:
            raise UsageError(
                f"cannot start the editor '{arguments[0]}': {os.strerror(error.errno or 0).lower()}",
                hint="set EDITOR to the name of your editor",
            ) from None
        if done.returncode:
            raise Failure(
                f"the editor '{arguments[0]}' ended with status {done.returncode}", hint="nothing was changed"
            )
        with open(copy, "rb") as file:
            edited = file.read(_MAX_BYTES + 1)
    if len(edited) > _MAX_BYTES:
        raise Failure("the edited file is too large")
    return edited
