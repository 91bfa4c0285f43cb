"""Two directories change places in one call (renameat2(2), Linux), so that there is never none."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbx.store.fs import Directory

_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def put_in_place(directory: Directory, new: str, old: str) -> None:
    """Give the entry `new` the name `old`, durably; what had that name is called `new` afterwards.

    Where the file system cannot do that in one step it takes three, and a crash may leave the old one as `<new>.old`.
    """
    if not directory.exists(old):
        directory.rename(new, old)
        return
    fd = directory.open_fd()
    try:
        done = ctypes.CDLL(None, use_errno=True).renameat2(fd, os.fsencode(new), fd, os.fsencode(old), _EXCHANGE)
        number = ctypes.get_errno()
    except AttributeError:  # an old C library
        done, number = -1, errno.ENOSYS
    finally:
        os.close(fd)
    if done == 0:
        directory.sync()
    elif number in _CANNOT:
        directory.rename(old, f"{new}.old")
        directory.rename(new, old)
        directory.rename(f"{new}.old", new)
    else:
        raise OSError(number, os.strerror(number), directory.path_of(old))
