"""Which aggregates stand differently in two places, and how: refs, domains, root files, and what is staged."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, DbxError, Invalid, NotFound
from dbx.ops.source import parse_source
from dbx.repo.batch.staging import staged_events
from dbx.repo.compare.between import Wanted, compare, compare_commits, compare_staged, find_common, gather_staged
from dbx.repo.compare.events import events_between
from dbx.repo.compare.rootfile import RootFile, find_commit_id, open_root_file
from dbx.repo.compare.side import DomainSide
from dbx.repo.compare.tracking import TrackingSide, find_tracked, tracked_events
from dbx.repo.reading.revision import resolve_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.formats.note import Vkey
    from dbx.formats.refs import Ref
    from dbx.model.event import Event
    from dbx.ops.session import Session
    from dbx.repo.compare.values import Common, Difference, Standing
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

__all__ = ["Diff", "Patch", "Place", "Trust", "Wanted", "diff"]

_PATHS = ("/", "./", "../")


@dataclass(frozen=True, slots=True)
class Place:
    """One side, as it was found: `kind` is "domain", "remote", "root_file" or "staged".

    `name` is what the user calls it, `file` the path of a root file. `domain_id`, `commit` and `seq` are None where
    there is no commit; hashes are hex. `signers` are the trusted keys that signed a root file, none where nobody known
    did, None where it is not signed.
    """

    kind: str
    name: str
    domain: str | None
    domain_id: str | None
    commit: str | None
    seq: int | None
    root: str | None
    file: str | None = None
    signers: tuple[str, ...] | None = None
    track: Ref | None = None


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs, by type and id. `related` is False where two sides share no commit and no history that is known.

    `common` is the last commit of two domains that both have: (id in hex, seq).
    """

    a: Place
    b: Place
    related: bool
    common: tuple[str, int] | None
    differences: list[Difference]


class _Source(NamedTuple):
    """Where a side is read from: a domain at a commit (None: its head), what a remote showed of it, or a root file."""

    name: str
    domain: Domain | None = None
    seq: int | None = None
    file: RootFile | None = None
    track: Ref | None = None
    signers: tuple[str, ...] | None = None


class Trust(NamedTuple):
    """Which keys are trusted, and whether every root file must be signed by one."""

    find_keys: Callable[[], Sequence[Vkey]] = tuple
    required: bool = False


def diff(
    find_session: Callable[[], Session], a: str | None, b: str | None, wanted: Wanted, trust: Trust | None = None
) -> Diff:
    """Compare A with B. Without B: A with the head, or both ends of `A..B`. Without both: the head with what is staged.

    `find_session` opens the repository; it is not asked where two root files are compared. Raises NotFound, Invalid,
    and Corrupt naming the line of a root file that was changed, or with a reason where its proof does not hold.
    """
    trust = trust or Trust()
    if a is None:
        return _diff_staged(find_session().domain, wanted)
    if b is None and ".." in a and not a.startswith(_PATHS) and not os.path.exists(a):
        first_text, _, second_text = a.partition("..")
        a, b = first_text or "HEAD", second_text or "HEAD"
    with ExitStack() as stack:
        first = _find_source(find_session, a, stack, trust)
        second = _Source("HEAD", find_session().domain) if b is None else _find_source(find_session, b, stack, trust)
        return _compare(first, second, wanted)


class Patch:
    """The events behind the differences, read when they are asked for."""

    def __init__(self, find_session: Callable[[], Session], found: Diff) -> None:
        self._find_session = find_session
        self._found = found
        self._grouped: dict[str, dict[tuple[str, str], list[Event]]] = {}

    def events(self, one: Difference) -> tuple[Iterator[Event], Iterator[Event]]:
        """The events that A has and B has not, and those that B has and A has not.

        A root file has no events; and where it is not known at which version two histories part, nothing is shown.
        """
        if one.common is None:
            return iter(()), iter(())
        return self._of(self._found.a, one, one.a, one.common), self._of(self._found.b, one, one.b, one.common)

    def _of(self, place: Place, one: Difference, standing: Standing | None, common: int) -> Iterator[Event]:
        if standing is None or place.domain is None:
            return iter(())
        domain = self._find_session().repository.domain(place.domain)
        if place.kind == "domain":
            return events_between(domain, one.type, one.id, common + 1, standing.version)
        events = staged_events(domain) if place.track is None else tracked_events(domain, place.track)
        grouped = self._grouped.get(place.name)
        if grouped is None:
            grouped = self._grouped[place.name] = {}
            for event in events:
                grouped.setdefault((event.aggregate_type, event.aggregate_id), []).append(event)
        theirs = (e for e in grouped.get((one.type, one.id), ()) if e.version > common)
        first = next(theirs, None)
        before: Iterator[Event] = iter(())
        if place.track is not None:
            # What both have of it, but the other side of the comparison has not, is ours.
            last = standing.version if first is None else first.version - 1
            if last > common:
                before = events_between(domain, one.type, one.id, common + 1, last)
        return chain(before, () if first is None else (first,), theirs)


