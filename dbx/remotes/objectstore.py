"""A remote that is a domain's files in an S3 object store: s3://bucket/prefix, by the extra `dbx[object-store]`.

What is named by its hash is put there with If-None-Match, and never changed. Last the ref is swapped with If-Match, so
that of two pushes at once one wins and the other is told. A store that honours neither loses pushes without a word:
`dbx remote check` proves that it does, and a push does not begin before it is known.

Credentials, region and endpoint are those of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, and what the machine's role gives. obstore finds them and signs
addresses with them; the requests are our own (dbx.remotes.signed), because its client follows redirects to other hosts,
with the session token, and cannot be told not to.
"""

from __future__ import annotations

import os
from base64 import b64encode
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dbx.errors import Corrupt, DbxError, Denied, Invalid, RemoteFailure
from dbx.remotes.files import FilesTransport
from dbx.remotes.signed import HINT, RETRIES, SignedClient
from dbx.remotes.static import bounded
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
    from dbx.remotes.signed import Reply
    from dbx.repo.replica.gather import Standing
    from dbx.repo.replica.offer import Offer
    from dbx.repo.replica.quarantine import Arrived, Directory

EXTRA = "dbx[object-store]"
HELD_BYTES = 64 * 1024 * 1024
"""Up to so many bytes an object is held in memory, so that it can be put again where the store was busy."""
SIGNED_FOR_S = 900.0
"""How long a signed address works; a request has to begin within that time."""
_PROBE = ".dbx-check"
_AT_ONCE = 256 * 1024
_ABSENT = {"If-None-Match": "*"}
_REFUSED = frozenset({409, 412, 501})


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
        patience = timedelta(seconds=means.timeout_s)
        with self._blaming():
            # Its own client only asks where the credentials come from.
            self._store: Any = store.S3Store(
                parts.hostname or "",
                client_options={"allow_http": True, "connect_timeout": patience},
                retry_config={"max_retries": RETRIES, "retry_timeout": patience},
            )
            self._client = SignedClient(address.text, self._sign, means)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

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
        with self._got(f"{self._place}/{name}") as reply:
            if reply is None:
                raise Gone
            if reply.response.length != size:
                raise Corrupt(f"'{name}' does not have the size that the manifest says", details={"received": True})
            yield from bounded(reply.response, size)

    def tail(self, name: str, size: int, count: int) -> bytes:
        """The last bytes of an object. Raises Gone."""
        part = {} if count >= size else {"Range": f"bytes={size - count}-{size - 1}"}
        data = b""
        with self._got(f"{self._place}/{name}", part) as reply:
            if reply is None:
                raise Gone
            for piece in bounded(reply.response, count if reply.status == 206 else size):
                data = (data + piece)[-count:]
        if len(data) != min(count, size):
            raise Corrupt(f"'{name}' is shorter than the manifest says", details={"received": True})
        return data

    def _read(self, path: str, max_bytes: int) -> bytes | None:
        with self._got(path) as reply:
            if reply is None:
                self._tags.pop(path, None)
                return None
            data = b"".join(bounded(reply.response, max_bytes))
            self._tags[path] = reply.tag
            return data

    @contextmanager
    def _got(self, path: str, headers: dict[str, str] | None = None) -> Iterator[Reply | None]:
        """The answer that brings an object; None where there is none. Raises RemoteFailure, Denied."""
        with self._blaming(), self._client.asked("GET", path.lstrip("/"), headers) as reply:
            if reply.status == 404:
                reply.response.read(_AT_ONCE)  # so that the connection can be kept
                yield None
            elif reply.status in (200, 206):
                yield reply
            else:
                raise self._client.refusal(reply.response)

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
        self._put(f"{self._place}/{name}", data, _ABSENT)

    def keep_pieces(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """Put a segment that comes in pieces, unless it is there."""
        path = f"{self._place}/{name}"
        if size <= HELD_BYTES:
            self._put(path, b"".join(pieces), _ABSENT)
            return
        with self._blaming(), self._client.asked("HEAD", path.lstrip("/")) as reply:
            if reply.status not in (200, 404):
                raise self._client.refusal(reply.response)
            if reply.status == 200 and reply.response.getheader("Content-Length") == str(size):
                return
        self._stream(path, pieces, size)

    def swap(self, name: str, data: bytes) -> bool:
        """Replace the object that was read last under this name, or make one where there was none; False where somebody
        else has changed it since."""
        path = f"{self._place}/{name}"
        condition = _ABSENT if path not in self._tags else {"If-Match": self._known_tag(path)}
        return self._put(path, data, condition)

    def check(self) -> None:
        """Prove that the store honours both conditions. Raises RemoteFailure."""
        self.settle()
        path = f"{self._place}/{_PROBE}-{os.urandom(8).hex()}"
        try:
            broken = self._find_broken(path)
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
        if not self._put(path, b"1", _ABSENT):
            return "If-None-Match"
        first = {"If-Match": self._known_tag(path)}
        if self._put(path, b"2", _ABSENT) or self._read(path, 1) != b"1":
            return "If-None-Match"
        if not self._put(path, b"3", first) or self._put(path, b"4", first) or self._read(path, 1) != b"3":
            return "If-Match"
        return None

    def _known_tag(self, path: str) -> str:
        tag = self._tags.get(path)
        if tag is None:
            raise RemoteFailure(
                f"'{self._url}' gives its objects no ETag, so two pushes at once could lose one",
                hint="nothing is pushed to such a store; read from it, or use one that does",
                details={"condition": "If-Match"},
            )
        return tag

    def _put(self, path: str, data: bytes, condition: dict[str, str]) -> bool:
        """Put an object under a condition; False where that does not hold, or the store knows none such."""
        digest = b64encode(md5(data, usedforsecurity=False).digest()).decode()
        with (
            self._blaming(),
            self._client.asked("PUT", path.lstrip("/"), {**condition, "Content-MD5": digest}, data) as reply,
        ):
            if reply.status in (200, 201, 204):
                self._tags[path] = reply.tag
                return True
            if reply.status not in _REFUSED and not (reply.status == 404 and "If-Match" in condition):
                raise self._client.refusal(reply.response)
        # Of two attempts the first may have been done, though nobody heard of it.
        return reply.again and self._read(path, len(data)) == data

    def _stream(self, path: str, pieces: Iterator[bytes], size: int) -> None:
        # In one request, so that it can bear a condition. S3 takes 5 GiB so, and no segment has more than 4.
        headers = {**_ABSENT, "Content-Length": str(size)}
        with self._blaming(), self._client.asked("PUT", path.lstrip("/"), headers, pieces) as reply:
            if reply.status not in (200, 201, 204, *_REFUSED):
                raise self._client.refusal(reply.response)

    def _remove(self, path: str) -> None:
        # Who may not delete leaves a few bytes behind.
        with suppress(DbxError, OSError), self._client.asked("DELETE", path.lstrip("/")):
            return

    def _sign(self, method: str, key: str) -> str:
        try:
            url: str = self._obstore.sign(self._store, method, key, expires_in=timedelta(seconds=SIGNED_FOR_S))
        except self._errors.BaseError:
            # What it says is where it looked for credentials, in its own words.
            raise RemoteFailure(
                f"cannot reach '{self._url}': there are no credentials to sign a request with",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
            ) from None
        return url

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """What obstore says goes wrong. It may quote what was sent, so only its first words are shown."""
        try:
            yield
        except (self._errors.PermissionDeniedError, self._errors.UnauthenticatedError):
            raise Denied(
                f"'{self._url}' does not allow it", hint="credentials come from AWS_ACCESS_KEY_ID and its like"
            ) from None
        except (self._errors.BaseError, FileNotFoundError) as error:
            words = " ".join(str(error).split("<", 1)[0].split())[:200]
            raise RemoteFailure(
                f"cannot reach '{self._url}': {words[:1].lower()}{words[1:]}",
                hint=HINT,
            ) from None


class ObjectTransport(FilesTransport):
    """Objects that can be read, and changed one push at a time."""

    def __init__(self, shelf: ObjectShelf, url: str, means: Means) -> None:
        super().__init__(shelf, url, means)
        self._objects = shelf
        self._stack.callback(shelf.close)
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
