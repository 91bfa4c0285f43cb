"""Small repositories of every kind of file, and ways to spoil them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from dbx.crypto import merkle
from dbx.formats import segment
from dbx.formats.commit import Commit, decode_commit, encode_commit
from dbx.formats.envelope import Actor
from dbx.formats.manifest import ManifestEntry, encode_manifest
from dbx.formats.refs import Ref, decode_ref, encode_ref, encode_tag
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import stage
from dbx.repo.check.domain import check_domain
from dbx.repo.check.finding import Report
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from dbx.store.fs import Directory

JANE = Actor("ops", "jane")


def open_repository(root: Path | str) -> Repository:
    ticks = itertools.count(1_790_000_000_000_000, 1_000_000)
    return Repository.init(str(root), clock=lambda: next(ticks))[0]


def item(aggregate_id: str, event_type: str = "placed", **more: Any) -> dict[str, Any]:
    payload = more.pop("payload", {"total": 12.5, "city": "Łódź", "tags": ["a", "b"], "note": None})
    return {
        "aggregate_type": "order", "aggregate_id": aggregate_id, "event_type": event_type, "payload": payload, **more
    }  # fmt: skip


def append(domain: Domain, *items: dict[str, Any], reserved: bool = False) -> None:
    Appender(domain).append(Append(items, issued_by=JANE, message="by hand", reserved=reserved))


def fill(root: Path, *, sealed: bool = True, journal: bool = True, staged: bool = True) -> Path:
    """A repository with two segments, a journal, a tag and a staging file, where asked; its domain directory."""
    repository = open_repository(root)
    domain = repository.domain()
    if sealed:
        for n in range(3):
            append(domain, item(f"o-{n}", metadata={"@by": "till"}), item("all", note="first"))
        collect(domain)
        stage(domain, [(n, item(f"o-{n}", "packed"), None) for n in range(1, 30)], issued_by=JANE)
        commit_staged(domain, actor=JANE, message="batch")
        collect_without_merging(domain)
    if journal:
        append(domain, item("o-1", "sent", payload={"by": "dhl", "weight": 0.1, "deep": {"er": [{"x": 1}, {"x": 2}]}}))
        append(domain, item("o-2", "aggregate_archived", payload={}), reserved=True)
        append(domain, item("o-3", "sent", payload={}), item("all", "closed", payload={"total": 1, "by": 'a"b\\'}))
    path = Path(domain.directory.path)
    if staged:
        stage(domain, [(n, item(f"s-{n % 2}"), None) for n in range(1, 5)], issued_by=JANE)
    ref = path / "refs/heads/main"
    if ref.exists():
        found = decode_ref(ref.read_bytes())
        (path / "refs/tags").mkdir(exist_ok=True)
        (path / "refs/tags/v1").write_bytes(encode_tag(found.commit, found.seq))
    repository.close()
    return path


def collect_without_merging(domain: Domain) -> None:
    from dbx.repo.seal import seal
    from dbx.repo.writer import writing

    with writing(domain) as working:
        domain.flush()
        seal(domain, working, working.head)
        domain.flush()


def check(path: Path, **options: Any) -> Report:
    return check_domain(Directory(str(path)), "default", **options)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity == "error"}


def copy(path: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(path, to)
    return to


def spoil_journal(path: Path, target: Path) -> Path:
    """A copy of a domain's directory with two flipped bits in its journal."""
    spoilt = copy(path, target)
    journal = only(spoilt, "journal-*")
    data = bytearray(journal.read_bytes())
    data[400] ^= 1
    data[1500] ^= 1
    journal.write_bytes(data)
    return spoilt


def only(path: Path, pattern: str) -> Path:
    (found,) = path.glob(pattern)
    return found


def read_segment(data: bytes) -> list[tuple[bytes, list[bytes]]]:
    """(kind, lines) of every frame behind the header."""
    at = len(segment.MAGIC)
    _, _, at = segment.decode_frame(data, at, at)
    frames = []
    while at < len(data):
        header, raw, at = segment.decode_frame(data, at, at)
        frames.append((header.kind, segment.split_lines(raw)))
    return frames


def write_segment(header: segment.SegmentHeader, frames: Sequence[tuple[bytes, list[bytes]]]) -> bytes:
    """A segment with good checksums, whatever is in it."""
    data = segment.MAGIC + segment.encode_header_frame(header.domain, header.parent, header.position, header.seq)
    for kind, lines in frames:
        if lines:
            raw = b"\n".join(lines) + b"\n"
            data += segment.encode_frame(kind, raw, len(data), compress=True)
    return data


Change = Callable[[list[tuple[bytes, list[bytes]]]], None]


def forge(path: Path, change: Change, *, commits: Callable[[Commit], Commit] | None = None) -> None:
    """Change what the last segment holds; then make checksums, file name, manifest and ref fit, as a forger would."""
    ref = decode_ref((path / "refs/heads/main").read_bytes())
    manifest = path / "manifests" / ref.manifest
    *before, last = [line.split() for line in manifest.read_text().splitlines()]
    file = path / "segments" / f"{last[0]}.seg"
    data = file.read_bytes()
    _, raw, _ = segment.decode_frame(data, len(segment.MAGIC), len(segment.MAGIC))
    frames = read_segment(data)
    change(frames)
    last_id, seq = last[4], int(last[3])
    if commits is not None:
        for kind, lines in frames:
            if kind == segment.C:
                lines[:] = [encode_commit(commits(decode_commit(line))) for line in lines]
                last_id, seq = merkle.leaf_hash(lines[-1]).hex(), decode_commit(lines[-1]).seq
    data = write_segment(segment.decode_header(raw), frames)
    sha = sha256(data).hexdigest()
    file.unlink()
    (path / "segments" / f"{sha}.seg").write_bytes(data)
    entries = [ManifestEntry(e[0], int(e[1]), int(e[2]), int(e[3]), e[4]) for e in before]
    text = encode_manifest([*entries, ManifestEntry(sha, len(data), int(last[2]), seq, last_id)])
    manifest.unlink()
    name = sha256(text).hexdigest()
    (path / "manifests" / name).write_bytes(text)
    (path / "refs/heads/main").write_bytes(encode_ref(Ref(last_id, seq, name)))
