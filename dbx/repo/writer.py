"""Transactions: lock, journal, index, ref — all or nothing, and durable when acknowledged.

Appends that wait while another is being written are grouped: one write and one fdatasync for all of them, each still a
commit of its own.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dbx.crypto.indextree import TreeMismatch
from dbx.errors import Corrupt, DbxError, Denied, Invalid
from dbx.formats import segment
from dbx.model.time import format_time
from dbx.repo.attempt import advance, build
from dbx.repo.build import Builder
from dbx.repo.enforcement import find_rules
from dbx.repo.frames import encode_blocks, is_single
from dbx.repo.locked import FLUSH_COMMITS as FLUSH_COMMITS
from dbx.repo.locked import catch_up
from dbx.repo.locked import writing as writing
from dbx.repo.log import read_ref, stale_journals
from dbx.repo.seal import seal
from dbx.repo.thresholds import has_thresholds
from dbx.repo.torn import write_torn
from dbx.repo.transaction import Append as Append
from dbx.repo.transaction import Committed as Committed
from dbx.repo.transaction import reflog_entry
from dbx.store.index import IndexDamaged
from dbx.store.journal import SEAL_BYTES, Journal, journal_name, scan, sound_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.formats.reflog import ReflogEntry
    from dbx.repo.attempt import Built
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.repo.working import WorkingSet
    from dbx.store.ahead import Ahead
    from dbx.store.index import Head, Index
    from dbx.store.segments import SegmentWriter

GROUP = 64
LARGE_BYTES = 1024 * 1024
"""From here on a batch is written as a segment at once, instead of through the journal."""
_MOST_PATIENCE_S = 0.001
_SPARE_BYTES = 64  # by so much an append may be larger than the one before and still fit


class Appender:
    """Serialises the appends of a process's threads into groups. One for each open Domain.

    Who finds nobody at work leads one group. Whoever comes meanwhile waits for a lock of his own, and is woken once:
    when his transaction is done, or to lead the next group.

    Who was woken with the last group is often back with his next transaction before half a write would have passed. So
    a leader waits that long for as many as there were, and for nobody where he was alone.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._queue: list[Append] = []
        self._lock = threading.Lock()
        self._leader: Append | None = None
        self._gathered: threading.Lock | None = None
        self._expected, self._patience_s = 1, 0.0

    def append(self, request: Append) -> Committed:
        """Returns when the transaction is on disk; raises what made it fail. Nothing of a failed one stays."""
        turn: threading.Lock | None = None
        try:
            with self._lock:
                self._queue.append(request)
                if self._leader is None:
                    self._leader = request
                else:
                    request.turn = turn = threading.Lock()
                    turn.acquire()
                    if self._gathered is not None and len(self._queue) >= self._expected:
                        self._gathered.release()
                        self._gathered = None
            if turn is not None:
                turn.acquire()
            if not request.done:
                self._lead()
        except BaseException:  # interrupted: nobody must wait for one who is gone
            self._leave(request)
            raise
        if request.error is not None:
            raise request.error
        assert request.result is not None  # noqa: S101 - done without an error
        return request.result

    def _leave(self, request: Append) -> None:
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
            if self._leader is request:
                self._pass_on()

    def _lead(self) -> None:
        """Write the next group, and let who is first in the one after it lead that."""
        group: list[Append] = []
        try:
            if self._expected > 1:
                self._gather()
            with self._lock:
                group = self._take()
            start = time.monotonic()
            write_group(self._domain, group)
            self._patience_s = min((time.monotonic() - start) / 2, _MOST_PATIENCE_S)
        except BaseException as error:  # handed to every thread that waits for this group
            for request in group:
                if request.result is None and request.error is None:
                    request.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self._lock:
                for request in group:
                    request.done = True
                self._expected = min(len(group) + len(self._queue), GROUP)
                self._pass_on()
            for request in group:
                if request.turn is not None and request.turn.locked():
                    request.turn.release()

    def _gather(self) -> None:
        """Wait until as many are there as are expected, or patience is over."""
        with self._lock:
            if len(self._queue) >= self._expected:
                return
            self._gathered = gathered = threading.Lock()
            gathered.acquire()
        gathered.acquire(timeout=self._patience_s)
        with self._lock:
            self._gathered = None

    def _pass_on(self) -> None:
        self._leader = self._queue[0] if self._queue else None
        if self._leader is not None and self._leader.turn is not None:
            self._leader.turn.release()

    def _take(self) -> list[Append]:
        """The next group: many small transactions, or one that touches many aggregates."""
        group = [self._queue.pop(0)]
        while self._queue and len(group) < GROUP and len(group[0].items) == 1 and len(self._queue[0].items) == 1:
            group.append(self._queue.pop(0))
        return group


