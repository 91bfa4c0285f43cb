"""Errors as answers of a server: their status, and what of them the other side is told (dbx-protocol(5))."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dbx import errors
from dbx.errors import Corrupt, DbxError, Denied, Invalid
from dbx.formats import wire
from dbx.remotes.gate import TOO_MANY, UNAUTHENTICATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    StartResponse = Callable[..., Any]

JSON = "application/json"
_STATUS = {
    errors.Conflict.kind: HTTPStatus.CONFLICT,
    errors.Invalid.kind: HTTPStatus.BAD_REQUEST,
    errors.UsageError.kind: HTTPStatus.BAD_REQUEST,
    errors.Denied.kind: HTTPStatus.FORBIDDEN,
    errors.NotFound.kind: HTTPStatus.NOT_FOUND,
    errors.Locked.kind: HTTPStatus.SERVICE_UNAVAILABLE,
}


class TooLarge(Invalid):
    """A request's body is longer than this server takes in."""


def refuse(error: DbxError, start_response: StartResponse) -> Iterable[bytes]:
    """An error as an answer. What is wrong with what was sent is the sender's fault, and not damage here."""
    details = {key: value for key, value in error.details.items() if key not in ("received", "file", "evidence")}
    status = _STATUS.get(error.kind, HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, TooLarge):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    message = error.message
    if isinstance(error, Corrupt):
        is_theirs = bool(error.details.get("received"))
        status = HTTPStatus.UNPROCESSABLE_ENTITY if is_theirs else HTTPStatus.INTERNAL_SERVER_ERROR
    more: list[tuple[str, str]] = []
    if isinstance(error, Denied) and error.details.get("reason") in UNAUTHENTICATED:
        status, more = HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", 'Bearer realm="dbx"')]
    elif isinstance(error, Denied) and error.details.get("reason") == TOO_MANY:
        status, more = HTTPStatus.TOO_MANY_REQUESTS, [("Retry-After", "60")]
    data = wire.encode_refusal(wire.Refusal(error.kind, message, error.hint, details))
    headers = [("Content-Type", JSON), ("Content-Length", str(len(data))), ("Cache-Control", "no-store"), *more]
    start_response(f"{status.value} {status.phrase}", headers)
    return [data]
