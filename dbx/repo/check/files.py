"""The small files of a domain: identity, refs, manifests, reflogs, published schemas, and what lies about."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import Corrupt, DbxError, Invalid
from dbx.formats import reflog
from dbx.formats.checkpoint import parse_checkpoint
from dbx.formats.manifest import ManifestEntry, decode_manifest
from dbx.formats.note import parse_note
from dbx.formats.refs import check_head, check_tag_name, decode_ref, decode_tag
from dbx.model import names
from dbx.repo.check.frames import Source, walk
from dbx.repo.domainfile import NAME as DOMAIN_FILE
from dbx.repo.domainfile import DomainFile, load_domain_file
from dbx.repo.erasing import read_note
from dbx.repo.log import ERASING, MAIN, MANIFESTS, MAX_MANIFEST_BYTES, MAX_REF_BYTES
from dbx.repo.undone import COMMITS
from dbx.store.fs import TEMPORARY
from dbx.store.journal import PREFIX, TORN
from dbx.store.reflog import LOGS, MAX_BYTES, is_lost
from dbx.store.segments import SEGMENTS, SUFFIX, segment_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.refs import Ref
    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.store.fs import Directory

HEAD = "HEAD"
REFLOG = f"{LOGS}/{MAIN}"
_REMOTES = "refs/remotes/"
_TAGS = "refs/tags"
_KNOWN = frozenset(
    {"HEAD", "domain.yaml", "index.db", "index.db-wal", "index.db-shm", "index.db-journal", "staging.jsonl", "lock"}
    | {
        "staging.lock",
        "watch.json",
        "watch.lock",
        "watch.log",
        "watch.log.1",
        "snapshots.db",
        "snapshots.db-wal",
        "snapshots.db-shm",
        "queue.db",
        "queue.db-wal",
        "queue.db-shm",
        "queue.lock",
        "replay.lock",
        "segments",
        "manifests",
        "refs",
        "schemas",
        "logs",
        "quarantine",
    }
)
_MAX_TAG_BYTES = 64 * 1024


def check_identity(directory: Directory, name: str, findings: Findings) -> DomainFile | None:
    """HEAD and domain.yaml; what the latter holds, None when that cannot be read."""
    try:
        data = directory.find(HEAD, MAX_REF_BYTES)
        if data is None:
            findings.error("head", "HEAD is missing", HEAD)
        else:
            check_head(data)
    except Corrupt as error:
        findings.error("head", error.message, HEAD, 0)
    try:
        file = load_domain_file(directory)
    except DbxError as error:
        findings.error("domain", error.message, DOMAIN_FILE)
        return None
    if file.name != name and not os.path.lexists(os.path.join(os.path.dirname(directory.path), file.name)):
        sentence = f"it still has the name {names.quote(file.name)}: a rename was interrupted"
        findings.note("domain.renamed", sentence, DOMAIN_FILE, 0)
    elif file.name != name:
        findings.error("domain", f"it is about domain {names.quote(file.name)}, not '{name}'", DOMAIN_FILE, 0)
    return file


def read_manifest(
    directory: Directory, sha: str, findings: Findings, *, named_by: str = MAIN
) -> tuple[ManifestEntry, ...] | None:
    """The entries of the manifest that a ref names, None when it is missing or damaged."""
    name = f"{MANIFESTS}/{sha}"
    try:
        data = directory.read(name, MAX_MANIFEST_BYTES)
        if sha256(data).hexdigest() != sha:
            findings.error("manifest.hash", "its SHA-256 is not its name", name, 0)
        return decode_manifest(data)
    except FileNotFoundError:
        findings.error("manifest.missing", f"'{named_by}' names it, but it is missing", name)
    except Corrupt as error:
        findings.error("manifest", error.message, name, 0)
    return None


def find_best_manifest(directory: Directory) -> tuple[ManifestEntry, ...]:
    """The manifest that reaches furthest, for going on behind a ref or a manifest that is damaged."""
    best: tuple[ManifestEntry, ...] = ()
    for name in directory.names(MANIFESTS):
        try:
            data = directory.read(f"{MANIFESTS}/{name}", MAX_MANIFEST_BYTES)
            entries = decode_manifest(data) if sha256(data).hexdigest() == name else ()
        except (Corrupt, FileNotFoundError):
            continue
        if entries and (not best or entries[-1].last_seq > best[-1].last_seq):
            best = entries
    return best


def check_remotes(directory: Directory, own: set[str], findings: Findings) -> set[str]:
    """Remote-tracking refs, what was taken back, and the files they keep alive: the names of those."""
    kept: set[str] = set()
    for name in (*directory.walk(_REMOTES.rstrip("/")), *directory.walk(COMMITS)):
        if not re.fullmatch(rf"{_REMOTES}[^/]+/main|{COMMITS}/[0-9a-f]{{64}}", name):
            _stray(name, findings)
            continue
        try:
            ref = decode_ref(directory.read(name, MAX_REF_BYTES))
        except FileNotFoundError:
            continue
        except Corrupt as error:
            findings.error("ref", error.message, name, 0)
            continue
        entries = read_manifest(directory, ref.manifest, findings, named_by=name)
        kept.add(f"{MANIFESTS}/{ref.manifest}")
        if entries is None:
            continue
        check_ref_ends(ref, entries, name, findings)
        for entry in entries:
            file = segment_name(entry.sha256)
            kept.add(file)
            if file not in own:
                _check_foreign_segment(directory, file, findings)
    return kept


def check_ref_ends(ref: Ref, entries: Sequence[ManifestEntry], name: str, findings: Findings) -> None:
    """A ref's commit is its manifest's last."""
    last = entries[-1]
    if (last.last_commit, last.last_seq) != (ref.commit, ref.seq):
        findings.error("ref", f"it names commit {ref.seq}, but its manifest ends with commit {last.last_seq}", name, 0)


def check_tags(directory: Directory, log: Log, findings: Findings) -> None:
    """Every tag names a commit of the log."""
    for name in directory.names(_TAGS):
        file = f"{_TAGS}/{name}"
        if name.startswith(TEMPORARY):
            continue
        try:
            check_tag_name(name)
            data = directory.read(file, _MAX_TAG_BYTES)
            if not data.startswith(b"commit ") and "\n\n— ".encode() in data:
                _check_checkpoint(data, file, log, findings)
                continue
            commit, seq = decode_tag(data)
        except FileNotFoundError:
            continue
        except (Corrupt, Invalid) as error:
            findings.error("tag", error.message, file, 0)
            continue
        found = log.ids[seq].hex() if seq < len(log.ids) else ""
        if found != commit and (log.whole or found):
            findings.error("tag", f"it names commit {seq} with an id that is not in the log", file, 0, {"seq": seq})


def _check_checkpoint(data: bytes, file: str, log: Log, findings: Findings) -> None:
    """A tag that is a signed checkpoint is about the log. Who signed it is for 'dbx tag --verify' to say."""
    checkpoint = parse_checkpoint(parse_note(data).text)
    if checkpoint.size > len(log.ids):
        if log.whole:
            findings.error("tag", f"it covers {checkpoint.size} commits, and the log has {len(log.ids)}", file, 0)
    elif merkle.root(log.ids[: checkpoint.size]) != checkpoint.root:
        findings.error("tag", f"it is about another history of {checkpoint.size} commits", file, 0)


def read_reflogs(directory: Directory, findings: Findings) -> list[tuple[int, str, int]]:
    """Every line of every reflog is spelled right. (seq, new id, offset) of the branch's entries that name a commit."""
    known: list[tuple[int, str, int]] = []
    for name in directory.walk(LOGS):
        try:
            data = directory.read(name, MAX_BYTES)
        except FileNotFoundError:
            continue
        except Corrupt as error:
            findings.error("reflog", error.message, name)
            continue
        at = 0
        for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
            if not line.endswith(b"\n"):
                findings.note("reflog.torn", "its last line was interrupted", name, at)
                break
            if is_lost(line):
                findings.note("reflog.torn", "an interruption took a part of it", name, at)
                at += len(line)
                continue
            try:
                entry = reflog.decode_entry(line)
            except Corrupt as error:
                findings.error("reflog", error.message, name, at)
            else:
                if name == REFLOG and entry.new is not None:
                    known.append((entry.seq, entry.new, at))
            at += len(line)
    return known


