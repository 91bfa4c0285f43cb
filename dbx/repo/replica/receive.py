"""Taking in a bundle, from wherever: quarantine, limits, every check, then the files, the manifest, the ref.

One way for push, pull, clone and bundles. Until the ref has moved nothing of it is visible, and a crash leaves the old
history; after it, the new one. The index is brought forward within one transaction that ends behind the ref.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict, Corrupt, Failure
from dbx.formats.bundle import START, Point
from dbx.formats.envelope import Actor
from dbx.formats.manifest import encode_manifest
from dbx.formats.reflog import ReflogEntry
from dbx.formats.refs import Ref, encode_ref
from dbx.model.time import format_time
from dbx.repo.collection import no_collection
from dbx.repo.domainfile import known_as, write_domain_file
from dbx.repo.erasing import without_bodies
from dbx.repo.log import read_manifest, read_ref
from dbx.repo.replica.judging import judge_of
from dbx.repo.replica.quarantine import sweep_quarantine
from dbx.repo.replica.roots import follow_roots
from dbx.repo.replica.trim import trim
from dbx.repo.replica.vet import Vetting
from dbx.repo.schema import published, schemachain
from dbx.repo.seal import move_ref, seal, write_manifest
from dbx.repo.working import WorkingSet
from dbx.repo.writer import writing
from dbx.store.fs import TEMPORARY
from dbx.store.heldindex import HeldIndex
from dbx.store.index import MovedIndex
from dbx.store.segments import segment_name
from dbx.store.staging import NAME as STAGING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.domain import Domain
    from dbx.repo.replica.quarantine import Arrived
    from dbx.repo.replica.shared import Shared
    from dbx.repo.replica.vet import Judge
    from dbx.store.index import Head


class Received(NamedTuple):
    """What was taken in. `before` and `head` are where the history ended and ends; `schemas` counts new versions."""

    before: Point
    head: Point
    commits: int
    events: int
    schemas: int


class Terms(NamedTuple):
    """How a bundle is taken in: who sends it, the words for the reflog, and what else is asked of each commit.

    With `track`, the name of a remote-tracking ref, that ref is moved; `move` False leaves the branch where it is, and
    `keep` False everything: then it is only checked.
    `must` is a commit that the history has to hold in the end. With `validate`, events are checked again under the
    schemas that they were made under, as whoever is pushed to does. `find_shared` says what of our own history the
    workspace knows to be shared, which is never committed anew. `again` is asked under the writer's lock, before
    anything is kept, and raises Denied where whoever sends it may no longer.
    """

    actor: Actor
    reason: str
    move: bool = True
    track: str | None = None
    must: Point | None = None
    judge: Judge | None = None
    validate: bool = False
    find_shared: Callable[[], Shared] | None = None
    progress: Callable[[int], None] | None = None
    keep: bool = True
    again: Callable[[], None] | None = None

    def ask_again(self) -> None:
        """Whether whoever sends it still may. Raises Denied."""
        if self.again is not None:
            self.again()


def receive(domain: Domain, arrived: Arrived, terms: Terms) -> Received:
    """Check what arrived on top of this history, and make it history. All or nothing.

    Raises Corrupt, with `received` in its details, for what does not add up; Conflict where it does not continue this
    history; whatever the judge raises.
    """
    with writing(domain):
        sweep_quarantine(domain.directory)
        working = sealed(domain)
        before = point_of(working.head)
        newer = _check_schemas(domain, arrived)
        if _has(working, arrived.header.head):
            if newer and terms.keep:
                terms.ask_again()
                schemachain.adopt(domain.directory, arrived.schemas, arrived.header.schemas)
            if terms.track is not None and terms.keep and arrived.header.head.seq >= 0:
                track_known(domain, terms.track, arrived.header.head)
            return Received(before, before, 0, 0, newer)
        arrived = _continue(domain, arrived, working)
        path, base = working.index.path, working.indexed
    # Checking takes its time, and is done without the lock: others may write meanwhile, and then they were faster.
    with ExitStack() as stack:

        def lock() -> None:
            nonlocal newer
            stack.enter_context(writing(domain))
            stack.callback(domain.reset)
            if point_of(sealed(domain).head) != before:
                raise _moved(domain, before)
            newer = _check_schemas(domain, arrived)

        try:
            with closing(HeldIndex(path, base, domain.vault, before_writing=lock)) as held:
                vetting = vet(domain, WorkingSet(held), arrived, terms)
                if terms.keep:
                    held.hold()
                    _keep(domain, before, arrived, terms, vetting, held, has_schemas=newer > 0)
        except MovedIndex:  # whoever tidies files up is faster, too: raised by `hold`, before anything is kept
            raise _moved(domain, before) from None
    return Received(before, point_of(vetting.working.head), vetting.commits, vetting.events, newer)


def _check_schemas(domain: Domain, arrived: Arrived) -> int:
    """How many versions of the schemas that arrived are new here. Raises as schemachain.check_arrived."""
    if not schemachain.check_arrived(domain.directory, arrived.schemas, arrived.header.schemas):
        return 0
    return sum(name.startswith(published.VERSIONS) for name in arrived.schemas)


def sealed(domain: Domain) -> WorkingSet:
    """The working set with the index written and no journal. The writer's lock must be held.

    Raises Failure where the index cannot be written: what comes in is checked within a transaction of its file.
    """
    domain.flush()
    working = domain.sync()
    if working.head.journal:
        seal(domain, working, working.head)
        domain.flush()
        working = domain.sync()
    if domain.in_memory:
        raise Failure(
            f"the index of domain '{domain.name}' cannot be written: its disk is full, or may not be written to",
            hint="make room on the disk, or let it be written to, and run the command again",
        )
    return working


def adopt_id(domain: Domain, other: str, called: str, held: HeldIndex, origin: dict[str, Any] | None = None) -> None:
    """An empty domain that takes in a history becomes that domain: it gets its id, and what its references call it.

    `origin` is where a fork began that has no commits of its own yet. Raises Conflict.
    """
    if domain.id == other and domain.file.called == called and origin is None:
        return
    if domain.id != other and domain.directory.exists(STAGING):
        raise Conflict(
            f"domain '{domain.name}' has staged events, and would become another domain",
            hint="commit or reset them first",
        )
    write_domain_file(domain.directory, known_as(replace(domain.file, id=other, forked_from=origin), called))
    domain.forget_file()
    held.set_meta("domain", other)


def _continue(domain: Domain, arrived: Arrived, working: WorkingSet) -> Arrived:
    """What arrived, from where our history ends. Raises Conflict where it does not hold that commit."""
    base, mine = arrived.header.base, point_of(working.head)
    if base == mine:
        return arrived
    if _has(working, base) and mine.seq < arrived.header.head.seq:
        rest = trim(arrived, mine, domain.vault)
        if rest is not None:
            return rest
    what = f"commit {base.seq}, which the bundle continues, is" if base.seq >= 0 else "what the bundle begins with is"
    raise Conflict(
        f"{what} not where the history of domain '{domain.name}' ends",
        hint="the history has moved meanwhile: run 'dbx pull'"
        if _has(working, base)
        else "a bundle of what comes before is needed first, or it is another domain's",
        details={"base": base.seq, "head": mine.seq},
    )


def _has(working: WorkingSet, point: Point) -> bool:
    if point.seq < 0:
        return True
    found = working.index.find_commit(point.seq)
    return found is not None and found[0].hex() == point.commit


def _moved(domain: Domain, before: Point) -> Conflict:
    what = f"continues commit {before.seq}" if before.seq >= 0 else "begins the history"
    return Conflict(
        f"what comes {what} of domain '{domain.name}', but others were faster",
        hint="the history has moved meanwhile: run 'dbx pull'",
        details={"base": before.seq},
    )


def _keep(
    domain: Domain,
    before: Point,
    arrived: Arrived,
    terms: Terms,
    vetting: Vetting,
    held: HeldIndex,
    *,
    has_schemas: bool,
) -> None:
    """Make history of what was checked, under the writer's lock."""
    terms.ask_again()
    trial = vetting.working
    ref = read_ref(domain.directory)
    entries = [*(read_manifest(domain.directory, ref.manifest) if ref else ()), *arrived.entries]
    if terms.move:
        end = point_of(trial.head)
        forked = vetting.owner != (arrived.header.domain if before.seq < 0 else domain.id)
        origin = {"domain": vetting.owner, "commit": end.commit, "seq": end.seq} if forked else None
        if before.seq < 0:
            adopt_id(domain, arrived.header.domain, arrived.header.name, held, origin)
        elif origin is not None:  # what a fork goes on with comes from where it began, or the other way round
            write_domain_file(domain.directory, replace(domain.file, forked_from=origin))
            domain.forget_file()
    # From here on nothing is refused; what is done comes in the order that a crash may cut anywhere.
    if has_schemas:
        schemachain.adopt(domain.directory, arrived.schemas, arrived.header.schemas)
    move_in(domain, arrived)
    if terms.move and vetting.owed:
        entries = without_bodies(domain, trial, vetting.owed, entries)
    if terms.track is not None:
        set_tracking(domain, terms.track, entries)
    if terms.move:
        moved = move_ref(domain.directory, entries)
        domain.close_journal()
        settle(domain, trial, vetting, moved.manifest, held)
        note_move(domain, before, point_of(trial.head), terms)