# -- what the arguments name -------------------------------------------------------------------------------------------


def _find_source(find_session: Callable[[], Session], text: str, stack: ExitStack, trust: Trust) -> _Source:
    """A domain or a ref comes before a file of the same name; a path with a slash in front is always a file."""
    if not text:
        raise Invalid("an empty text names nothing to compare", hint="name a ref, a domain or a root file")
    is_file = os.path.exists(text)
    if text.startswith(_PATHS) or (is_file and os.path.isabs(text)):
        return _open(text, stack, trust)
    if not is_file:
        return _find_commit(find_session(), text)
    with suppress(DbxError):  # whatever keeps it from being a ref: it is a file
        return _find_commit(find_session(), text)
    return _open(text, stack, trust)


def _open(path: str, stack: ExitStack, trust: Trust) -> _Source:
    """A root file, with what its proof says."""
    from dbx.model.proof import UNKNOWN_KEY, UNSIGNED, verify_commit

    file = stack.enter_context(open_root_file(path))
    if file.proof is None or file.header.line is None:
        if trust.required:
            raise Corrupt(
                f"root file '{path}' is not signed", hint="ask for one made with --sign", details={"reason": UNSIGNED}
            )
        return _Source(path, file=file)
    verdict = verify_commit(file.header.line.decode(), file.proof, trust.find_keys())
    if verdict.reason is not None and (trust.required or verdict.reason not in (UNSIGNED, UNKNOWN_KEY)):
        why = next(link.text for link in verdict.links if link.reason == verdict.reason)
        raise Corrupt(
            f"the proof in root file '{path}' does not hold: {why}",
            hint="do not believe any line of it; get another copy",
            details={"file": path, "reason": verdict.reason},
        )
    return _Source(path, file=file, signers=verdict.signers)


def _find_commit(session: Session, text: str) -> _Source:
    name, at, _ = text.partition("@")
    if name and (at or name in session.repository.domain_names()):
        _, ref = parse_source(text)
        return _find_ref(session.repository.domain(name), text, ref)
    ref = text
    if at and not name:
        # '@2026-11-01' is a ref as it stands; before any other one the '@' may stand as in DOMAIN@REF.
        ref = parse_source(text)[1] or text
    try:
        return _find_ref(session.domain, text, ref)
    except NotFound as error:
        hint = f"there is no domain and no root file '{text}' either; see 'dbx domain list'"
        raise NotFound(error.message, hint=hint, details=error.details) from None


def _find_ref(domain: Domain, text: str, ref: str | None) -> _Source:
    if ref is None:
        return _Source(text, domain)
    track = find_tracked(domain, ref)
    if track is not None:
        return _Source(text, domain, track=track)
    return _Source(text, domain, resolve_revision(domain, ref).seq)


# -- comparing ---------------------------------------------------------------------------------------------------------


def _compare(a: _Source, b: _Source, wanted: Wanted) -> Diff:
    if a.domain is not None and b.domain is not None:
        if a.domain is b.domain:
            return _same_domain(a.domain, a, b, wanted)
        return _two_domains(a.domain, b.domain, a, b, wanted)
    if a.domain is not None and b.file is not None:
        return _with_file(a.domain, a, b.file, b, wanted, is_file_first=False)
    if b.domain is not None and a.file is not None:
        return _with_file(b.domain, b, a.file, a, wanted, is_file_first=True)
    assert a.file is not None  # noqa: S101 - every source is one of the two
    assert b.file is not None  # noqa: S101
    left, right = _file_place(a.file, a), _file_place(b.file, b)
    found = _sorted(compare(a.file, b.file, wanted))
    related = (
        left.domain_id == right.domain_id or left.commit == right.commit or _share(a.file, found, wanted, is_first=True)
    )
    return Diff(left, right, related, None, found)


