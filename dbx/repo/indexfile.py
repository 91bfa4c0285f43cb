"""index.db of an open domain: made, opened, thrown away, and kept in memory where there is no writing it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbx.errors import Locked, NotFound
from dbx.store.database import place
from dbx.store.index import Index, IndexDamaged

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.store.fs import Directory
    from dbx.store.lock import Lock

INDEX = "index.db"


class IndexFile:
    """The index a domain works with. `in_memory` says that index.db cannot be written, so that memory holds it."""

    __slots__ = ("_directory", "_index", "_inode", "_lock", "_vault", "_wait_s", "in_memory")

    def __init__(self, directory: Directory, lock: Lock, wait_s: float, vault: Vault | None = None) -> None:
        self._directory = directory
        self._vault = vault
        self._lock = lock
        self._wait_s = wait_s
        self._index: Index | None = None
        self._inode = 0
        self.in_memory = False

    def get(self) -> Index:
        """The open index, at whatever commit it stands."""
        if self._index is None:
            self._index = self._open()
        return self._index

    def refresh(self) -> Index:
        """`get`, opened again where another process has put another file in its place."""
        if self._index is not None and not self.in_memory and self._inode != self._find_inode():
            self.close()
        return self.get()

    def close(self) -> None:
        """Close it."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def use_memory(self) -> None:
        """From now on keep the index in memory."""
        self.close()
        self.in_memory = True

    def rebuild(self, *, unlink: bool) -> None:
        """Empty the index, so that it is made again from the log; unlink it where it is too damaged for that.

        One process at a time, by the writer's lock: no writer ever sees its index vanish. Who cannot have the lock, or
        cannot write the file, goes on in memory.
        """
        if self.in_memory:
            self.close()
            return
        held = self._lock.held
        try:
            if not held:
                self._lock.acquire(self._wait_s)
            try:
                self._drop(unlink=unlink)
            finally:
                if not held:
                    self._lock.release()
        except (Locked, OSError):
            self.use_memory()

    def replace(self, name: str) -> None:
        """Put a finished index, a file of this directory, in the place of the old one. The lock must be held."""
        self.close()
        self.in_memory = False
        self._unlink()
        self._directory.rename(name, INDEX)

    def _open(self) -> Index:
        if self.in_memory:
            return Index(":memory:")
        try:
            return self._open_file()
        except IndexDamaged:
            self.rebuild(unlink=True)
            return self._open_file() if not self.in_memory else Index(":memory:")
        except OSError:
            if not self._directory.exists():
                raise NotFound(f"'{self._directory.path}' is not there any more") from None
            self.in_memory = True
            return Index(":memory:")

    def _open_file(self) -> Index:
        self._inode = place(self._directory, INDEX)
        return Index(self._directory.path_of(INDEX), self._vault)

    def _find_inode(self) -> int:
        try:
            return os.stat(self._directory.path_of(INDEX), follow_symlinks=False).st_ino
        except FileNotFoundError:
            return 0

    def _drop(self, *, unlink: bool) -> None:
        index, inode = self._index, self._find_inode()
        if index is not None and not unlink and inode == self._inode:
            try:
                index.clear()
            except IndexDamaged:
                unlink = True
        self.close()
        # Where another process has replaced the file meanwhile, the damage is gone.
        if unlink and inode in (0, self._inode):
            self._unlink()

    def _unlink(self) -> None:
        for suffix in ("-wal", "-shm", ""):
            self._directory.remove(INDEX + suffix, durable=False)
