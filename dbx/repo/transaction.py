"""A transaction before and after it became history: what is asked for, and what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.formats.commit import CommitActor, message_text
from dbx.formats.envelope import issuer_text
from dbx.repo.events import decode_own
from dbx.repo.log import Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.commit import Commit
    from dbx.formats.envelope import Actor
    from dbx.model.event import Event
    from dbx.repo.build import Existence


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is durable, with the lines of its events."""

    commit: Commit
    id: str
    envelopes: Sequence[bytes]
    bodies: Sequence[bytes]

    def events(self) -> list[Event]:
        """The events, decoded."""
        first, seq = self.commit.position, self.commit.seq
        return [
            decode_own(Stored(first + n, envelope, body), seq)
            for n, (envelope, body) in enumerate(zip(self.envelopes, self.bodies, strict=True))
        ]


class Append:
    """One transaction to be: objects as `apply --from` takes them, who sends them, and what must hold."""

    __slots__ = ("actor", "done", "error", "existence", "issued_by", "items", "message", "reserved", "result")

    def __init__(
        self,
        items: Sequence[dict[str, Any]],
        *,
        issued_by: Actor | None,
        message: str | None = None,
        existence: Existence = "any",
        reserved: bool = False,
    ) -> None:
        if not items:
            raise Invalid("a transaction needs at least one event")
        # Refused here, where it concerns this transaction only: later it would fail the whole group.
        if message:
            message_text(message)
        if issued_by is not None:
            issuer_text(issued_by)
        self.items = items
        self.issued_by = issued_by
        self.actor = None if issued_by is None else CommitActor(issued_by.group, issued_by.user)
        self.message = message or None
        self.existence: Existence = existence
        self.reserved = reserved
        self.result: Committed | None = None
        self.error: BaseException | None = None
        self.done = False
