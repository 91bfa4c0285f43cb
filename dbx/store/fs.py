"""The only module that renames, unlinks and fsyncs, and that opens files inside a repository for writing.

Every path component below the root is opened without following links, and only regular files are read: a link, FIFO or
device inside a repository is refused. Each verb says what holds after a crash. An error from fsync or close fails the
operation and the descriptor is never used again.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid, KeyFailure
from dbx.store.descriptor import write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY = ".tmp-"
_NO_LINKS = "a repository holds no links; see 'dbx help fsck'"
PAGE = 4096
"""Bytes that a disk writes whole or not at all. Pages that were not synced reach it in any order, or never."""


def sync_data(fd: int) -> None:
    """The bytes of a file, and its size, are on disk when this returns."""
    os.fdatasync(fd)


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes from an offset; fewer only at the end of the file."""
    data = os.pread(fd, size, offset)
    while data and len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


class Directory:
    """A directory of a repository: a trusted root path and the components below it, none of which may be a link."""

    __slots__ = ("_parts", "_root", "path")

    def __init__(self, root: str, *parts: str) -> None:
        self._root = root
        self._parts = parts
        self.path = os.path.join(root, *parts)

    def below(self, name: str) -> Directory:
        """A directory further down; it need not exist yet."""
        return Directory(self._root, *self._parts, *name.split("/"))

    def path_of(self, name: str) -> str:
        """The path of an entry, for messages and for SQLite."""
        return os.path.join(self.path, name)

    # -- looking ---------------------------------------------------------------------------------------------------

    def open_fd(self, name: str = "") -> int:
        """A descriptor of this directory or of one below it."""
        fd = os.open(self._root, _DIR)
        try:
            for part in (*self._parts, *(name.split("/") if name else ())):
                inner = self._guarded(part, _DIR | os.O_NOFOLLOW, fd)
                os.close(fd)
                fd = inner
        except BaseException:
            os.close(fd)
            raise
        return fd

    def exists(self, name: str = "") -> bool:
        """Whether something of that name is there (a dangling link counts)."""
        parent, base = self._split(name)
        try:
            fd = self.open_fd(parent)
        except FileNotFoundError:
            return False
        try:
            os.stat(base or ".", dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(fd)
        return True

    def names(self, name: str = "") -> list[str]:
        """The sorted entries of this directory or of one below it; none if it does not exist."""
        try:
            fd = self.open_fd(name)
        except FileNotFoundError:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def stat(self, name: str) -> os.stat_result:
        """How a regular file looks; it is not opened. Raises FileNotFoundError, or Corrupt for links and the like."""
        parent, base = self._split(name)
        fd = self.open_fd(parent)
        try:
            found = os.stat(base, dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a regular file"
            raise Corrupt(f"'{self.path_of(name)}' is {what}", hint=_NO_LINKS)
        return found

    def open_read(self, name: str) -> int:
        """A descriptor for reading a regular file. Raises FileNotFoundError, or Corrupt for links and special files."""
        return self._open(name, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole regular file of at most `max_bytes` bytes; a larger one is Corrupt."""
        fd = self.open_read(name)
        try:
            size = os.fstat(fd).st_size
            if size > max_bytes:
                raise Corrupt(f"'{self.path_of(name)}' has {size} bytes, more than the {max_bytes} it may have")
            return read_at(fd, size + 1, 0)
        finally:
            os.close(fd)

    def find(self, name: str, max_bytes: int) -> bytes | None:
        """`read`, or None where there is no such file."""
        try:
            return self.read(name, max_bytes)
        except FileNotFoundError:
            return None

    def read_secret(self, name: str, max_bytes: int) -> bytes:
        """`read`, for a file that is ours alone. Raises KeyFailure for one that others own or can read."""
        fd = self.open_read(name)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            path = self.path_of(name)
            raise KeyFailure(f"others can read '{path}', or own it", hint=f"make it yours alone: chmod 600 '{path}'")
        return self.read(name, max_bytes)

    def walk(self, name: str = "") -> Iterator[str]:
        """Every file below, as names relative to here, sorted; directories are entered, links are listed."""
        for entry in self.names(name):
            inner = f"{name}/{entry}" if name else entry
            parent, base = self._split(inner)
            fd = self.open_fd(parent)
            try:
                mode = os.stat(base, dir_fd=fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            finally:
                os.close(fd)
            if stat.S_ISDIR(mode):
                yield from self.walk(inner)
            else:
                yield inner

    # -- changing --------------------------------------------------------------------------------------------------

    def make(self, name: str = "") -> None:
        """Make this directory, or one below it, with its parents, 0700; each parent of a new one is fsynced."""
        fd = os.open(self._root, _DIR)
        try:
            for part in (*self._parts, *(name.split("/") if name else ())):
                try:
                    os.mkdir(part, 0o700, dir_fd=fd)
                except FileExistsError:
                    pass
                else:
                    os.fsync(fd)
                inner = self._guarded(part, _DIR | os.O_NOFOLLOW, fd)
                os.close(fd)
                fd = inner
        finally:
            os.close(fd)

    def open_write(self, name: str, *, create: bool = False) -> int:
        """A descriptor for reading and writing a regular file in place; made 0600 where asked."""
        return self._open(name, os.O_RDWR | os.O_NONBLOCK | (os.O_CREAT if create else 0))

    def make_file(self, name: str) -> None:
        """Make an empty file, 0600. Raises FileExistsError."""
        os.close(self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Replace a file: after a crash it has its old or its new bytes; durable on return."""
        temporary = self.temporary(self._split(name)[0])
        try:
            temporary.write(data)
            temporary.publish(self._split(name)[1], mode)
        except BaseException:
            temporary.discard()
            raise

    def temporary(self, name: str = "") -> TemporaryFile:
        """A new nameless-to-others file in this directory or one below it, made there if need be."""
        try:
            fd = self.open_fd(name)
        except FileNotFoundError:
            self.make(name)
            fd = self.open_fd(name)
        return TemporaryFile(fd, os.path.join(self.path, name))

    def rename(self, old: str, new: str) -> None:
        """Rename within one directory of this repository and fsync it; replaces what was there."""
        parent, base = self._split(old)
        to_parent, to_base = self._split(new)
        fd = self.open_fd(parent)
        try:
            to_fd = self.open_fd(to_parent)
            try:
                os.rename(base, to_base, src_dir_fd=fd, dst_dir_fd=to_fd)
                os.fsync(to_fd)
            finally:
                os.close(to_fd)
            os.fsync(fd)
        finally:
            os.close(fd)

    def link_from(self, source: Directory, name: str) -> bool:
        """Hard-link another directory's file under the same name; False where that cannot be. Not yet durable."""
        parent, base = self._split(name)
        from_fd = source.open_fd(parent)
        try:
            to_fd = self.open_fd(parent)
            try:
                os.link(base, base, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
            except FileExistsError:
                return True
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    return False
                raise
            finally:
                os.close(to_fd)
        finally:
            os.close(from_fd)
        return True

    def remove(self, name: str, *, durable: bool = True) -> None:
        """Unlink a file; nothing happens if it is gone already."""
        parent, base = self._split(name)
        try:
            fd = self.open_fd(parent)
        except FileNotFoundError:
            return
        try:
            try:
                os.unlink(base, dir_fd=fd)
            except FileNotFoundError:
                return
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)

    def remove_tree(self, name: str) -> None:
        """Remove a directory and all below it. A crash may leave a part; links are removed, never followed."""
        parent, base = self._split(name)
        fd = self.open_fd(parent)
        try:
            _remove_tree(fd, base)
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync(self, name: str = "") -> None:
        """fsync this directory or one below it: its entries are durable."""
        fd = self.open_fd(name)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # -- inside ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _split(name: str) -> tuple[str, str]:
        parent, _, base = name.rpartition("/")
        return parent, base

    def _open(self, name: str, flags: int) -> int:
        parent, base = self._split(name)
        directory = self.open_fd(parent)
        try:
            fd = self._guarded(base, flags | _NOFOLLOW, directory)
        except OSError as error:
            error.filename = self.path_of(name)
            raise
        finally:
            os.close(directory)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Corrupt(f"'{self.path_of(name)}' is not a regular file")
        return fd

    def _guarded(self, part: str, flags: int, directory: int) -> int:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            raise Invalid(f"'{part}' is not a name of a file in a repository")
        try:
            return os.open(part, flags, 0o600, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Corrupt(
                    f"'{part}' in '{self.path}' is a symbolic link or not of the kind it should be",
                    hint=_NO_LINKS,
                ) from None
            if error.errno == errno.ENXIO:
                raise Corrupt(f"'{part}' in '{self.path}' is not a regular file") from None
            error.filename = os.path.join(self.path, part)
            raise


class TemporaryFile:
    """A file being written under a temporary name, 0600, until it is published whole and durable, or discarded."""

    __slots__ = ("_directory", "_name", "fd", "path")

    def __init__(self, directory_fd: int, path: str) -> None:
        self._directory = directory_fd
        self._name = f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
        self.path = os.path.join(path, self._name)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW
            self.fd = os.open(self._name, flags, 0o600, dir_fd=directory_fd)
        except BaseException:
            os.close(directory_fd)
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        write_all(self.fd, data)

    def publish(self, name: str, mode: int = 0o600) -> None:
        """fsync, rename to its name (replacing), fsync the directory."""
        if mode != 0o600:
            os.fchmod(self.fd, mode)
        os.fsync(self.fd)
        fd, self.fd = self.fd, -1
        os.close(fd)
        os.rename(self._name, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._name = ""
        os.fsync(self._directory)
        self.discard()

    def discard(self) -> None:
        """Close, and remove the file if it was not published. Safe to call twice."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)
        if self._directory >= 0:
            directory, self._directory = self._directory, -1
            try:
                if self._name:
                    os.unlink(self._name, dir_fd=directory)
            except FileNotFoundError:
                pass
            finally:
                os.close(directory)

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def _remove_tree(directory: int, name: str) -> None:
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=directory)
        return
    fd = os.open(name, _DIR | os.O_NOFOLLOW, dir_fd=directory)
    try:
        for entry in os.listdir(fd):
            _remove_tree(fd, entry)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=directory)
