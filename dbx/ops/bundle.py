"""A history in one file: make it, check it, take it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Invalid
from dbx.formats.bundle import START
from dbx.ops import audit
from dbx.repo.reading.revision import resolve_revision
from dbx.repo.replica.bundlefile import Verified, reading, verify_bundle, write_bundle
from dbx.repo.replica.offer import STRANGER, commit_ids, offering, point_at
from dbx.repo.replica.quarantine import quarantined, unpack
from dbx.repo.replica.receive import Terms, receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.bundle import Point
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain
    from dbx.repo.replica.bundlefile import Source
    from dbx.repo.replica.receive import Received


class Bundled(NamedTuple):
    """A bundle that was written: what it continues, where it ends, how much it holds; `bytes` is its size."""

    file: str
    domain: str
    base: Point
    head: Point
    commits: int
    events: int
    bytes: int


class Applied(NamedTuple):
    """What a bundle brought to a domain."""

    file: str
    domain: str
    received: Received


def create(
    session: Session, target: str | Callable[[bytes], None], wanted: str | None, *, plain: bool = False
) -> Bundled:
    """Write the commits of a range, all of them by default, into a file, or hand them over piece by piece. What is
    sealed stays so unless `plain`.

    Raises Invalid, NotFound, KeyFailure.
    """
    if plain and session.repository.vault.is_locked:
        raise session.repository.vault.missing()
    domain = session.domain
    base, upto = _range(domain, wanted)
    with offering(domain, base, upto, reader=STRANGER if plain else None) as offer:
        if wanted is not None and not offer.commits:
            raise Invalid(f"there are no commits in '{wanted}'", hint="write A..B, A.., ..B, or a ref")
        if isinstance(target, str):
            write_bundle(offer, target)
        else:
            for block in offer.blocks():
                target(block)
        path, size = target if isinstance(target, str) else "-", offer.size
        return Bundled(path, domain.name, base, offer.header.head, offer.commits, offer.events, size)


def verify(source: Source, *, progress: Callable[[int], None] | None = None) -> Verified:
    """Check a bundle; no repository is needed. Raises NotFound, Corrupt."""
    return verify_bundle(source, progress=progress)


def apply(
    session: Session, source: Source, *, dry_run: bool = False, progress: Callable[[int], None] | None = None
) -> Applied:
    """Take a bundle's commits into the history; with `dry_run` only check them. Raises NotFound, Corrupt, Conflict."""
    domain = session.domain
    terms = Terms(session.actor, "bundle: apply", progress=progress, keep=not dry_run)
    with quarantined(domain.directory) as directory, reading(source) as read:
        arrived = unpack(directory, read, domain.vault)
        try:
            done = receive(domain, arrived, terms)
        except Conflict as error:
            raise _parted(domain, arrived.header.base, error) from None
    if not dry_run:
        details = {"old": done.before.commit or None, "new": done.head.commit or None}
        audit.note(session, "ref.bundle", details, domain=domain.name)
    return Applied(source if isinstance(source, str) else "-", domain.name, done)


def _parted(domain: Domain, base: Point, error: Conflict) -> Conflict:
    """The error where a history has gone on by itself since the commit that a bundle continues; any other as it is."""
    if "base" not in error.details or (base.seq >= 0 and commit_ids(domain, [base.seq]) != [base.commit]):
        return error
    since = f" behind commit {base.seq}, which it continues," if base.seq >= 0 else ""
    begin = f" --from {domain.name}@{base.commit[:12]}" if base.seq >= 0 else ""
    return Conflict(
        f"cannot apply the bundle: domain '{domain.name}' has commits{since} that it lacks",
        hint=f"nothing was changed; apply it in a domain of its own ('dbx checkout -c NAME{begin}'),"
        f" and take its events over with 'dbx merge --from NAME --into {domain.name}'",
        details=error.details,
    )


def _range(domain: Domain, wanted: str | None) -> tuple[Point, int | None]:
    if wanted is None:
        return START, None
    first, dots, last = wanted.partition("..")
    if not dots:
        return START, resolve_revision(domain, wanted).seq
    base = point_at(domain, resolve_revision(domain, first).seq) if first else START
    return base, resolve_revision(domain, last).seq if last else None
