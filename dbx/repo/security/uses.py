"""Counting the events that were written with a token that has a limit, from history, in all domains.

.dbx/uses.json    what was counted so far (formats.uses)
.dbx/uses.lock    held from the count until what is written is durable, so that no two writers share what is left

The counts of commits are derived: they catch up with the log, and are made anew where the log is another one. What came
by a push has commits that name others; it is noted before it becomes history, and taken off again where it did not.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Denied
from dbx.formats.uses import MAX_BYTES, Counted, Uses, decode_uses, encode_uses
from dbx.repo import query
from dbx.repo.repository import Repository
from dbx.store.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.domain import Domain

FILE = "uses.json"
LOCK = "uses.lock"


class Budget:
    """What is left of a token's limit; None: there is none.

    What is to be pushed is noted before it can become history: a crash may count some that did not, and none twice.
    """

    def __init__(self, repository: Repository | None, token_id: str, left: int | None) -> None:
        self._repository = repository
        self._token_id = token_id
        self.left = left
        self._pushed = 0
        self._noted = 0
        self._spent = 0

    def spend(self, count: int, *, pushed: bool = False) -> None:
        """So many events are to be written. Raises Denied where they are too many."""
        if self.left is None:
            return
        if count > self.left:
            raise Denied(
                "token write limit reached",
                hint=f"it may write {self.left} more events; ask for another token",
                details={"reason": "write-limit", "left": self.left, "jti": self._token_id},
            )
        self.left -= count
        self._spent += count
        if pushed:
            self._pushed += count
            if self._pushed > self._noted:
                # Twice as many as were asked for, so that a long push is noted a few times only.
                self._note(min(2 * self._pushed, self._pushed + self.left))

    def restart(self) -> None:
        """What was spent since the last `settle` was not written, and is asked for once more."""
        if self.left is not None:
            self.left += self._spent
        self._spent = 0

    def settle(self) -> None:
        """What was spent is written."""
        self._spent = 0

    def close(self, *, written: bool) -> None:
        """Note what was pushed: all that was asked for, or nothing where it was not written."""
        self._note(self._pushed if written else 0)

    def _note(self, count: int) -> None:
        if count != self._noted and self._repository is not None:
            _add_pushed(self._repository, self._token_id, count - self._noted)
            self._noted = count


@contextmanager
def budget(repository: Repository, token_id: str, limit: int | None) -> Iterator[Budget]:
    """What is left of a token's limit, for as long as the block lasts. Take it before any domain's lock."""
    if limit is None:
        yield Budget(None, token_id, None)
        return
    lock = Lock(repository.directory, LOCK)
    lock.acquire(repository.wait_s)
    try:
        made = Budget(repository, token_id, max(0, limit - _count(repository, token_id)))
        try:
            yield made
        except BaseException:
            made.close(written=False)
            raise
        made.close(written=True)
    finally:
        lock.close()


def count_uses(repository: Repository, token_id: str) -> int:
    """How many events were written with a token."""
    lock = Lock(repository.directory, LOCK)
    lock.acquire(repository.wait_s)
    try:
        return _count(repository, token_id)
    finally:
        lock.close()


def _count(repository: Repository, token_id: str) -> int:
    """The counts, brought forward to the head of every domain."""
    uses = _read(repository)
    # Other objects than those of the writer at work: it may hold a mutex that another thread waits for.
    other = Repository(repository.path, clock=repository.clock, wait_s=repository.wait_s, safe=("*",))
    other.vault = repository.vault
    try:
        domains: dict[str, Counted] = {}
        for name in other.domain_names():
            domain = other.domain(name)
            counted = _bring_forward(domain, uses.domains.get(domain.id))
            if domain.id not in domains or domains[domain.id].seq < counted.seq:
                domains[domain.id] = counted
    finally:
        other.close()
    if domains != uses.domains:
        _write(repository, uses._replace(domains=domains))
    return uses.pushed.get(token_id, 0) + sum(one.counts.get(token_id, 0) for one in domains.values())


def _bring_forward(domain: Domain, known: Counted | None) -> Counted:
    head = domain.read(lambda working, _: (working.head.seq, working.head.commit.hex()))
    if known is not None and (known.seq, known.commit) == head:
        return known
    if known is not None and known.seq >= 0 and not _holds(domain, known, head[0]):
        known = None
    counts = {} if known is None else dict(known.counts)
    first = 0 if known is None else known.seq + 1
    for entry in query.iterate_commits(domain, newest=False, first=first, last=head[0]):
        actor = entry.commit.actor
        # A fork holds the commits of another domain too; they are counted there.
        if actor is not None and actor.token is not None and entry.commit.domain == domain.id:
            counts[actor.token] = counts.get(actor.token, 0) + entry.commit.count
    return Counted(*head, counts)


def _holds(domain: Domain, known: Counted, last: int) -> bool:
    """Whether what was counted is still the beginning of the domain's history."""
    return known.seq <= last and query.get_commit(domain, known.seq).id.hex() == known.commit


def _add_pushed(repository: Repository, token_id: str, count: int) -> None:
    uses = _read(repository)
    uses.pushed[token_id] = uses.pushed.get(token_id, 0) + count
    _write(repository, uses)


def _read(repository: Repository) -> Uses:
    data = repository.directory.find(FILE, MAX_BYTES)
    if data is None:
        return Uses({}, {})
    try:
        return decode_uses(data)
    except Corrupt as error:
        path = repository.directory.path_of(FILE)
        raise Corrupt(
            f"'{path}': {error.message}", hint="what was pushed cannot be counted again", details={"file": FILE}
        ) from None


def _write(repository: Repository, uses: Uses) -> None:
    repository.directory.write(FILE, encode_uses(uses))
