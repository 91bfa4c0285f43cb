"""A domain on disk as one object: where its log, its index and its staging area come together.

One process may use a Domain from many threads. Reading never waits for a writer of another process; it looks at the
log, brings the index forward where that lags, and falls back to an index in memory where none can be written.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dbx.crypto.indextree import TreeMismatch
from dbx.crypto.vault import Vault
from dbx.errors import Corrupt, DbxError
from dbx.model import snowflake
from dbx.repo.identity import find_plain_id
from dbx.repo.indexfile import IndexFile
from dbx.repo.log import ERASING, MAIN, Gone, LogReader, missing_file, named_files
from dbx.repo.masks import SealedAway, check_masks
from dbx.repo.replay import Replayed, StaleIndex, replay
from dbx.repo.working import WorkingSet, get_drawn
from dbx.store.index import IndexDamaged, IndexUnavailable, MovedIndex
from dbx.store.journal import Journal, journal_name
from dbx.store.lock import Lock
from dbx.store.reflog import Reflog
from dbx.store.stamp import is_still, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.reflog import ReflogEntry
    from dbx.model.entropy import Entropy
    from dbx.model.restrict import Restrict
    from dbx.model.time import Clock
    from dbx.repo.domainfile import DomainFile
    from dbx.repo.enforcement import KnownRules
    from dbx.repo.security.access import Access
    from dbx.repo.snapshotfile import SnapshotFile
    from dbx.store.fs import Directory
    from dbx.store.index import Index
    from dbx.store.stamp import Stamp

T = TypeVar("T")
_TRIES = 64
_DAY_MS = 86_400_000


class Domain:
    """An open domain.

    `wait_s` bounds the wait for a lock; `progress` is told of events as they are replayed; `find_worker` says which
    Snowflake worker appends shall use, None for one that the clone draws; `restrict` goes before the setting.
    """

    def __init__(
        self,
        directory: Directory,
        name: str,
        *,
        clock: Clock,
        entropy: Entropy = os.urandom,
        wait_s: float = 10.0,
        progress: Callable[[int], None] | None = None,
        find_worker: Callable[[], int | None] = lambda: None,
        restrict: Restrict | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.directory = directory
        self.name = name
        self.clock = clock
        self.entropy = entropy
        self.vault = Vault(entropy) if vault is None else vault
        self.wait_s = wait_s
        self.progress = progress
        self._find_worker = find_worker
        self.mutex = threading.RLock()
        self.lock = Lock(directory, "lock")
        self.staging_lock = Lock(directory, "staging.lock")
        self._ref_path = directory.path_of(MAIN)
        self.reflog = Reflog(directory, MAIN)
        self.journal: Journal | None = None
        self._index = IndexFile(directory, self.lock, wait_s, self.vault)
        self._working: WorkingSet | None = None
        self._reader: LogReader | None = None
        self._seen: Replayed | None = None
        self._seen_ref: Stamp = None
        self._file: DomainFile | None = None
        self._id: str | None = None
        self.drawn: dict[str, tuple[int, int]] = {}
        self.is_erasing = False
        self.restrict = restrict
        self.access: Access | None = None
        self.rules: KnownRules | None = None
        self.snapshots: SnapshotFile | None = None
        self.thresholds: tuple[KnownRules | None, bool] | None = None
        self.beside: dict[str, Domain] = {}

    # -- identity --------------------------------------------------------------------------------------------------

    @property
    def file(self) -> DomainFile:
        """domain.yaml, read once."""
        if self._file is None:
            from dbx.repo.domainfile import load_domain_file

            self._file = load_domain_file(self.directory)
        return self._file

    @property
    def id(self) -> str:
        """The domain's uuid."""
        if self._id is None:
            self._id = find_plain_id(self.directory) or self.file.id
        return self._id

    def forget_file(self) -> None:
        """Read domain.yaml again when it is next asked for."""
        self._file = self._id = None
        self.thresholds = None

    # -- looking at the log ----------------------------------------------------------------------------------------

    def sync(self) -> WorkingSet:
        """The working set at the log's head. Call it with `mutex` held.

        Raises Corrupt for damage that reading forward meets, and when the index or the reflog knows a later commit.
        """
        if self._working is not None and self._is_current():
            return self._working
        for _ in range(_TRIES):
            try:
                return self._try_load()
            except (MovedIndex, Gone):
                self.reset()
            except (StaleIndex, TreeMismatch, IndexDamaged) as error:
                self.rebuild(error)
        raise Corrupt(
            f"the index of domain '{self.name}' cannot be brought in step with its log", hint="run 'dbx reindex'"
        )

    def read(self, query: Callable[[WorkingSet, LogReader], T], *, flush: bool = True) -> T:
        """Run a query on the index and the log as of now; again when files moved or the index was rebuilt meanwhile.

        The index stands still while the query looks at it. Without `flush` it may lag, and the query looks at what the
        working set holds first.
        """
        with self.mutex:
            gone = ""
            rebuilt = False
            for _ in range(_TRIES):
                working = self.sync()
                if flush and working.is_ahead:
                    self.flush()
                    working = self.sync()
                try:
                    if self._reader is None:
                        self._reader = LogReader(self.directory, working.index, self.vault)
                    with working.index.snapshot(working.indexed):
                        return query(working, self._reader)
                except MovedIndex:
                    self.reset()
                except Gone as error:
                    if gone == str(error):
                        self._miss(gone)
                    gone = str(error)
                    self.reset()
                except (TreeMismatch, IndexDamaged) as error:
                    if rebuilt:
                        raise
                    rebuilt = True
                    self.rebuild(error)
            raise Corrupt(f"domain '{self.name}' cannot be read consistently", hint="run 'dbx fsck'")

    def flush(self) -> None:
        """Write what is pending to the index; `sync` afterwards gives the working set.

        Where another process did so first, or the index cannot be written or is damaged, what is held in memory is
        dropped: `sync` makes it again.
        """
        working = self._working
        if working is None or not working.is_ahead:
            return
        self.refold()
        try:
            working.flush()
        except MovedIndex:
            self.reset()
        except IndexUnavailable:
            if self._index.in_memory:
                raise
            self.use_memory()
        except IndexDamaged as error:
            self.rebuild(error)

    def refold(self, working: WorkingSet | None = None) -> None:
        """Fold records again whose event lost its body, from what is left (format.md §3, body_erased)."""
        working = working or self._working
        if working is None:
            return
        for record in working.touched.values():
            if record.refold:
                from dbx.repo.refold import refold_record

                refold_record(self, working, record)

    def reset(self) -> None:
        """Drop everything held in memory. What was acknowledged is in the log."""
        self.reflog.settle(self.lock)
        self._working = None
        self._seen = None
        # Another process of this clone draws from the same worker: the index, once replayed, knows how far.
        self.drawn.clear()
        self.close_reader()
        self.close_journal()

    def close_reader(self) -> None:
        """Close the files that queries read from."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def close_journal(self) -> None:
        """Close the journal that is open for appending."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def close(self) -> None:
        """Write what is pending to the index, and close all files."""
        with self.mutex:
            try:
                # Whatever stands in the way: it is in the log, and who opens the domain next brings the index forward.
                with suppress(DbxError, OSError):
                    if self._working is not None and self._is_current():
                        self.flush()
            finally:
                for other in self.beside.values():
                    other.close()
                self.reset()
                self._index.close()
                self.reflog.close()
                if self.snapshots is not None:
                    self.snapshots.close()
                self.lock.close()
                self.staging_lock.close()

    def records_moved(self) -> None:
        """Aggregates advanced, or events were staged, without the records in memory: forget those."""
        if self._working is not None:
            self._working.forget()

    @property
    def in_memory(self) -> bool:
        """Whether the index is kept in memory, because index.db cannot be written."""
        return self._index.in_memory

    def disown(self, journal: str, end: int) -> None:
        """An append failed and was cut off again. Whoever read it meanwhile may have indexed it: forget the index."""
        with suppress(OSError, IndexDamaged):
            head = self.index().head()
            if head.journal == journal and head.journal_end > end:
                self.index().clear()

    @property
    def torn(self) -> bool:
        """Whether the journal, as last read, ends with a torn write."""
        return self._seen is not None and self._seen.torn

    def note_ref(self) -> None:
        """Remember how the ref and the journal look now, after this process moved them."""
        self._seen_ref = stamp_of(self._ref_path)

    def draw_from(self, index: Index, kind: str) -> tuple[int, int]:
        """(worker, last id drawn) for the next event ids; `kind` is "append" or "stage", each with its own worker."""
        if kind in self.drawn:
            return self.drawn[kind]
        fixed = self._find_worker()
        if fixed is not None and kind == "append":
            return self._draw_from_fixed(index, fixed)
        drawn = get_drawn(index, kind)
        if drawn is not None:
            worker, last = drawn
            ahead_ms = snowflake.split(last)[0] - self.clock() // 1000
            if ahead_ms < _DAY_MS and worker != fixed:
                return worker, last
        other = get_drawn(index, "stage" if kind == "append" else "append")
        taken = {-1 if other is None else other[0], -1 if fixed is None else fixed}
        while (worker := int.from_bytes(self.entropy(2), "big") & snowflake.MAX_WORKER) in taken:
            pass
        last = index.last_id_of(worker) or 0
        index.set_meta(f"ids.{kind}", f"{worker}|{last}")
        return worker, last

    def _draw_from_fixed(self, index: Index, worker: int) -> tuple[int, int]:
        """As draw_from, for a worker that was configured: behind all that it drew, here and for staging before."""
        before = get_drawn(index, "append")
        drawn = [before, get_drawn(index, "stage")]
        found = [pair[1] for pair in drawn if pair is not None and pair[0] == worker]
        if before is None or before[0] != worker:
            found.append(index.last_id_of(worker) or 0)
            index.set_meta("ids.append", f"{worker}|{max(found)}")
        return worker, max(found)

    def index(self) -> Index:
        """The open index, at whatever commit it stands."""
        return self._index.get()

    def replace_index(self, name: str) -> None:
        """Put a finished index, a file of this directory, in the place of the old one. The lock must be held."""
        self.reset()
        self._index.replace(name)

    def use_memory(self) -> None:
        """Keep the index in memory from now on."""
        self.reset()
        self._index.use_memory()

    def rebuild(self, error: Exception) -> None:
        """Make the index anew when `sync` is next asked: this error says that it does not add up."""
        self.reset()
        self._index.rebuild(unlink=isinstance(error, IndexDamaged))

    def _try_load(self) -> WorkingSet:
        index = self._index.refresh()
        before = index.stamp()
        try:
            return self._load()
        except (Corrupt, StaleIndex):
            # What does not fit may be an index that another process brought forward while this one read it.
            if self._index.get() is index and index.stamp() != before:
                raise MovedIndex("the index was brought forward by another process") from None
            raise

    def _load(self) -> WorkingSet:
        self.reset()
        # The index and the reflog follow the log, so they are looked at before it: a writer may be at work right now.
        seen_ref, told = stamp_of(self._ref_path), self.reflog.last()
        working = self._working = WorkingSet(self.index())
        check_masks(working.index, self.vault)
        try:
            self._claim(working)
            self._seen = replay(self.directory, working, self.vault, before_flush=self.refold, progress=self.progress)
        except (IndexUnavailable, SealedAway):
            if self._index.in_memory:
                raise
            self.use_memory()
            return self._load()
        self._seen_ref = seen_ref
        self.is_erasing = self.directory.exists(ERASING)
        self._check_reflog(told, working)
        return working

    def _miss(self, file: str) -> None:
        """A file that the index speaks of is not there, and was not a moment ago: who is wrong?"""
        if file in named_files(self.directory):
            raise missing_file(file)
        self.rebuild(StaleIndex())

    def _claim(self, working: WorkingSet) -> None:
        """Journals of two domains may have the same name, so an index says whose it is."""
        if working.index.get_meta("domain") == self.id:
            return
        if working.indexed.seq >= 0:
            raise StaleIndex
        working.index.set_meta("domain", self.id)

    def _check_reflog(self, last: ReflogEntry | None, working: WorkingSet) -> None:
        if last is None or last.new is None or last.seq <= working.head.seq:
            return
        # Whoever asks again must hear it again.
        self.reset()
        if self.reflog.last() != last:
            raise MovedIndex("commits were taken back meanwhile")
        text = f"the reflog knows commit {last.seq}, but the log of domain '{self.name}' ends with {working.head.seq}"
        hint = "history was lost or cut off; compare with a copy, then 'dbx reindex --accept-loss'"
        raise Corrupt(text, hint=hint, details={"file": self.reflog.name})

    def _is_current(self) -> bool:
        """Whether nobody else has written since the log was last looked at."""
        if self._seen is None or not is_still(self._ref_path, self._seen_ref):
            return False
        if self.journal is not None:
            return self.journal.untouched()
        head = self._working.head if self._working else None
        if self._seen.journal is None or head is None or head.journal == "":
            return head is not None and not os.path.exists(
                self.directory.path_of(journal_name(head.seq + 1, head.commit.hex() if head.commit else None))
            )
        try:
            fd = self.directory.open_read(head.journal)
        except FileNotFoundError:
            return False
        try:
            return not os.pread(fd, 1, head.journal_end).strip(b"\0")
        finally:
            os.close(fd)
