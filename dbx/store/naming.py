"""Which file an error of the operating system is about, where only its descriptor is known."""

from __future__ import annotations

import os
from contextlib import suppress


def name_file(error: OSError, fd: int) -> None:
    """Let an error of a call on a descriptor name the file, as one of a call with a path does.

    Where the system does not tell, and for pipes and sockets, it stays without.
    """
    if error.filename is None:
        with suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.startswith("/"):
                error.filename = path
