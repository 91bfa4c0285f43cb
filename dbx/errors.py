"""One tree of exceptions. Each class carries the exit status that cli.md promises.

A message says what failed and why, in lower case, with the subject in quotes and no full stop. The hint says what to do
next. Neither ever holds a payload, a token or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

SHOWN_CHARS = 80
"""So much of a user's text is repeated in a message."""


class DbxError(Exception):
    """An error that is told to the user in one sentence. Status 1: the answer is no, or no better class fits."""

    status: ClassVar[int] = 1
    kind: ClassVar[str] = "failure"

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})


class Failure(DbxError):
    """Something outside dbx failed: a full disk, a missing permission."""


class UsageError(DbxError):
    """The command line is wrong."""

    status = 2
    kind = "usage"


class NotFound(DbxError):
    """A repository, domain, aggregate, event or ref does not exist."""

    status = 3
    kind = "not_found"


class Conflict(DbxError):
    """The history is not where the caller believed it to be."""

    status = 4
    kind = "conflict"


class Invalid(DbxError):
    """Input that breaks a rule: JSON, names, sizes, schemas."""

    status = 5
    kind = "invalid"


class Denied(DbxError):
    """A token or a policy says no."""

    status = 6
    kind = "denied"


class Corrupt(DbxError):
    """Stored or received bytes are not what their hash, checksum or format says."""

    status = 7
    kind = "corrupt"


class RemoteFailure(DbxError):
    """A remote cannot be reached, or refused."""

    status = 8
    kind = "remote"


class Locked(DbxError):
    """Another process holds the writer's lock."""

    status = 9
    kind = "locked"


class KeyFailure(DbxError):
    """The key is missing or wrong."""

    status = 10
    kind = "key"


def quote(text: str) -> str:
    """`text` between single quotes for a message: one line, nothing invisible, cut after 80 characters."""
    shown = text[:SHOWN_CHARS]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
    return f"'{shown}…'" if len(text) > SHOWN_CHARS else f"'{shown}'"