def vet(domain: Domain, trial: WorkingSet, arrived: Arrived, terms: Terms) -> Vetting:
    """Check every segment that arrived on top of `trial`, whose index is held. Raises Corrupt, Conflict."""

    def has_schema(version: str) -> bool:
        name = schemachain.version_name(version)
        return name in arrived.schemas or domain.directory.exists(name)

    judge = judge_of(domain, arrived.schemas, terms.judge) if terms.validate else terms.judge
    vetting = Vetting(
        trial,
        has_schema=has_schema,
        judge=judge,
        redacted=domain.file.redacted,
        progress=terms.progress,
        vault=domain.vault,
        roots=follow_roots(trial, arrived.header.head.position - arrived.header.base.position),
    )
    with no_collection(), vetting:
        for entry in arrived.entries:
            vetting.take(arrived.directory, entry)
        vetting.finish()
    if terms.must is not None:
        found = trial.index.find_commit(terms.must.seq)
        if found is None or found[0].hex() != terms.must.commit:
            raise Corrupt(
                f"it is not the history whose commit {terms.must.seq} was seen before",
                details={"received": True, "seen": terms.must.commit},
            )
    head = point_of(trial.head)
    if head != arrived.header.head:
        raise Corrupt("the bundle does not end with the commit that it names", details={"received": True})
    return vetting


