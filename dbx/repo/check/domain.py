"""Checking a whole domain: reads, compares, changes nothing, takes no lock.

The index and the reflog are read before the log, so that neither may know more than the log does, whoever writes
meanwhile. Files that are sealed or merged away while they are looked at make the check begin again.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import Corrupt, Failure
from dbx.formats.refs import decode_ref
from dbx.repo.check.chain import Log
from dbx.repo.check.derived import IndexCheck, check_head, open_snapshot
from dbx.repo.check.files import (
    check_identity,
    check_ref_ends,
    check_reflog,
    check_remotes,
    check_strays,
    check_tags,
    find_best_manifest,
    read_manifest,
    read_reflogs,
)
from dbx.repo.check.finding import Findings, Report
from dbx.repo.check.follow import follow, follow_commits, measure
from dbx.repo.check.frames import Source, Vanished, walk
from dbx.repo.check.parallel import Again
from dbx.repo.check.published import check_published
from dbx.repo.check.snapshots import check_snapshots
from dbx.repo.check.staged import check_staged_rows, check_staging, read_note
from dbx.repo.collection import no_collection
from dbx.repo.domainfile import NAME as DOMAIN_FILE
from dbx.repo.log import MAIN, MANIFESTS, MAX_REF_BYTES
from dbx.repo.undone import read_undone, reflog_size
from dbx.store.indexlayout import IndexDamaged
from dbx.store.journal import journal_name
from dbx.store.segments import segment_name
from dbx.store.staging import NAME as STAGING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.crypto.vault import Vault
    from dbx.formats.manifest import ManifestEntry
    from dbx.formats.refs import Ref
    from dbx.repo.check.derived import IndexHead
    from dbx.repo.check.frames import Walk
    from dbx.repo.check.history import History
    from dbx.repo.domainfile import DomainFile
    from dbx.store.fs import Directory
    from dbx.store.readindex import IndexSnapshot

_TRIES = 20
_PAUSE_S = 0.04
_STILL = 4
"""So often a journal that ends oddly must look the same before it is believed."""
_OPEN_FILES = 200


def check_domain(
    directory: Directory,
    name: str,
    *,
    vault: Vault | None = None,
    quick: bool = False,
    processes: int = 1,
    begin: Callable[[int], None] = lambda events: None,
    progress: Callable[[int], None] = lambda events: None,
) -> Report:
    """Check everything that format.md says of a domain directory.

    `begin` is told how many events there are, each time the check begins (again), `progress` of events done. With
    `quick`: hashes of files, checksums of frames and the chain of commits, but no event. The report is the same for any
    number of processes. Sealed bodies are opened with the keys of `vault`; of others it is told how many there are.

    Raises OSError where a file cannot be read, Failure when the files never stand still.
    """
    careful = False
    with no_collection():
        for _ in range(_TRIES):
            check = _Check(directory, name, vault, quick=quick, careful=careful)
            try:
                return check.run(processes, begin, progress)
            except Vanished:
                continue
            except Again:
                careful = True
            finally:
                check.close()
    raise Failure(f"the files of domain '{name}' change too fast to be checked", hint="run it again later")


class _Check:
    """One attempt."""

    def __init__(self, directory: Directory, name: str, vault: Vault | None, *, quick: bool, careful: bool) -> None:
        self._directory = directory
        self._vault = vault
        self._name = name
        self._quick = quick
        self._careful = careful
        self._stack = ExitStack()
        self.findings = Findings()
        self._sources: list[Source] = []
        self._walks: list[Walk] = []
        self._snapshot: IndexSnapshot | None = None
        self._ref: Ref | None = None
        self._ref_data: bytes | None = None
        self._entries: tuple[ManifestEntry, ...] | None = ()
        self._journal = ""
        self._journal_end = 0
        self._has_journal = False
        self._undone: set[str] = set()

    def close(self) -> None:
        """Close every file, and end every process."""
        self._stack.close()
        for source in self._sources:
            source.close()
        if self._snapshot is not None:
            self._snapshot.close()

    def run(self, processes: int, begin: Callable[[int], None], progress: Callable[[int], None]) -> Report:
        """All of it."""
        directory, findings = self._directory, self.findings
        file = check_identity(directory, self._name, findings)
        derived = Findings()
        self._snapshot, head = open_snapshot(directory, derived)
        evidence = Findings()
        since = reflog_size(directory)
        known = read_reflogs(directory, evidence)
        self._read_ref()
        log = Log(findings, -1 if head is None else head.seq)
        self._walk(log)
        self._walk_journal(log)
        amount = measure(self._walks)
        begin(amount.events)
        history: History | None = None
        if self._quick:
            follow_commits(self._walks, log)
        else:
            redacted = file is not None and file.redacted
            history = follow(
                self._walks,
                log,
                findings,
                redacted=redacted,
                amount=amount._replace(aggregates=self._guess_aggregates()),
                processes=processes,
                progress=progress,
                careful=self._careful,
                whole=self._careful or directory.exists(STAGING),
                stack=self._stack,
            )
        self._check_ends(log)
        self._check_owner(log, file)
        own = {segment_name(entry.sha256) for entry in self._entries or ()}
        kept = check_remotes(directory, own, findings)
        check_tags(directory, log, findings)
        check_published(directory, log, findings)
        self._join(evidence)
        # Read again behind the log: what was taken back meanwhile is no damage either.
        self._undone = read_undone(directory, since)
        check_reflog(known, log, self._journal, self._undone, findings)
        check_snapshots(directory, findings, self._vault, quick=self._quick)
        self._check_strays(own | kept, log)
        self._join(derived)
        self._check_derived(head, log, history, file)
        if history is not None:
            history.aggregates.settle()  # if nobody has asked for a state: a run may still turn out not to be canonical
        return self._report(log, history)

    def _guess_aggregates(self) -> int:
        """How many aggregates there are, as the index says; -1 where it does not."""
        try:
            return -1 if self._snapshot is None else self._snapshot.aggregates()
        except IndexDamaged:
            return -1

    # -- the log ---------------------------------------------------------------------------------------------------

    def _read_ref(self) -> None:
        """The ref and the manifest that it names, as they are together at one moment."""
        directory = self._directory
        for _ in range(_TRIES):
            found = Findings()
            self._ref, self._entries = None, ()
            try:
                data = self._ref_data = directory.find(MAIN, MAX_REF_BYTES)
                self._ref = None if data is None else decode_ref(data)
            except Corrupt as error:
                found.error("ref", error.message, MAIN, 0)
                self._ref_data, self._entries = b"", None
            if self._ref is not None:
                self._entries = read_manifest(directory, self._ref.manifest, found)
                if self._entries:
                    check_ref_ends(self._ref, self._entries, MAIN, found)
            if not found.kept or not self._has_moved():
                break
        self._join(found)

    def _has_moved(self) -> bool:
        """Whether the ref is another one than the one that was read."""
        try:
            return self._directory.find(MAIN, MAX_REF_BYTES) != self._ref_data and self._ref_data != b""
        except Corrupt:
            return False

    def _walk(self, log: Log) -> None:
        """The frames of every segment that the manifest names."""
        entries = self._entries
        if entries is None:
            log.whole = False
            entries = find_best_manifest(self._directory)
            if entries and self._ref is not None and entries[-1].last_commit != self._ref.commit:
                log.hole = True
        for entry in entries:
            name = segment_name(entry.sha256)
            try:
                source = Source(self._directory, name, self._vault)
            except FileNotFoundError:
                if self._has_moved():
                    raise Vanished(name) from None
                sentence = f"the segment with commits {entry.first_seq} to {entry.last_seq} is missing"
                what: dict[str, int | str] = {"seq": entry.first_seq, "last_seq": entry.last_seq}
                self.findings.error("segment.missing", sentence, name, None, what)
                log.lose()
                continue
            except Corrupt as error:
                self.findings.error("segment", error.message, name)
                log.lose()
                continue
            self._sources.append(source)
            self._check_segment(source, entry)
            if len(entries) > _OPEN_FILES:
                source.close()

    def _check_segment(self, source: Source, entry: ManifestEntry) -> None:
        if source.size != entry.size:
            sentence = f"it has {source.size} bytes, but the manifest says {entry.size}"
            self.findings.error("segment.size", sentence, source.name)
        if source.digest() != entry.sha256:
            self.findings.error("segment.hash", "its SHA-256 is not its name", source.name, 0)
        walked = walk(source, self.findings, journal=False)
        if walked.header is not None and walked.header.seq != entry.first_seq:
            sentence = f"it begins with commit {walked.header.seq}, but the manifest says {entry.first_seq}"
            self.findings.error("segment.place", sentence, source.name, 8)
        self._walks.append(walked)

    def _walk_journal(self, log: Log) -> None:
        """The frames of the journal that continues the ref's commit, read until nobody is in the middle of writing."""
        ref = self._ref
        if self._ref_data == b"":
            return
        self._journal = journal_name(0, None) if ref is None else journal_name(ref.seq + 1, ref.commit)
        try:
            source = Source(self._directory, self._journal, self._vault)
        except FileNotFoundError:
            if self._has_moved():
                raise Vanished(self._journal) from None
            return
        except Corrupt as error:
            self.findings.error("journal", error.message, self._journal)
            log.whole = False
            return
        self._sources.append(source)
        before, still = b"", 0
        while True:
            found = Findings()
            walked = walk(source, found, journal=True)
            if not walked.torn and not found.kept:
                break
            # Somebody may be in the middle of an append, which takes as long as the disk does.
            now = source.tail(0)
            still = still + 1 if now == before else 0
            if still == _STILL:
                break
            before = now
            time.sleep(_PAUSE_S)
            source.grow()
        self._join(found)
        if walked.torn:
            sentence = "an interrupted write follows the last commit; the next append puts it aside"
            self.findings.warn("journal.torn", sentence, self._journal, walked.end)
        self._has_journal, self._journal_end = True, walked.end
        self._walks.append(walked)

    def _check_ends(self, log: Log) -> None:
        """Every segment ends with the commit that the manifest names."""
        if not log.whole:
            return
        for entry in self._entries or ():
            if entry.last_seq >= len(log.ids) or log.ids[entry.last_seq].hex() != entry.last_commit:
                sentence = f"it does not end with the commit {entry.last_seq} that the manifest names"
                self.findings.error("segment.end", sentence, segment_name(entry.sha256), None, {"seq": entry.last_seq})
                return

    def _check_owner(self, log: Log, file: DomainFile | None) -> None:
        """The domain's own commits carry the id that domain.yaml gives it; a fork's first ones carry other ids."""
        header = self._walks[-1].header if self._walks else None
        if file is None or header is None or not log.whole or header.domain == file.id:
            return
        origin = file.forked_from or {}
        if header.seq > int(origin.get("seq", -1)):
            name = self._walks[-1].source.name
            sentence = f"it is of another domain than '{DOMAIN_FILE}' says"
            self.findings.error("domain.id", sentence, name, 8, {"seq": header.seq})

    # -- the rest --------------------------------------------------------------------------------------------------

    def _check_strays(self, wanted: set[str], log: Log) -> None:
        if self._has_moved():
            return  # somebody has sealed or merged since; what lies about now is theirs
        ref_seq = -1 if self._ref is None else self._ref.seq
        if self._ref is not None:
            wanted = wanted | {f"{MANIFESTS}/{self._ref.manifest}"}
        found = Findings()
        if self._entries is not None and self._ref_data != b"":
            check_strays(self._directory, wanted, self._journal, ref_seq, found)
        if self._ref is None and not log.ids and self._directory.names(MANIFESTS) and not self._undone:
            sentence = "there is none, but there are manifests: if the domain had commits, they are lost"
            found.warn("ref.missing", sentence, MAIN)
        if not self._has_moved():
            self._join(found)

    def _check_derived(
        self, head: IndexHead | None, log: Log, history: History | None, file: DomainFile | None
    ) -> None:
        findings = self.findings
        snapshot = self._snapshot
        damaged = findings.counts["error"]
        if snapshot is not None and head is not None:
            journal = self._journal if self._has_journal else ""
            follows = check_head(head, log, journal, self._journal_end, self._undone, findings)
            if follows and history is not None and findings.counts["error"] == damaged:
                manifest = self._ref.manifest if self._ref is not None else ""
                IndexCheck(snapshot, head, log, history, manifest, findings, self._vault).run()
        noted = None if snapshot is None or head is None else read_note(snapshot, findings)
        own_id = None if file is None else file.id
        staged = check_staging(self._directory, own_id, log, history, noted, findings, self._vault)
        current = head is not None and head.seq == len(log.ids) - 1
        if snapshot is not None and staged is not None and staged.note == noted and current:
            check_staged_rows(snapshot, staged, findings, self._vault)

    def _join(self, found: Findings) -> None:
        for finding in found.kept:
            self.findings.add(
                finding.severity, finding.code, finding.message, finding.file, finding.offset, finding.what
            )

    def _report(self, log: Log, history: History | None) -> Report:
        counts = self.findings.counts
        aggregates = None
        if history is not None:
            aggregates = len(history.aggregates.names) - (history.aggregates.unknown >= 0)
        return Report(
            domain=self._name,
            quick=self._quick,
            events=log.position,
            aggregates=aggregates,
            commits=len(log.ids),
            segments=len(self._entries or ()),
            commit=log.head,
            index=None if log.last is None else log.last.index,
            log=merkle.edge_root(log.edge).hex(),
            sealed=0 if history is None else history.sealed,
            errors=counts["error"],
            warnings=counts["warning"],
            notes=counts["note"],
            findings=tuple(self.findings.kept),
        )
