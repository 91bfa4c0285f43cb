"""Asking a time-stamping authority (RFC 3161 over HTTP, §3.4): one request, one bounded answer, no redirects."""

from __future__ import annotations

import http.client
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dbx.errors import Invalid, RemoteFailure

if TYPE_CHECKING:
    from urllib.parse import SplitResult

MAX_ANSWER_BYTES = 256 * 1024
TIMEOUT_S = 10.0
DEADLINE_S = 30.0


def check_url(url: str) -> SplitResult:
    """The parts of an http or https URL without credentials. Raises Invalid."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid("the address of a time-stamping authority begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise Invalid("the address of a time-stamping authority has no credentials in it")
    return parts


def ask_authority(url: str, query: bytes) -> bytes:
    """The authority's answer to a time-stamp query. Raises Invalid, RemoteFailure."""
    parts = check_url(url)
    until = time.monotonic() + DEADLINE_S
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, query, {"Content-Type": "application/timestamp-query"})
        response = connection.getresponse()
        data = bytearray()
        while len(data) <= MAX_ANSWER_BYTES and (piece := response.read1(16 * 1024)):
            data += piece
            if time.monotonic() > until:
                raise _failure(url, "it answers too slowly")
    except (OSError, http.client.HTTPException) as error:
        raise _failure(url, str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise _failure(url, f"it answers with status {response.status}")
    if len(data) > MAX_ANSWER_BYTES:
        raise _failure(url, "its answer is too long")
    return bytes(data)


def _failure(url: str, why: str) -> RemoteFailure:
    return RemoteFailure(f"the time-stamping authority '{url}' gave no time stamp: {why}")
