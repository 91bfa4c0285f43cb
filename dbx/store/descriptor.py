"""Writing to descriptors, waiting for them, closing them, and which file an error is about where only one is known."""

from __future__ import annotations

import os
from contextlib import suppress


def write_all(fd: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write every byte, at the file position or at an offset; short writes are continued."""
    view = memoryview(data)
    try:
        while view:
            if offset is None:
                done = os.write(fd, view)
            else:
                done = os.pwrite(fd, view, offset)
                offset += done
            view = view[done:]
    except OSError as error:
        name_file(error, fd)
        raise


def name_file(error: OSError, fd: int) -> None:
    """Let an error of a call on a descriptor name the file, as one of a call with a path does.

    Where the system does not tell, and for pipes and sockets, it stays without.
    """
    if error.filename is None:
        with suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.startswith("/"):
                error.filename = path


def is_readable(fd: int, timeout_s: float) -> bool:
    """Whether there is something to read, or the other end was closed, within so long. Any descriptor will do.

    select() takes none above 1023, and a program may have many files open.
    """
    import select  # few commands need it

    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def close_all_but(*kept: int) -> None:
    """For a process that was forked: above all the locks must not outlive its parent. Standard input, output and error
    stay."""
    before = 2
    for fd in sorted({*kept, os.sysconf("SC_OPEN_MAX")}):
        os.closerange(before + 1, fd)
        before = fd