def write_group(domain: Domain, group: Sequence[Append]) -> None:
    """Commit each request, all with one write. A request that is refused gets its error; the others go on."""
    if domain.access is not None:
        with domain.access.writing():
            _write(domain, group)
    else:
        _write(domain, group)


def _write(domain: Domain, group: Sequence[Append]) -> None:
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            try:
                dirty = write_locked(domain, group)
            except (IndexDamaged, TreeMismatch) as error:
                # Nothing was written yet: the index is derived, so make it anew and try once more.
                domain.rebuild(error)
                dirty = write_locked(domain, group)
        except BaseException:
            domain.reset()
            raise
        finally:
            domain.lock.release()
    if domain.access is not None and not dirty:
        domain.access.settle()
    if dirty:
        # A request failed half-way through its events, and memory with it: nothing was written, so take them singly.
        for request in group:
            if request.error is None:
                _write(domain, [request])
    elif has_thresholds(domain):
        from dbx.repo.autosnapshot import after_commit

        done = [request.result for request in group if request.result is not None]
        if done:
            after_commit(domain, done[0].commit.position, done)


def _prepare(domain: Domain, group: Sequence[Append]) -> Rules | None:
    """The rules to keep, and whatever must be asked of the index before anything is built."""
    if domain.access is not None:
        domain.access.restart()
    rules = find_rules(domain)
    if rules is not None:
        rules.prepare()
    for request in group:
        request.complete()
    return rules


def write_locked(domain: Domain, group: Sequence[Append]) -> bool:
    """`write_group` for who holds the lock. True when memory was dropped, and the others must be written singly."""
    rules = _prepare(domain, group)
    # Who erases has just noted it, and the note must stay until that is done.
    working = domain.sync() if group[0].replaced else catch_up(domain)
    now_us = domain.clock()
    now = format_time(now_us)
    first = working.head
    built: list[Built] = []
    last_built: Built | None = None  # until it is taken over, which can wait where nothing is built on top of it
    for request in group:
        request.error = None
        if last_built is not None:
            last_built.take_over(working)
            last_built = None
        worker, last = domain.draw_from(working.index, "append")
        made = build(domain, working, rules, request, now_us, now, worker, last)
        if isinstance(made, Builder):
            try:
                made.refuse()
            except Exception as error:
                request.error = error
                if made.count:
                    domain.reset()
                    return True
                continue
        try:
            if domain.access is not None:
                domain.access.check_events(domain, made.envelopes)
            schema = None if rules is None else rules.settle(actor=request.issued_by, now=now)
            last_built = advance(domain, working, made, request, now, schema)
            built.append(last_built)
        except (Invalid, Denied) as error:
            request.error = error
            domain.reset()
            return True
        domain.drawn["append"] = (worker, made.last_drawn)
    if built:
        _store(domain, working, first, built, last_built)
    return False


def _store(domain: Domain, working: WorkingSet, first: Head, built: Sequence[Built], last_built: Built | None) -> None:
    """Make what was built durable, as a segment or in the journal, and tell who asked for it."""
    group = [one.request for one in built]
    committed = [one.committed for one in built]
    lines = [one.line for one in built]
    entries: list[ReflogEntry] = []

    def take_over() -> None:
        if last_built is not None:
            last_built.take_over(working)
        for request, one in zip(group, committed, strict=True):
            entries.append(reflog_entry(one.commit, one.id))
            request.take(one)

    replaced = group[0].replaced
    if replaced or (sum(one.commit.count for one in committed) > 1 and _size(committed) >= LARGE_BYTES):

        def feed(writer: SegmentWriter) -> tuple[int, bytes]:
            for one, line in zip(committed, lines, strict=True):
                writer.add(one.envelopes, one.bodies)
                writer.add_commits([line])
            if writer.position != working.head.position:
                raise Corrupt(f"the segment ends at position {writer.position}, the commit does not")
            return working.head.seq, working.head.commit

        take_over()
        seal(domain, working, first, feed, replaced=replaced)
    else:
        write_journal(domain, working, first.position, first.seq + 1, committed, lines, take_over)
    finish(domain, working, entries, lazy=len(group[0].items) == 1)
    for request, one in zip(group, committed, strict=True):
        request.result = one