def check_reflog(
    known: list[tuple[int, str, int]], log: Log, journal: str, undone: set[str], findings: Findings
) -> None:
    """The reflog knows no commit that the log does not have, nor had taken back. `known` was read before the log.

    `journal` is the name of the journal that continues the ref's commit; `undone` was read after the log.
    """
    known = [entry for entry in known if entry[1] not in undone]
    if not known:
        if log.ids:
            findings.warn("reflog.missing", "there are commits, but it has no entry that can be read", REFLOG)
        return
    if not log.whole:
        return
    seq, commit_id, at = known[-1]
    what: dict[str, int | str] = {"seq": seq, "commit": commit_id}
    if seq >= len(log.ids):
        sentence = f"the reflog knows commit {seq}, but the log ends with commit {len(log.ids) - 1}"
        sentence += f": history was lost or cut off; it would go on in '{journal}'"
        findings.error("reflog.ahead", sentence, REFLOG, at, what)
    elif log.ids[seq].hex() != commit_id:
        sentence = f"the reflog knows another commit {seq} than the log has"
        findings.error("reflog.ahead", f"{sentence}: history was changed", REFLOG, at, what)
    elif seq < len(log.ids) - 1:
        findings.note("reflog.behind", f"its last entry is about commit {seq}, not {len(log.ids) - 1}", REFLOG, at)
    foreign = [(seq, at) for seq, commit_id, at in known[:-1] if seq >= len(log.ids) or log.ids[seq].hex() != commit_id]
    if foreign:
        sentence = f"{len(foreign)} entries name commits that are not in the log, the first commit {foreign[0][0]}"
        findings.warn("reflog.foreign", sentence, REFLOG, foreign[0][1])