def move_in(domain: Domain, arrived: Arrived) -> None:
    """Move the segments that were checked to where segments lie, durably. Nothing names them yet."""
    inner = arrived.directory.path[len(domain.directory.path) + 1 :]
    for entry in arrived.entries:
        name = segment_name(entry.sha256)
        if arrived.directory.exists(name):
            domain.directory.rename(f"{inner}/{name}", name)


def settle(domain: Domain, trial: WorkingSet, vetting: Vetting, manifest: str, held: HeldIndex) -> None:
    """The ref has moved: let the index follow. Where it cannot, whoever opens the domain next replays."""
    with suppress(OSError):
        for name in vetting.owed:
            record = trial.find(*name)
            if record is not None:
                record.refold = True
                trial.touched[name] = record
        domain.refold(trial)
        trial.move(manifest=manifest, journal="", journal_end=0)
        trial.flush()
        held.keep()


def set_tracking(domain: Domain, track: str, entries: Sequence[ManifestEntry]) -> None:
    """Point a remote-tracking ref at the last commit of these segments, durably."""
    ref = Ref(entries[-1].last_commit, entries[-1].last_seq, write_manifest(domain.directory, entries))
    domain.directory.make(track.rpartition("/")[0])
    domain.directory.write(track, encode_ref(ref))


def track_known(domain: Domain, track: str, point: Point) -> None:
    """Point a remote-tracking ref at a commit of our own history, where a segment ends with it."""
    found = read_ref(domain.directory, track)
    ref = read_ref(domain.directory)
    if ref is None or (found is not None and found.seq == point.seq):
        return
    entries = [entry for entry in read_manifest(domain.directory, ref.manifest) if entry.last_seq <= point.seq]
    if entries and entries[-1].last_commit == point.commit:
        set_tracking(domain, track, entries)


def retrack(domain: Domain, entries: Sequence[ManifestEntry]) -> None:
    """Let tracking refs whose commits end one of our segments name those, so that merged ones need not be kept."""
    for name in domain.directory.walk("refs/remotes"):
        ref = None if name.rpartition("/")[2].startswith(TEMPORARY) else read_ref(domain.directory, name)
        kept = [] if ref is None else [entry for entry in entries if entry.last_seq <= ref.seq]
        if ref is None or not kept or kept[-1].last_commit != ref.commit:
            continue
        if sha256(encode_manifest(kept)).hexdigest() != ref.manifest:
            set_tracking(domain, name, kept)


def note_move(domain: Domain, before: Point, head: Point, terms: Terms) -> None:
    """One line of the reflog for all that was taken in. Evidence: it may not fail what is done."""
    entry = ReflogEntry(
        before.commit or None, head.commit, head.seq, format_time(domain.clock()), terms.actor, terms.reason[:200]
    )
    with suppress(OSError):
        domain.reflog.append([entry])


def tracking_ref(remote: str) -> str:
    """The name of a remote-tracking ref."""
    return f"refs/remotes/{remote}/main"


def point_of(head: Head) -> Point:
    """The commit that a head stands at."""
    return START if head.seq < 0 else Point(head.seq, head.commit.hex(), head.position)