def _size(commits: Sequence[Committed]) -> int:
    return sum(len(text) for one in commits for text in (*one.envelopes, *one.bodies))


def write_journal(
    domain: Domain,
    working: WorkingSet,
    position: int,
    seq: int,
    commits: Sequence[Committed],
    lines: Sequence[bytes],
    take_over: Callable[[], None],
) -> None:
    """Append events and commits to the journal: one write, one fdatasync. `take_over` is called between the two.

    What it brings into memory goes with the rest of it, by `reset`, where the sync fails. Of appends as large as this
    one, the next would often straddle two pages, and need two; so this one fills its page.
    """
    journal = open_journal(domain, working, position, seq)
    at = journal.end
    blocks: list[tuple[int, int]] = []
    vault = domain.vault if domain.vault.seals else None
    if vault is None and is_single(commits):
        blocks.append((position, at))
        head, tail = segment.encode_plain_frames(commits[0].envelopes[0], commits[0].bodies[0], lines[0], at)
    else:
        head, tail = encode_blocks(domain.id, vault, commits, lines, position, at, blocks)
    at += len(head)
    gap = journal.gap(at + len(tail), len(head) + _SPARE_BYTES)
    if gap:
        raw = b"\n".join(lines) + b"\n"
        tail = segment.encode_padded_frame(segment.C, raw, at, len(tail) + gap) or tail

    def meanwhile() -> None:
        take_over()
        working.locate(journal.name, blocks, [(seq, at)])
        working.move(journal=journal.name, journal_end=at + len(tail))

    try:
        journal.append(head, tail, meanwhile)
    except BaseException:
        domain.disown(journal.name, journal.end)
        raise


def open_journal(domain: Domain, working: WorkingSet, position: int, seq: int) -> Journal:
    """The journal at its end, ready for the commit `seq`; made if there is none, its torn tail cut off and kept.

    A process's first append checks the whole journal: nobody writes behind damage.
    """
    if domain.journal is not None:
        return domain.journal
    directory = domain.directory
    ref = read_ref(directory)
    name = journal_name(0, None) if ref is None else journal_name(ref.seq + 1, ref.commit)
    for stale in stale_journals(directory, ref):
        directory.remove(stale)
    if not directory.exists(name):
        parent = ref.commit if ref else None
        if (ref.seq + 1 if ref else 0) != seq:
            raise Corrupt(f"'{name}' is missing, but commits behind the ref are known", details={"file": name})
        header = segment.encode_header_frame(domain.id, parent, position, seq)
        domain.journal = Journal.create(directory, name, header)
        return domain.journal
    journal = Journal(directory, name, 0)
    try:
        reader = journal.reader
        start = reader.header()[1]
        end = sound_end(journal.read(), start)
        torn = False
        if end is None:
            tail = scan(reader, start)
            end, torn = tail.end, tail.torn
        journal.end = end
        if torn:
            stamp = format_time(domain.clock()).replace(":", "").replace(".", "")
            write_torn(directory, domain.vault, stamp, journal.torn_bytes())
            journal.cut()
    except BaseException:
        journal.close()
        raise
    domain.journal = journal
    return journal


def finish(
    domain: Domain,
    working: WorkingSet,
    entries: list[ReflogEntry],
    *,
    lazy: bool = False,
    also: Callable[[Index], None] | None = None,
    ahead: Ahead | None = None,
) -> None:
    """After the commit is durable: reflog, index, sealing. None of these may fail what was acknowledged.

    With `lazy` the index is written only every FLUSH_COMMITS commits; `also` writes more in the same transaction, as
    `ahead` did before.
    """
    try:
        if lazy and domain.journal is not None and domain.journal.is_busy:
            domain.reflog.hold(entries)
        else:
            domain.reflog.append(entries)
        if not lazy or working.pending >= FLUSH_COMMITS:
            domain.refold()
            working.flush(also=also, ahead=ahead)
        if working.head.journal_end >= SEAL_BYTES:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as pool:  # compresses while this thread copies
                seal(domain, working, working.head, pool=pool)
            domain.flush()
    except (OSError, DbxError):
        # Derived or evidence: a full disk or a damaged index here costs the next command some replaying, and nobody a
        # commit. Where the log itself is damaged, the next command says so.
        if ahead is not None:
            ahead.drop()
        domain.reset()
