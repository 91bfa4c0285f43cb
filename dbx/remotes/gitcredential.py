"""A token from git's credential helpers: `git credential fill` is asked, without a terminal to ask anybody on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dbx.model.address import Address

_WAIT_S = 30.0


def ask_git(address: Address, *, git: str = "git") -> str | None:
    """The password that a helper gives for an address, which is the token; None where none does."""
    parts = urlsplit(address.location)
    host = parts.netloc
    if address.scheme not in ("http", "https") or not host:
        return None
    asked = f"protocol={address.scheme}\nhost={host}\npath={parts.path.lstrip('/')}\n\n"
    # In a session of its own there is no terminal, and an empty askpass is no program.
    command = [git, "-c", "core.askPass=", "-c", "credential.interactive=false", "credential", "fill"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the address was checked to hold no line ends
            command, input=asked.encode(), capture_output=True, timeout=_WAIT_S, check=False, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition("=")
        if name == "password" and value.isascii() and value.isprintable() and value:
            return value
    return None
