"""A remote that is a domain's files in an S3 object store: s3://bucket/prefix, by the extra `dbx[object-store]`.

What is named by its hash is put there with If-None-Match, and never changed. Last the ref is swapped with If-Match, so
that of two pushes at once one wins and the other is told. A store that honours neither loses pushes without a word:
`dbx remote check` proves that it does, and a push does not begin before it is known.

Credentials, region and endpoint are those of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, and what the machine's role gives.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dbx.errors import Corrupt, Denied, Invalid, RemoteFailure
from dbx.remotes.files import FilesTransport
from dbx.repo.places import places
from dbx.repo.replica.gather import Gone
from dbx.repo.replica.histories import split, take
from dbx.repo.replica.offer import Reader, describe, offering
from dbx.repo.replica.receive import Terms
from dbx.repo.replica.shelve import NOBODY, empty_standing, shelve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbx.formats.bundle import Point
    from dbx.model.address import Address
    from dbx.remotes.base import Means
    from dbx.repo.replica.gather import Standing
    from dbx.repo.replica.offer import Offer
    from dbx.repo.replica.quarantine import Arrived, Directory

EXTRA = "dbx[object-store]"
REQUEST_S = 300.0
RETRIES = 2
SINGLE_BYTES = 64 * 1024 * 1024
"""Up to so many bytes an object is put in one request, which can bear a condition."""
_PROBE = ".dbx-check"
_AT_ONCE = 256 * 1024


def connect(address: Address, domain: str | None, means: Means) -> ObjectTransport:
    """A client for a bucket. Nothing is sent yet. Raises RemoteFailure where the extra is not installed."""
    return ObjectTransport(ObjectShelf(address, domain, means), address.text, means)


class ObjectShelf:
    """The objects of one domain, and conditional changes to them."""

    def __init__(self, address: Address, domain: str | None, means: Means) -> None:
        parts = urlsplit(address.location)
        self._url = address.text
        self._domain = domain
        self._hint = means.name
        self._prefix = unquote(parts.path).strip("/")
        if not self._prefix.isprintable() or any(part in (".", "..") for part in self._prefix.split("/")):
            raise Invalid(f"'{address.text}' is no place in a bucket")
        self._place: str | None = None
        self._tags: dict[str, str | None] = {}
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError:
            raise RemoteFailure(
                f"cannot reach '{address.text}': object stores need an extra", hint=f"install it: pip install '{EXTRA}'"
            ) from None
        self._obstore: Any = obstore
        self._errors: Any = exceptions
        # Whoever sets an endpoint that begins with http:// means it; without one it is https://.
        options = {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=means.timeout_s),
            "timeout": timedelta(seconds=max(REQUEST_S, means.timeout_s)),
        }
        with self._blaming():
            self._store: Any = store.S3Store(
                parts.hostname or "",
                client_options=options,
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=means.timeout_s)},
                conditional_put="etag",
            )

    # -- reading ---------------------------------------------------------------------------------------------------

    def find(self, name: str, max_bytes: int) -> bytes | None:
        """A small object; None where there is none."""
        if self._place is None:
            self._place = places(self._prefix, self._domain, self._hint, self._read)
            if self._place is None:
                return None
        return self._read(f"{self._place}/{name}", max_bytes)

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        """An object in pieces. Raises Gone."""
        with self._blaming():
            found = self._get(f"{self._place}/{name}")
            if found is None:
                raise Gone
            if found.meta["size"] != size:
                raise Corrupt(f"'{name}' does not have the size that the manifest says", details={"received": True})
            for data in found.stream(min_chunk_size=_AT_ONCE):
                yield bytes(data)

    def tail(self, name: str, size: int, count: int) -> bytes:
        """The last bytes of an object. Raises Gone."""
        with self._blaming():
            try:
                data = self._obstore.get_range(
                    self._store, f"{self._place}/{name}".lstrip("/"), start=max(0, size - count), end=size
                )
            except FileNotFoundError:
                raise Gone from None
        if len(data) != min(count, size):
            raise Corrupt(f"'{name}' is shorter than the manifest says", details={"received": True})
        return bytes(data)

    def _read(self, path: str, max_bytes: int) -> bytes | None:
        with self._blaming():
            found = self._get(path)
            if found is None:
                return None
            if found.meta["size"] > max_bytes:
                raise Corrupt("an object is longer than it may be", details={"received": True})
            data = bytes(found.bytes())
            self._tags[path] = found.meta.get("e_tag")
            return data

    def _get(self, path: str) -> Any:
        try:
            return self._obstore.get(self._store, path.lstrip("/"))
        except FileNotFoundError:
            self._tags.pop(path, None)
            return None

    # -- changing --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the domain is called, as far as anybody says."""
        return self._domain or self._prefix.rpartition("/")[2] or self._hint

    def settle(self) -> None:
        """Choose where a new domain's objects go, where there are none yet."""
        if self._place is None:
            inner = self._domain or ""
            base = self._prefix
            self._place = base if not inner or base.rpartition("/")[2] == inner else f"{base}/{inner}"

    def keep(self, name: str, data: bytes) -> None:
        """Put a small object that is named by its hash, unless it is there."""
        with self._blaming():
            self._create(f"{self._place}/{name}", data)

    def keep_pieces(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """Put a segment that comes in pieces, unless it is there."""
        path = f"{self._place}/{name}"
        with self._blaming():
            if size <= SINGLE_BYTES:
                self._create(path, b"".join(pieces))
                return
            # In parts no condition is honoured everywhere; what is there under its hash is left alone all the same.
            try:
                found = self._obstore.head(self._store, path.lstrip("/"))
            except FileNotFoundError:
                found = None
            if found is None or found["size"] != size:
                self._obstore.put(self._store, path.lstrip("/"), pieces)

    def swap(self, name: str, data: bytes) -> bool:
        """Replace the object that was read last under this name, or make one where there was none; False where somebody
        else has changed it since."""
        path = f"{self._place}/{name}"
        with self._blaming():
            if path not in self._tags:
                return self._create(path, data)
            try:
                done = self._obstore.put(
                    self._store, path.lstrip("/"), data, mode={"e_tag": self._tags[path]}, use_multipart=False
                )
            except (self._errors.PreconditionError, FileNotFoundError):
                return False
            self._tags[path] = done.get("e_tag")
            return True

    def check(self) -> None:
        """Prove that the store honours both conditions. Raises RemoteFailure."""
        self.settle()
        path = f"{self._place}/{_PROBE}-{os.urandom(8).hex()}".lstrip("/")
        with self._blaming():
            try:
                broken = self._find_broken(path)
            except self._errors.NotSupportedError:
                broken = "If-Match"
            finally:
                self._remove(path)
        if broken is not None:
            raise RemoteFailure(
                f"'{self._url}' does not honour '{broken}', so two pushes at once could lose one",
                hint="nothing is pushed to such a store; read from it, or use one that does",
                details={"condition": broken},
            )

    def _find_broken(self, path: str) -> str | None:
        """The condition that the store does not honour, tried with an object of our own."""
        put, store = self._obstore.put, self._store
        first = put(store, path, b"1", mode="create", use_multipart=False)["e_tag"]
        if self._create(path, b"2") or bytes(self._obstore.get(store, path).bytes()) != b"1":
            return "If-None-Match"
        put(store, path, b"3", mode={"e_tag": first}, use_multipart=False)
        try:
            put(store, path, b"4", mode={"e_tag": first}, use_multipart=False)
        except self._errors.PreconditionError:
            return None if bytes(self._obstore.get(store, path).bytes()) == b"3" else "If-Match"
        return "If-Match"

    def _create(self, path: str, data: bytes) -> bool:
        try:
            done = self._obstore.put(self._store, path.lstrip("/"), data, mode="create", use_multipart=False)
        except self._errors.AlreadyExistsError:
            return False
        except self._errors.PreconditionError:
            return False
        self._tags[path] = done.get("e_tag")
        return True

    def _remove(self, path: str) -> None:
        try:
            self._obstore.delete(self._store, path)
        except (self._errors.BaseError, OSError):
            return  # who may not delete leaves a few bytes behind

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """What the store says instead of an answer. It may quote what was sent, so only its first words are shown."""
        try:
            yield
        except (self._errors.PermissionDeniedError, self._errors.UnauthenticatedError):
            raise Denied(
                f"'{self._url}' does not allow it", hint="credentials come from AWS_ACCESS_KEY_ID and its like"
            ) from None
        except self._errors.BaseError as error:
            raise self._failure(error) from None
        except (FileNotFoundError, TimeoutError, ConnectionError) as error:
            raise self._failure(error) from None

    def _failure(self, error: BaseException) -> RemoteFailure:
        words = " ".join(str(error).split("<", 1)[0].split())[:200]
        return RemoteFailure(
            f"cannot reach '{self._url}': {words[:1].lower()}{words[1:]}",
            hint="see AWS_ENDPOINT_URL, AWS_REGION, the bucket's name, and whether the store runs",
        )


class ObjectTransport(FilesTransport):
    """Objects that can be read, and changed one push at a time."""

    def __init__(self, shelf: ObjectShelf, url: str, means: Means) -> None:
        super().__init__(shelf, url, means)
        self._objects = shelf
        self._is_proven = False

    def check(self) -> None:
        """Prove that the store honours conditions. Raises RemoteFailure."""
        self._objects.check()
        self._is_proven = True

    def send(self, offer: Offer) -> None:
        """Put what is new, schemas first, and swap the ref last. Raises Conflict where somebody else was faster."""
        standing = self._standing or self._look()
        if not self._is_proven:
            self.check()
        self._objects.settle()
        shelve(self._objects, standing, offer, self._means.clock)
        self._standing = None

    def data_keys(self) -> frozenset[bytes]:
        """Ours: what is sealed here stays sealed there, for those who have the same keyring."""
        return self._means.data_keys

    def fetch(self, directory: Directory, base: Point, schemas: str | None) -> Arrived:
        """Bring whole segments. Raises RemoteFailure where there is no domain."""
        if (self._standing or self._look()).file.id == NOBODY:
            raise RemoteFailure(
                f"cannot reach '{self._url}': domain '{self._objects.name}' does not exist there",
                hint="a push makes it",
            )
        return super().fetch(directory, base, schemas)

    def send_histories(self, lines: Iterable[bytes]) -> int:
        """Commit events to a copy, and push that."""
        domain = self._copy()
        base = describe(domain).head
        terms = Terms(self._means.actor, f"push: aggregates from {self._means.name}", validate=True)
        done = take(domain, split(lines), terms)
        if done.events:
            with offering(domain, base, reader=Reader(self._means.data_keys)) as offer:
                self.send(offer)
        return done.events

    def _survey(self) -> Standing | None:
        return super()._survey() or empty_standing(self._objects.name)
