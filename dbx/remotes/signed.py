"""Requests to an object store that speaks S3, by addresses that are signed for each of them.

A signed address works for one method and one object, for a while; that is all the store gets to see of the credentials.
It goes to the store's host and nowhere else: no redirect is followed. As for the client of a server, certificates are
verified, and every answer is bounded in bytes and in time.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from dbx.errors import DbxError, Denied, RemoteFailure
from dbx.model.address import Address
from dbx.remotes.http import HttpTransport

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dbx.remotes.base import Means

    Sign = Callable[[str, str], str]
    """(method, key) -> the address to ask."""

RETRIES = 2
REQUEST_S = 300.0
"""How long a store may take to say that it has what was sent."""
HINT = "see AWS_ENDPOINT_URL, AWS_REGION, the bucket's name, and whether the store runs"
_PAUSE_S = 0.1
_TRANSIENT = frozenset({409, 429, 500, 502, 503, 504})
_MAX_ERROR_BYTES = 64 * 1024
_find_code = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>").search


class Reply(NamedTuple):
    """A store's answer; `again` tells that it is not the first to this request, and an earlier one may have been done
    although its answer was lost."""

    response: http.client.HTTPResponse
    again: bool

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def tag(self) -> str | None:
        """The object's ETag."""
        return self.response.getheader("ETag")


class SignedClient(HttpTransport):
    """One connection to a store. `url` is for messages."""

    _hint_failed = _hint_unreached = HINT

    def __init__(self, url: str, sign: Sign, means: Means) -> None:
        parts = urlsplit(sign("GET", "x"))
        self._origin = (parts.scheme, parts.netloc)
        # What dbx knows of tokens is for its own servers.
        quiet = means._replace(find_token=lambda: None, ask_token=lambda: None)
        super().__init__(Address(f"{parts.scheme}://{parts.netloc}/", parts.scheme, None), None, quiet)
        self._url = url
        self._sign = sign

    @contextmanager
    def asked(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[Reply]:
        """One request; its answer, whatever its status. Raises RemoteFailure.

        It is made again where the store is busy or hangs up, unless its body comes in pieces, whose length is in the
        headers then.
        """
        sent = dict(headers or {})
        if isinstance(body, bytes):
            sent["Content-Length"] = str(len(body))
        try:
            with self._blaming():
                reply = self._tried(method, key, sent, body)
                yield reply
            self._end(reply.response)
        except BaseException:
            self.close()
            raise

    def refusal(self, response: http.client.HTTPResponse) -> DbxError:
        """The error for an answer that no request hopes for. It may quote the address, so only its code is told."""
        status = response.status
        if status in (401, 403):
            return Denied(
                f"'{self._url}' does not allow it", hint="credentials come from AWS_ACCESS_KEY_ID and its like"
            )
        if 300 <= status < 400:
            return RemoteFailure(
                f"'{self._url}' redirects to another address, which is not followed",
                hint="let AWS_ENDPOINT_URL and AWS_REGION name the store itself",
            )
        with self._blaming():
            found = _find_code(response.read(_MAX_ERROR_BYTES))
        code = "" if found is None else f" ({found[1].decode()})"
        return RemoteFailure(
            f"cannot reach '{self._url}': it answers with the status {status}{code}",
            hint=HINT,
        )

    def _tried(self, method: str, key: str, headers: dict[str, str], body: bytes | Iterable[bytes] | None) -> Reply:
        again = isinstance(body, bytes) or body is None
        pieces = [body] if isinstance(body, bytes) else body
        if not again:
            self.close()  # a kept connection may have been closed over there, and these pieces come once
        for attempt in range(RETRIES + 1):
            is_last = attempt == RETRIES or not again
            try:
                first_s = self._means.timeout_s if body is None else REQUEST_S
                response = self._exchange(method, self._target(method, key), headers, pieces, first_s)
            except (ConnectionError, TimeoutError):
                self.close()
                if is_last:
                    raise
            else:
                if is_last or response.status not in _TRANSIENT:
                    return Reply(response, attempt > 0)
                self.close()
            time.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError

    def _target(self, method: str, key: str) -> str:
        parts = urlsplit(self._sign(method, key))
        if (parts.scheme, parts.netloc) != self._origin:
            raise RemoteFailure(
                f"the address of '{self._url}' has changed meanwhile", hint="keep AWS_ENDPOINT_URL as it is"
            )
        return f"{parts.path}?{parts.query}"
