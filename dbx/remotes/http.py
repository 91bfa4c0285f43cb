"""A remote that is a server (dbx-protocol(5)), over HTTP/1.1 with the standard library.

Certificates are verified; no redirect is followed, because none belongs to the protocol; the token goes to the address
it was given for and nowhere else, as a bearer header. Every answer is bounded in bytes, and all of them together in
time, however slowly they drip.
"""

from __future__ import annotations

import errno
import http.client
import re
import ssl
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from dbx.errors import Conflict, Corrupt, DbxError, Denied, Invalid, KeyFailure, Locked, NotFound, RemoteFailure
from dbx.formats import wire
from dbx.remotes.base import NO_DOMAIN
from dbx.remotes.pace import Pace, PacedSocket
from dbx.repo.replica.histories import Root, split
from dbx.repo.replica.offer import Description
from dbx.repo.replica.quarantine import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dbx.formats.bundle import Point
    from dbx.model.address import Address
    from dbx.remotes.base import Means, Transport
    from dbx.repo.replica.histories import Wanted
    from dbx.repo.replica.offer import Offer
    from dbx.repo.replica.quarantine import Arrived, Directory

PREFIX = "dbx/v1"
MAX_ROOTS_BYTES = 1 << 28
"""Versions and roots of some two million aggregates, which are held in memory."""
ANSWER_S = 900.0
"""How long a server may take to check what was sent to it, or to cut what was asked for."""
_AT_ONCE = 256 * 1024
_MAX_REASON = 200
_MISSING = frozenset({403, 404, 405, 410})
_LOCAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES}
_REFUSALS = {kind.kind: kind for kind in (Conflict, Invalid, Denied, Locked, KeyFailure)}


def connect(address: Address, domain: str | None, means: Means) -> Transport:
    """A client for a server, which is asked where its domain stands; where no dbx answers, a reader of plain files."""
    client = HttpTransport(address, domain, means)
    try:
        if client.is_served():
            return client
    except BaseException:
        client.close()
        raise
    client.close()
    from dbx.remotes import static

    return static.connect(address, domain, means)


class _Unknown(RemoteFailure):
    """The address is not known to who answers there, and the answer is not dbx's."""


