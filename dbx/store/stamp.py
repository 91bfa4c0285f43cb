"""How a file looks from outside, to notice cheaply that somebody changed it: what every append asks of some files."""

from __future__ import annotations

import os

Stamp = tuple[int, int, int] | None
"""Inode, time of the last write in ns and size in bytes; None where there is no file of that name."""


def stamp_of(path: str) -> Stamp:
    """The stamp of what stands at a path, links followed."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def is_still(path: str, stamp: Stamp) -> bool:
    """Whether a file looks as it did. Most are not there, and an exception costs more than all the rest."""
    if stamp is None:
        return not os.access(path, os.F_OK)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return found.st_mtime_ns == stamp[1] and found.st_ino == stamp[0] and found.st_size == stamp[2]
