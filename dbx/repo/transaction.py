"""A transaction before and after it became history: what is asked for, and what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats.commit import CommitActor, message_text
from dbx.formats.envelope import Actor, issuer_text
from dbx.formats.reflog import ReflogEntry
from dbx.model.event import Event
from dbx.repo.events import decode_own
from dbx.repo.log import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Lock

    from dbx.formats.commit import Commit
    from dbx.repo.build import Existence
    from dbx.repo.domain import Domain
    from dbx.repo.erasing import Rewritten
    from dbx.repo.single import Draft


class Committed(NamedTuple):
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


def drafted_event(draft: Draft, issued_by: Actor | None, committed: Committed) -> Event:
    """The event that a draft became, by itself in its commit: nothing is decoded again."""
    commit = committed.commit
    parts = committed.envelopes[0].split(b'"')
    return Event(
        draft.type,
        draft.id,
        int(parts[-1][1:-1]),
        draft.event_type,
        int(parts[19]),
        commit.time,
        issued_by,
        draft.payload,
        draft.metadata,
        None,
        commit.events,  # the root over one leaf is that leaf
        commit.position,
        commit.seq,
    )


class Append:
    """One transaction to be: objects as `apply --from` takes them, who sends them, and what must hold.

    `plan` gives, once the lock is held, the events that go before. `announce` is told of the commit right before it is
    written, and may still fail it. `draft` is the same event once more, prepared for `build_single`, where there is
    only one and nothing odd about it; then `event` is what it became. `replaced` are segments, by their hashes, in
    whose place others come together with the commit. `turn` is held while its thread waits for others.
    """

    __slots__ = (
        "announce",
        "done",
        "draft",
        "error",
        "event",
        "existence",
        "issued_by",
        "items",
        "message",
        "plan",
        "replaced",
        "reserved",
        "result",
        "turn",
    )

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
        self.draft: Draft | None = None
        self.event: Event | None = None
        self.plan: Callable[[], list[dict[str, Any]]] | None = None
        self.announce: Callable[[Committed], None] | None = None
        self.issued_by = issued_by
        self.message = message or None
        self.existence: Existence = existence
        self.reserved = reserved
        self.replaced: Mapping[str, Rewritten] = {}
        self.result: Committed | None = None
        self.error: BaseException | None = None
        self.done = False
        self.turn: Lock | None = None

    def take(self, committed: Committed) -> None:
        """This is what was written; whether it is durable, `result` says."""
        if self.draft is not None:
            self.event = drafted_event(self.draft, self.issued_by, committed)

    def complete(self) -> None:
        """Put what must go before in front. The writer's lock must be held."""
        if self.plan is not None:
            self.items = [*self.plan(), *self.items]
            self.plan = None


def commit_actor(domain: Domain, by: Actor | None) -> CommitActor | None:
    """Who commits to a domain: with the id of the token that is used, if one is."""
    if by is None:
        return None
    return CommitActor(by.group, by.user, None if domain.access is None else domain.access.token_id)


def reflog_entry(commit: Commit, commit_id: str, reason: str | None = None) -> ReflogEntry:
    """How a commit shows in the reflog."""
    by = Actor("-", "-") if commit.actor is None else Actor(commit.actor.group, commit.actor.user)
    text = reason or (f"commit: {commit.message}" if commit.message else "commit")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return ReflogEntry(commit.parent, commit_id, commit.seq, commit.time, by, text[:200])
