"""Making, finding and opening repositories."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from dbx.api.domain import Domain
from dbx.crypto.seal import KEY_BYTES
from dbx.errors import Invalid, UsageError
from dbx.repo.repository import DEFAULT
from dbx.repo.repository import Repository as _Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self


def init(
    path: str | os.PathLike[str] = ".",
    *,
    domain: str = DEFAULT,
    clock: Callable[[], int] | None = None,
    wait_s: float = 10.0,
) -> Repository:
    """Make a repository in the directory `path`, and open it; one that is there already is only opened.

    `domain` is the name of its first domain. `clock` gives microseconds since the Unix epoch and is the system's by
    default. `wait_s` is how many seconds to wait for another process that writes.
    """
    inner, _ = _Repository.init(os.fspath(path), clock=clock or _now_us, domain=domain, wait_s=wait_s)
    return Repository(inner)


def open(
    path: str | os.PathLike[str] = ".",
    *,
    clock: Callable[[], int] | None = None,
    wait_s: float = 10.0,
    safe: Sequence[str | os.PathLike[str]] = (),
    dek: bytes | None = None,
) -> Repository:
    """Open the repository of the directory `path`, or of the nearest directory above it that has one.

    `safe` are directories with repositories to be trusted although they belong to another user; "*" trusts all.
    `dek` is the key (32 bytes) of a repository that seals, where it is not stored there. Raises NotFound where there is
    none, Invalid for a `dek` of another length, and Denied when it belongs to another user and is not in `safe`.
    """
    found = _Repository.find(os.fspath(path))
    trusted = [os.fspath(one) for one in safe]
    if dek is not None and len(dek) != KEY_BYTES:
        raise Invalid(f"a DEK has {KEY_BYTES} bytes")
    return Repository(_Repository(found, clock=clock or _now_us, wait_s=wait_s, safe=trusted, find_dek=lambda: dek))


class Repository:
    """An open repository: a set of domains. `with` closes it at the end. Made by `dbx.init` and `dbx.open`."""

    def __init__(self, inner: _Repository) -> None:
        self._inner = inner
        self._domains: dict[str, Domain] = {}
        self._mutex = threading.Lock()
        self._closed = False

    @property
    def path(self) -> str:
        """The path of its `.dbx` directory."""
        return self._inner.path

    def domain(self, name: str | None = None) -> Domain:
        """An open domain, the checked-out one by default. Raises NotFound.

        The same name gives the same object, whoever asks.
        """
        with self._mutex:
            self._check_open()
            name = self._inner.active if name is None else name
            found = self._domains.get(name)
            if found is None or found.closed:
                found = self._domains[name] = Domain(self._inner.domain(name))
            return found

    def domains(self) -> list[str]:
        """The names of all domains, sorted."""
        self._check_open()
        return self._inner.domain_names()

    def create_domain(self, name: str) -> Domain:
        """A new, empty domain, which is not checked out. Raises Conflict when there is one of that name, Invalid."""
        with self._mutex:
            self._check_open()
            found = self._domains[name] = Domain(self._inner.create_domain(name))
            return found

    def close(self) -> None:
        """Close every domain. What was appended is on disk already."""
        with self._mutex:
            self._closed = True
            for domain in self._domains.values():
                domain.close()
            self._inner.close()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the repository '{self.path}' has been closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<dbx.Repository {self.path!r}>"


def _now_us() -> int:
    return time.time_ns() // 1000
