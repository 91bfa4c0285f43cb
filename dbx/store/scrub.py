"""Leaving nothing of deleted or overwritten rows in the index: not in free pages, not in the log of writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbx.store.index import Index


def scrub_index(index: Index, *, wait_s: float) -> bool:
    """Write the whole file anew, and empty the log of writes.

    False where somebody else read for longer than `wait_s` seconds: then old pages are still in the log of writes, and
    it must be done again. Raises IndexUnavailable.
    """
    if index.path == ":memory:":
        return True
    before = int(index.one("PRAGMA busy_timeout")[0])
    index.one(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
    try:
        # Updates leave what was there in the free room of pages, and the index does not overwrite that as it goes:
        # that would cost every write, for the rare day on which it matters.
        index.one("VACUUM")
        busy, *_ = index.one("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        index.one(f"PRAGMA busy_timeout={before}")
    return not busy