class HttpTransport:
    """One connection, kept open between requests."""

    _hint_failed = "nothing was changed; try again, and see whether the server runs"
    _hint_unreached = "see whether the server runs, and the address is right"

    def __init__(self, address: Address, domain: str | None, means: Means) -> None:
        parts = urlsplit(address.location)
        self._url = address.text
        self._host, self._port = parts.hostname or "", parts.port
        self._is_tls = address.scheme == "https"
        self._base = quote(parts.path.rstrip("/"), safe="/~")
        self._domain = domain
        self._means = means
        self._pace = Pace(time.monotonic() + means.deadline_s, means.timeout_s)
        self._token: str | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._described: Description | None = None

    # -- the protocol ----------------------------------------------------------------------------------------------

    def is_served(self) -> bool:
        """Whether dbx answers there, or a web server that knows nothing of it. The answer is kept for `describe`."""
        try:
            self._described = self.describe()
        except _Unknown:
            return False
        return True

    def describe(self) -> Description:
        """Where the server's domain stands."""
        found, self._described = self._described, None
        if found is not None:
            return found
        data = self._small("GET", "describe", {})
        with _foreign():
            return Description(*wire.decode_description(data))

    def check(self) -> None:
        """There is nothing to try: the other side takes care of what it takes in."""

    def commit_ids(self, seqs: Sequence[int]) -> list[str | None]:
        """Ids by seqs."""
        query = {"seqs": ",".join(map(str, seqs))}
        data = self._small("GET", "commits", query)
        with _foreign():
            return wire.decode_ids(data, len(seqs))

    def fetch(self, directory: Directory, base: Point, schemas: str | None) -> Arrived:
        """Ask for a bundle and take it into quarantine as it comes."""
        query = {
            "after": f"{base.seq}:{base.commit}:{base.position}" if base.seq >= 0 else "",
            "schemas": schemas or "",
        }
        with self._answer("GET", "bundle", query) as read:
            return unpack(directory, read, self._means.vault)

    def data_keys(self) -> frozenset[bytes]:
        """A server says nothing of its keys: it seals with its own."""
        return frozenset()

    def send(self, offer: Offer) -> None:
        """Send a bundle; the answer comes once the server has it in its history."""
        with self._answer("POST", "bundle", {}, offer.blocks(), offer.size) as read, _foreign():
            wire.decode_description(_whole(read, wire.MAX_BYTES))

    def roots(self, aggregate_type: str | None, aggregate_id: str | None) -> list[Root]:
        """Aggregates with versions and roots."""
        query = {key: text for key, text in (("type", aggregate_type), ("id", aggregate_id)) if text is not None}
        with self._answer("GET", "roots", query) as read, _foreign():
            lines = split(_pieces(read, MAX_ROOTS_BYTES), max_bytes=wire.MAX_BYTES)
            return [Root(*wire.decode_root(line)) for line in wire.until_end(lines)]

    def prefix_roots(self, wanted: Sequence[Wanted]) -> list[str | None]:
        """Roots at versions."""
        body = wire.encode_wanted(wanted)
        data = self._small("POST", "prefixes", {}, body)
        with _foreign():
            return wire.decode_ids(data, len(wanted))

    @contextmanager
    def histories(self, wanted: Sequence[Wanted]) -> Iterator[Iterator[bytes]]:
        """Events as lines, asked for so many aggregates at a time."""

        def lines() -> Iterator[bytes]:
            for at in range(0, len(wanted), wire.MAX_WANTED):
                body = wire.encode_wanted(wanted[at : at + wire.MAX_WANTED])
                with self._answer("POST", "histories", {}, [body], len(body)) as read:
                    yield from wire.until_end(split(_pieces(read, None)))

        yield lines()

    def send_histories(self, lines: Iterable[bytes]) -> int:
        """Send events as lines."""
        # Not every server takes a body whose length it is not told.
        with tempfile.TemporaryFile() as spool:
            for line in lines:
                spool.write(line)
            size = spool.tell()
            spool.seek(0)
            pieces = iter(lambda: spool.read(_AT_ONCE), b"")
            with self._answer("POST", "events", {}, pieces, size) as read, _foreign():
                return wire.decode_count(_whole(read, wire.MAX_BYTES))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _small(self, method: str, verb: str, query: Mapping[str, str], body: bytes | None = None) -> bytes:
        with self._answer(method, verb, query, None if body is None else [body], len(body or b"")) as read:
            return _whole(read, wire.MAX_BYTES)

    @contextmanager
    def _answer(
        self,
        method: str,
        verb: str,
        query: Mapping[str, str],
        body: Iterable[bytes] | None = None,
        size: int = 0,
    ) -> Iterator[Callable[[int], bytes]]:
        """One request; what reads its answer. Raises RemoteFailure, and what the server refused."""
        try:
            with self._blaming():
                response = self._request(method, verb, query, body, size)
                if response.status == 401 and self._token is None and body is None:
                    self._token = self._means.ask_token()
                    if self._token is not None:
                        response.read(wire.MAX_BYTES)
                        response = self._request(method, verb, query, body, size)
                if response.status != 200:
                    raise self._refusal(response)
            with self._blaming():
                yield response.read1
            self._end(response)
        except BaseException:
            self.close()
            raise

    def _end(self, response: http.client.HTTPResponse) -> None:
        """Keep the connection where the answer was read to its end; `read1` does not notice that by itself."""
        if response.length == 0:
            response.close()
        if not response.isclosed():
            self.close()

    def _request(
        self, method: str, verb: str, query: Mapping[str, str], body: Iterable[bytes] | None, size: int
    ) -> http.client.HTTPResponse:
        named = self._domain is None or self._base.rpartition("/")[2] == self._domain
        target = f"{self._base}{'' if named else f'/{self._domain}'}/{PREFIX}/{verb}"
        asked = {**query, **({"name": self._means.name} if self._means.name else {})}
        headers = {"Accept": "application/json, application/octet-stream"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Length"] = str(size)
        first_s = ANSWER_S if verb in ("bundle", "events") else self._means.timeout_s
        return self._exchange(method, f"{target}?{urlencode(asked)}" if asked else target, headers, body, first_s)

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: Iterable[bytes] | None, first_s: float
    ) -> http.client.HTTPResponse:
        """One request on a connection that may be a kept one; its answer may take `first_s` to begin."""
        token = self._token or self._means.find_token()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        headers["User-Agent"] = "dbx"
        self._pace.expect(first_s)
        is_kept = self._connection is not None
        try:
            return self._send(method, target, headers, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A connection that was kept may have been closed meanwhile; what only asks may be asked again.
            if not is_kept or body is not None:
                raise
            self.close()
            return self._send(method, target, headers, body)

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] | None
    ) -> http.client.HTTPResponse:
        connection = self._open()
        try:
            connection.request(method, target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # Who refuses early may not read to the end: its answer says why.
            if body is None:
                raise
        return connection.getresponse()

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = self._dial()
            self._connection.sock = PacedSocket(self._connection.sock, self._pace)
        return self._connection

    def _dial(self) -> http.client.HTTPConnection:
        """A connection whose socket is open. Other ways to a server replace this."""
        connection: http.client.HTTPConnection
        if self._is_tls:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._means.timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._means.timeout_s)
        connection.connect()
        return connection

    def _refusal(self, response: http.client.HTTPResponse) -> DbxError:
        """The error for an answer that is none."""
        if 300 <= response.status < 400:
            return RemoteFailure(
                f"'{self._url}' redirects to another address, which is not followed",
                hint="ask who runs it for the right address, and set it with 'dbx remote set-url'",
            )
        refused = wire.find_refusal(_whole(response.read1, wire.MAX_BYTES))
        if refused is None:
            if response.status == 401:
                return Denied(
                    f"'{self._url}' wants a token", hint="give one with '--token', or store it with the remote"
                )
            kind = _Unknown if response.status in _MISSING else RemoteFailure
            return kind(
                f"'{self._url}' answers with the status {response.status}, and not as dbx does",
                hint="is it the address of a 'dbx serve'?",
            )
        known = _REFUSALS.get(refused.kind)
        if known is None:
            is_domain = refused.kind == NotFound.kind and refused.message.startswith("domain ")
            hint = NO_DOMAIN if is_domain else refused.hint
            return RemoteFailure(f"the remote refused: {refused.message}", hint=hint, details=refused.details)
        return known(f"the remote refused: {refused.message}", hint=refused.hint, details=refused.details)

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """What goes wrong on the way is the remote's or the network's (8)."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise RemoteFailure(
                f"'{self._url}' does not prove who it is: {_said(error.verify_message)}",
                hint="its certificate must be valid for that name, and of a trusted authority (see SSL_CERT_FILE)",
            ) from None
        except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise RemoteFailure(
                f"the connection to '{self._url}' failed: {_reason(error)}",
                hint=self._hint_failed,
            ) from None
        except OSError as error:
            if error.filename is not None or error.errno is None or error.errno in _LOCAL:
                raise
            raise RemoteFailure(
                f"cannot reach '{self._url}': {_reason(error)}",
                hint=self._hint_unreached,
            ) from None


@contextmanager
def _foreign() -> Iterator[None]:
    """What cannot be read came from the other side: it is no damage here."""
    try:
        yield
    except Corrupt as error:
        error.details["received"] = True
        raise


def _reason(error: BaseException) -> str:
    said = str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    if isinstance(error, ssl.SSLError) and error.reason:
        # What OpenSSL calls it, without the place in its source.
        said = f"no TLS connection came about ({error.reason.replace('_', ' ').lower()})"
    return _said(said) or type(error).__name__


def _said(said: str) -> str:
    """What another library says, as a part of a sentence of ours."""
    text = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    text = re.sub(r"^_ssl\.c:[0-9]+: ", "", text)
    first = text if text[:2].isupper() else text[:1].lower() + text[1:]
    return first[:_MAX_REASON].rstrip(".")


def _whole(read: Callable[[int], bytes], max_bytes: int) -> bytes:
    return b"".join(_pieces(read, max_bytes))


def _pieces(read: Callable[[int], bytes], max_bytes: int | None) -> Iterator[bytes]:
    left = max_bytes
    while data := read(_AT_ONCE):
        if left is not None:
            left -= len(data)
            if left < 0:
                raise Corrupt("the answer is longer than it may be", details={"received": True})
        yield data