def _same_domain(domain: Domain, a: _Source, b: _Source, wanted: Wanted) -> Diff:
    def query(working: WorkingSet, reader: LogReader) -> Diff:
        head = working.head.seq
        seq_a, seq_b = (head if one.seq is None else one.seq for one in (a, b))
        low = min(seq_a, seq_b)
        left = right = None
        if a.track is None and b.track is None:
            found = _sorted(compare_commits(working, reader, seq_a, seq_b, wanted))
        else:
            left, right = (_side(domain, working, reader, one) for one in (a, b))
            found = _sorted(compare(left, right, wanted))
            low = min(low, *(side.base for side in (left, right) if isinstance(side, TrackingSide)))
        common = None if low < 0 else (reader.commit(low).id.hex(), low)
        first = _place(domain, working, reader, a, left)
        return Diff(first, _place(domain, working, reader, b, right), True, common, found)

    return domain.read(query)


def _two_domains(first: Domain, second: Domain, a: _Source, b: _Source, wanted: Wanted) -> Diff:
    def query(mine: WorkingSet, reader: LogReader, theirs: WorkingSet, other: LogReader) -> Diff:
        left, right = _side(first, mine, reader, a), _side(second, theirs, other, b)
        seqs = [w.head.seq if one.seq is None else one.seq for w, one in ((mine, a), (theirs, b))]
        bases = [
            side.base if isinstance(side, TrackingSide) else seq for side, seq in zip((left, right), seqs, strict=True)
        ]
        common: Common | None = find_common(mine, theirs, *bases)
        return Diff(
            _place(first, mine, reader, a, left),
            _place(second, theirs, other, b, right),
            common is not None or first.id == second.id,
            None if common is None else (common.id.hex(), common.seq),
            _sorted(compare(left, right, wanted)),
        )

    return first.read(lambda mine, reader: second.read(lambda theirs, other: query(mine, reader, theirs, other)))


def _with_file(
    domain: Domain, source: _Source, file: RootFile, named: _Source, wanted: Wanted, *, is_file_first: bool
) -> Diff:
    commit = find_commit_id(file.header)
    other = _file_place(file, named)

    def query(working: WorkingSet, reader: LogReader) -> Diff:
        side = _side(domain, working, reader, source)
        mine = _place(domain, working, reader, source, side)
        found = _sorted(compare(file, side, wanted) if is_file_first else compare(side, file, wanted))
        related = other.domain_id == domain.id or (commit is not None and bool(working.index.find_commits(commit)))
        related = related or _share(file, found, wanted, is_first=is_file_first)
        a, b = (other, mine) if is_file_first else (mine, other)
        return Diff(a, b, related, None, found)

    return domain.read(query)


def _share(file: RootFile, found: list[Difference], wanted: Wanted, *, is_first: bool) -> bool:
    """Whether the other side has a whole history that a root file has, or its beginning: events have random salts."""
    if any(one.certain and one.status in ("ahead", "behind") for one in found):
        return True
    differing = sum((one.a if is_first else one.b) is not None for one in found)
    return wanted == Wanted() and file.header.aggregates > differing


def _diff_staged(domain: Domain, wanted: Wanted) -> Diff:
    head = _Source("HEAD", domain)
    place = domain.read(lambda working, reader: _place(domain, working, reader, head))
    gathered = gather_staged(staged_events(domain), wanted)
    found = domain.read(lambda working, _: compare_staged(working.index, gathered))
    staged = Place("staged", "staged", domain.name, domain.id, None, None, None)
    common = None if place.commit is None or place.seq is None else (place.commit, place.seq)
    return Diff(place, staged, True, common, found)


def _side(domain: Domain, working: WorkingSet, reader: LogReader, source: _Source) -> DomainSide:
    if source.track is not None:
        return TrackingSide(working, reader, domain.directory, source.track)
    return DomainSide(working, reader, source.seq)


def _place(
    domain: Domain, working: WorkingSet, reader: LogReader, source: _Source, side: DomainSide | None = None
) -> Place:
    if source.track is not None:
        ref = source.track
        root = None if side is None else side.root.hex()
        return Place("remote", source.name, domain.name, domain.id, ref.commit, ref.seq, root, track=ref)
    seq = working.head.seq if source.seq is None else source.seq
    if seq < 0:
        return Place("domain", source.name, domain.name, domain.id, None, None, working.head.root.hex())
    entry = reader.commit(seq)
    return Place("domain", source.name, domain.name, domain.id, entry.id.hex(), seq, entry.commit.index)


def _file_place(file: RootFile, source: _Source) -> Place:
    header = file.header
    commit = header.commit
    return Place(
        "root_file",
        source.name,
        None,
        None if commit is None else commit.domain,
        find_commit_id(header),
        None if commit is None else commit.seq,
        header.root.hex(),
        source.name,
        source.signers,
    )


def _sorted(found: Iterator[Difference]) -> list[Difference]:
    return sorted(found, key=lambda one: (one.type, one.id))