def check_strays(directory: Directory, wanted: set[str], journal: str, ref_seq: int, findings: Findings) -> None:
    """Files that nothing names. Left over from interruptions, all but a journal behind the log's end."""
    for part, pattern in ((SEGMENTS, rf"[0-9a-f]{{64}}{re.escape(SUFFIX)}"), (MANIFESTS, "[0-9a-f]{64}")):
        for name in directory.names(part):
            file = f"{part}/{name}"
            if file in wanted:
                continue
            if re.fullmatch(pattern, name):
                _check_orphan(directory, file, name.removesuffix(SUFFIX), findings)
            else:
                _stray(file, findings)
    for name in directory.names("refs/heads"):
        if name != "main":
            _stray(f"refs/heads/{name}", findings)
    for name in directory.names():
        if name.startswith(TORN):
            findings.note("journal.torn", "a copy of an interrupted write; it can be removed", name)
        elif name == ERASING:
            _check_erasing(directory, findings)
        elif name.startswith(PREFIX):
            if name != journal:
                _check_journal_name(name, ref_seq, findings)
        elif name not in _KNOWN and not name.startswith("keys"):
            _stray(name, findings)


def _check_erasing(directory: Directory, findings: Findings) -> None:
    try:
        left = read_note(directory) or []
    except Corrupt as error:
        findings.error("erasing", error.message, ERASING, 0)
        return
    sentence = f"bodies of {len(left)} aggregates may still be in some file: whoever writes next, or gc, removes them"
    findings.warn("erasing", sentence, ERASING)


def _check_journal_name(name: str, ref_seq: int, findings: Findings) -> None:
    found = re.fullmatch(rf"{PREFIX}(0|[1-9][0-9]{{0,15}})-[0-9a-f]{{16}}", name)
    if found is None:
        _stray(name, findings)
    elif int(found[1]) > ref_seq + 1:
        sentence = f"it continues commit {int(found[1]) - 1}, but the ref ends with commit {ref_seq}"
        findings.error("journal.ahead", f"{sentence}: history was lost or cut off", name)
    elif int(found[1]) == ref_seq + 1:
        findings.error("journal.ahead", "it continues another commit than the one that the ref names", name)
    else:
        findings.note("orphan", "what it held is in a segment; 'dbx gc' removes it", name)


def _check_orphan(directory: Directory, file: str, sha: str, findings: Findings) -> None:
    try:
        source = Source(directory, file)
        try:
            if source.digest() != sha:
                findings.error("orphan.hash", "its SHA-256 is not its name, and no ref names it", file, 0)
            else:
                findings.note("orphan", "no ref names it; 'dbx gc' removes it", file)
        finally:
            source.close()
    except FileNotFoundError:
        return
    except Corrupt as error:
        findings.error("orphan.hash", error.message, file)


def _check_foreign_segment(directory: Directory, file: str, findings: Findings) -> None:
    try:
        source = Source(directory, file)
    except FileNotFoundError:
        findings.error("segment.missing", "a segment that a remote's manifest names is missing", file)
        return
    except Corrupt as error:
        findings.error("segment", error.message, file)
        return
    try:
        if segment_name(source.digest()) != file:
            findings.error("segment.hash", "its SHA-256 is not its name", file, 0)
        walk(source, findings, journal=False)
    finally:
        source.close()


def _stray(file: str, findings: Findings) -> None:
    if file.rpartition("/")[2].startswith(TEMPORARY):
        findings.note("temporary", "an interrupted write; 'dbx gc' removes it", file)
    else:
        findings.note("unknown", "dbx does not know this file", file)
