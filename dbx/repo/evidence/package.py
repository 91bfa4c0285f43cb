"""Evidence for an auditor: a directory, or a zip file, that holds events, their proofs and all that verifying needs.

bagit.txt, bag-info.txt, manifest-sha256.txt, tagmanifest-sha256.txt      BagIt (RFC 8493)
README.txt, verify.py, report.html                                        what to do with it
data/scope.json          what was asked for
data/checkpoint.txt      the signed checkpoint that everything leads to
data/keys.txt            the keys that signed, for comparing with those that the auditor has
data/log-ids.txt         the id of every commit under the checkpoint, a line each
data/commits.ndjson      the commits of the events, as they are stored
data/events.ndjson       {"body":…|null,"envelope":…,"position":n}, in log order
data/roots.jsonl         of a whole domain: its root file (format.md §8)
data/proofs.ndjson       of some aggregates: a proof for each (dbx-proof(5))
data/schemas/…           the published schema versions that the commits name (format.md §10)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Failure, NotFound
from dbx.formats import canonical
from dbx.formats.note import Vkey, format_vkey
from dbx.formats.proof import encode_proof
from dbx.model.time import format_time
from dbx.repo.compare.rootfile import export_roots
from dbx.repo.evidence.bag import Bag
from dbx.repo.evidence.proofs import Prover
from dbx.repo.evidence.report import MAX_REPORT_BYTES, fill_report, readme
from dbx.repo.outfile import write_zip
from dbx.repo.query import commit_range
from dbx.repo.schema.published import MAX_BYTES, OBJECTS, VERSIONS, read_object, read_version
from dbx.store.fs import TEMPORARY, Directory
from dbx.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet

DOMAIN, TYPE, AGGREGATE, RANGE = "domain", "type", "aggregate", "range"
FORMAT = "dbx-evidence/1"
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Scope:
    """What the evidence is about: a whole domain, a type, an aggregate, or commits `first`..`last` (seqs)."""

    kind: str = DOMAIN
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    first: int | None = None
    last: int | None = None


class Packed(NamedTuple):
    """What was packed. `report` is False where there were too many events for one page."""

    path: str
    events: int
    commits: int
    aggregates: int
    report: bool


def export_evidence(
    domain: Domain,
    path: str,
    scope: Scope,
    note: bytes,
    keys: Sequence[Vkey],
    *,
    bodies: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Packed:
    """Pack the evidence for `scope` under the signed checkpoint `note` into `path`, a new directory or a `.zip` file.

    Raises Conflict when something is there, NotFound for what does not exist, Corrupt for a checkpoint that contradicts
    the domain.
    """
    if os.path.exists(path):
        raise Conflict(f"'{path}' exists already", hint="give another name, or remove it")
    prover = Prover(domain, note)
    directory = _scratch(path)
    try:
        packed = _fill(Bag(directory), prover, scope, keys, bodies, progress)
        if path.endswith(".zip"):
            write_zip(path, directory)
        else:
            parent, name = os.path.split(os.path.abspath(path))
            Directory(parent).rename(os.path.basename(directory.path), name)
    except BaseException:
        _remove(directory)
        raise
    if path.endswith(".zip"):
        _remove(directory)
    return packed._replace(path=path)


def _fill(
    bag: Bag,
    prover: Prover,
    scope: Scope,
    keys: Sequence[Vkey],
    bodies: bool,
    progress: Callable[[int], None] | None,
) -> Packed:
    domain = prover.domain
    positions, names = _choose(prover, scope)
    bag.add("data/scope.json", _scope_text(prover, scope, bodies, len(positions)))
    bag.add("data/checkpoint.txt", prover.note)
    bag.add("data/keys.txt", "".join(f"{format_vkey(key)}\n" for key in keys).encode())
    with bag.open("data/log-ids.txt") as write:
        for first in range(0, prover.checkpoint.size, _CHUNK):
            ids = prover.tree.ids(first, min(first + _CHUNK, prover.checkpoint.size))
            write("".join(f"{each.hex()}\n" for each in ids).encode())
    with bag.open("data/events.ndjson") as write:
        seqs = _write_events(domain, positions, bodies, write, progress)
    if scope.kind == RANGE and scope.first is not None and scope.last is not None:
        seqs.update(range(scope.first, scope.last + 1))
    seqs.add(prover.checkpoint.size - 1)
    with bag.open("data/commits.ndjson") as write:
        schemas = _write_commits(domain, sorted(seqs), write)
    aggregates = len(names)
    if scope.kind == DOMAIN:
        with bag.open("data/roots.jsonl") as write:
            aggregates = export_roots(domain, write, prover.checkpoint.size - 1).aggregates
    elif scope.kind != RANGE:
        with bag.open("data/proofs.ndjson") as write:
            for name in names:
                write(encode_proof(prover.prove_aggregate(name)))
    _add_schemas(domain.directory, bag, schemas)
    report = _add_tags(bag, prover)
    _close(bag, prover)
    return Packed("", len(positions), len(seqs), aggregates, report)


def _choose(prover: Prover, scope: Scope) -> tuple[Sequence[int], list[tuple[str, str]]]:
    """The positions of the events, in log order, and the aggregates that get a proof each. Raises NotFound."""
    domain = prover.domain

    def query(working: WorkingSet, reader: LogReader) -> tuple[Sequence[int], list[tuple[str, str]]]:
        if scope.kind == RANGE:
            first, last = scope.first or 0, scope.last or 0
            start = reader.commit(first).commit.position
            end = reader.commit(last).commit
            return range(start, end.position + end.count), []
        if scope.kind == DOMAIN:
            final = reader.commit(prover.checkpoint.size - 1).commit
            return range(final.position + final.count), []
        rows = working.index.rows(
            "type = ? AND (? IS NULL OR id = ?)", (scope.aggregate_type, scope.aggregate_id, scope.aggregate_id)
        )
        positions = sorted(p for row in rows if row.n is not None for p in working.index.positions(row.n))
        return positions, [(row.type, row.id) for row in rows]

    positions, names = domain.read(query)
    if not positions:
        what = scope.aggregate_type or "anything"
        what = f"{what}/{scope.aggregate_id}" if scope.aggregate_id is not None else what
        raise NotFound(f"domain '{domain.name}' has no events of '{what}'")
    return positions, names


def _write_events(
    domain: Domain,
    positions: Sequence[int],
    bodies: bool,
    write: Callable[[bytes], None],
    progress: Callable[[int], None] | None,
) -> set[int]:
    """A line for each event; the seqs of their commits."""
    seqs: set[int] = set()
    for at in range(0, len(positions), _CHUNK):
        part = positions[at : at + _CHUNK]
        stored, starts = domain.read(lambda working, reader, part=part: _read_part(working, reader, part))  # type: ignore[misc]
        lines = [
            f'{{"body":{_quote(each.body) if bodies and each.body else "null"},"envelope":{_quote(each.envelope)},'
            f'"position":{each.position}}}\n'
            for each in stored
        ]
        write("".join(lines).encode())
        seqs |= starts
        if progress is not None:
            progress(len(part))
    return seqs


def _read_part(working: WorkingSet, reader: LogReader, part: Sequence[int]) -> tuple[list[Stored], set[int]]:
    stored = list(reader.events(part))
    seqs: set[int] = set()
    until = -1
    for position in part:
        if position < until:
            continue
        seq, _, until = commit_range(working, position)
        seqs.add(seq)
    return stored, seqs


def _quote(line: bytes) -> str:
    return encode_basestring(line.decode())


def _write_commits(domain: Domain, seqs: Sequence[int], write: Callable[[bytes], None]) -> set[str]:
    """A line for each commit; the schema versions that they name."""
    schemas: set[str] = set()
    for at in range(0, len(seqs), _CHUNK):
        part = seqs[at : at + _CHUNK]
        entries = domain.read(lambda _, reader, part=part: [reader.commit(seq) for seq in part])  # type: ignore[misc]
        write(b"".join(entry.line + b"\n" for entry in entries))
        schemas.update(entry.commit.schema for entry in entries if entry.commit.schema is not None)
    return schemas


def _add_schemas(directory: Directory, bag: Bag, versions: Iterable[str]) -> None:
    objects: dict[str, bytes] = {}
    for version_id in sorted(versions):
        bag.add(f"data/{VERSIONS}/{version_id}.yaml", directory.read(f"{VERSIONS}/{version_id}.yaml", MAX_BYTES))
        for sha in read_version(directory, version_id).schemas.values():
            objects[sha] = read_object(directory, sha)
    for sha, data in objects.items():
        bag.add(f"data/{OBJECTS}/{sha}.yaml", data)


def _add_tags(bag: Bag, prover: Prover) -> bool:
    """README, verify.py and, unless there is too much to show on one page, the report: whether it is there."""
    own = files("dbx.repo.evidence").joinpath("handout")
    bag.add("verify.py", own.joinpath("verify.py").read_bytes())
    report = bag.payload_bytes <= MAX_REPORT_BYTES
    if report:
        bag.add(
            "report.html", fill_report(own.joinpath("report.html").read_text(encoding="utf-8"), bag.payload()).encode()
        )
    origin = prover.checkpoint.origin
    bag.add("README.txt", readme(origin, prover.checkpoint.size, report=report).encode())
    return report


def _close(bag: Bag, prover: Prover) -> None:
    bag.close(
        {
            "Bag-Software-Agent": f"dbx {__version__}",
            "Bagging-Date": format_time(prover.domain.clock())[:10],
            "External-Identifier": prover.checkpoint.origin,
        }
    )


def _scope_text(prover: Prover, scope: Scope, bodies: bool, events: int) -> bytes:
    value = {
        "format": FORMAT,
        "kind": scope.kind,
        "aggregate_type": scope.aggregate_type,
        "aggregate_id": scope.aggregate_id,
        "first": scope.first,
        "last": scope.last,
        "bodies": bodies,
        "events": events,
        "domain": prover.domain.id,
        "name": prover.domain.name,
    }
    return canonical.encode(value) + b"\n"


def _scratch(path: str) -> Directory:
    """A new directory beside `path`, where the package grows."""
    parent, name = os.path.split(os.path.abspath(path))
    if not name or not os.path.isdir(parent):
        raise Failure(f"there is no directory '{parent}'", hint="make it first")
    scratch = f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
    Directory(parent).make(scratch)
    return Directory(parent, scratch)


def _remove(directory: Directory) -> None:
    parent, name = os.path.split(directory.path)
    Directory(parent).remove_tree(name)
