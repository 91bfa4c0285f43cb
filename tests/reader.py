"""An independent reader of the format: written from dbx-format(5) alone, with the standard library, sharing no code.

`read(domain_directory)` checks everything it meets and returns what it found; any deviation is an AssertionError. It is
slow and plain on purpose: it is the definition that the engine's output is compared with.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import struct
import zlib
from base64 import urlsafe_b64decode
from typing import Any, NamedTuple

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
RESERVED = {"aggregate_archived", "aggregate_restored", "body_erased"}


class Log(NamedTuple):
    """What a domain directory holds."""

    commits: list[dict[str, Any]]
    commit_ids: list[str]
    events: list[tuple[dict[str, Any], dict[str, Any] | None]]
    states: dict[tuple[str, str], dict[str, Any]]
    roots: dict[tuple[str, str], str]
    index: str
    torn: bool


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, over leaf hashes."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01" + tree(leaves[:k]) + tree(leaves[k:]))


def index_tree(leaves: list[tuple[int, bytes]], d: int = 0) -> bytes:
    """format.md §4, over (key as a number, leaf)."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0][1]
    while True:
        zero = [leaf for leaf in leaves if not leaf[0] >> (255 - d) & 1]
        if zero and len(zero) < len(leaves):
            break
        d += 1
    one = [leaf for leaf in leaves if leaf[0] >> (255 - d) & 1]
    return sha(b"\x01" + bytes([d]) + index_tree(zero, d + 1) + index_tree(one, d + 1))


def canonical(line: bytes) -> Any:
    """One line of canonical JSON (RFC 8785), but for keys beyond the basic plane, which no test of ours stores."""
    written = json.loads(line, parse_float=lambda literal: f"\0{literal}")
    text = json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for literal in re.findall(r'"\\u0000([-0-9.e+]+)"', text):
        text = text.replace(f'"\\u0000{literal}"', literal)
        digits, _, exponent = repr(float(literal)).partition("e")
        if exponent:  # ECMA-262 Number::toString: no leading zero, and decimals from 1e-6 on
            expected = f"{digits}e{exponent[0]}{exponent[1:].lstrip('0')}"
            expected = f"{float(literal):.20f}".rstrip("0") if 1e-6 <= abs(float(literal)) < 1e-4 else expected
        else:
            expected = digits
        assert literal == expected, literal
    assert text.encode() == line, line
    return json.loads(line)


def frames(data: bytes, name: str) -> tuple[list[tuple[bytes, int, bytes]], int, bool]:
    """(kind, flags, raw) of every frame, where the last C frame ends, and whether something torn follows."""
    assert data[:8] == b"DBXSEG1\n", name
    found: list[tuple[bytes, int, bytes]] = []
    at = 8
    covered, end = 0, 8
    while data[at:].strip(b"\0"):
        header = data[at : at + 16]
        if len(header) < 16:
            break
        kind, flags, zero, stored, raw, crc = struct.unpack(">cBHIII", header)
        body = data[at + 16 : at + 16 + stored]
        check = zlib.crc32(struct.pack(">Q", at) + header[:12] + body)
        if len(body) < stored or check != crc:
            break
        assert kind in b"HEBC", (name, at)
        assert zero == 0, (name, at)
        assert stored <= (4 << 20) + 8192, (name, at)
        assert raw <= 4 << 20, (name, at)
        assert flags in (0, 1), (name, at)
        if flags & 1:
            stream = zlib.decompressobj()
            body = stream.decompress(body)
            assert stream.eof, (name, at)
            assert not stream.unused_data, (name, at)
        assert len(body) == raw, (name, at)
        found.append((kind, at, body))
        at += 16 + stored
        if kind == b"C":
            covered, end = len(found), at
        elif kind == b"H":
            assert len(found) == 1, name
            covered, end = 1, at
    torn = bool(data[end:].strip(b"\0"))
    return found[:covered], end, torn


def lines(raw: bytes) -> list[bytes]:
    assert raw.endswith(b"\n")
    return raw[:-1].split(b"\n")


def read(directory: str | pathlib.Path) -> Log:
    """Read and check a whole domain."""
    root = pathlib.Path(directory)
    assert (root / "HEAD").read_bytes() == b"ref: refs/heads/main\n"
    files: list[tuple[str, bytes]] = []
    ref = root / "refs/heads/main"
    tip, tip_seq = None, -1
    if ref.exists():
        found = re.fullmatch(rb"commit ([0-9a-f]{64}) (\d+)\nmanifest ([0-9a-f]{64})\n", ref.read_bytes())
        assert found
        tip, tip_seq = found[1].decode(), int(found[2])
        manifest = (root / "manifests" / found[3].decode()).read_bytes()
        assert sha(manifest).hex() == found[3].decode()
        expected = 0
        last = ""
        for line in lines(manifest):
            name, size, first, upto, last = line.decode().split(" ")
            data = (root / "segments" / f"{name}.seg").read_bytes()
            assert sha(data).hex() == name
            assert len(data) == int(size)
            assert int(first) == expected
            expected = int(upto) + 1
            files.append((f"segments/{name}.seg", data))
        assert (expected - 1, last) == (tip_seq, tip)
    journal = root / f"journal-{tip_seq + 1}-{tip[:16] if tip else '0' * 16}"
    if journal.exists():
        files.append((journal.name, journal.read_bytes()))
    log = _log(files, journal.name)
    _schemas(root, log)
    return log


def _log(files: list[tuple[str, bytes]], journal: str) -> Log:
    log = Log([], [], [], {}, {}, "", False)
    leaves: dict[tuple[str, str], list[bytes]] = {}
    ids: set[str] = set()
    batches: set[str] = set()
    torn = False
    for name, data in files:
        parts, end, rest = frames(data, name)
        assert parts[0][0] == b"H", name
        header = canonical(parts[0][2])
        assert header == {
            "domain": header["domain"],
            "format": 1,
            "parent": log.commit_ids[-1] if log.commit_ids else None,
            "position": len(log.events),
            "seq": len(log.commits),
        }, name
        if name != journal:
            assert not rest, name
            assert end == len(data), name
            assert parts[-1][0] == b"C", name
        torn = torn or rest
        pending: list[tuple[bytes, bytes]] = []
        envelopes: list[bytes] = []
        for kind, at, raw in parts[1:]:
            if kind == b"E":
                assert not envelopes, (name, at)
                envelopes = lines(raw)
            elif kind == b"B":
                assert envelopes, (name, at)
                bodies = lines(raw)
                assert len(bodies) == len(envelopes), (name, at)
                pending += list(zip(envelopes, bodies, strict=True))
                envelopes = []
            else:
                assert kind == b"C", (name, at)
                assert not envelopes, (name, at)
                for line in lines(raw):
                    commit = canonical(line)
                    taken, pending = pending[: commit["count"]], pending[commit["count"] :]
                    _commit(log, commit, line, taken, header["domain"], leaves, ids, batches)
                assert not pending, (name, at)
    return log._replace(index=log.commits[-1]["index"] if log.commits else sha(b"").hex(), torn=torn)


def _schemas(root: pathlib.Path, log: Log) -> None:
    """Published schemas: every file has its hash for a name, and what a version, the ref or a commit names is there."""
    versions: dict[str, dict[str, Any]] = {}
    for file in (root / "schemas/versions").glob("[0-9a-f]*.yaml"):
        data = file.read_bytes()
        assert sha(data).hex() == file.stem
        version = versions[file.stem] = canonical(data)
        assert sorted(version) == ["actor", "labels", "parent", "published_at", "reason", "schemas"]
        assert TIME.fullmatch(version["published_at"])
        for kind, name in version["schemas"].items():
            assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", kind)
            assert sha((root / f"schemas/objects/{name}.yaml").read_bytes()).hex() == name
    assert all(version["parent"] is None or version["parent"] in versions for version in versions.values())
    if (root / "refs/schemas/main").exists():
        head = (root / "refs/schemas/main").read_bytes()
        assert head.endswith(b"\n")
        assert head[:-1].decode() in versions
    for commit in log.commits:
        assert commit["schema"] is None or commit["schema"] in versions


def _commit(
    log: Log,
    commit: dict[str, Any],
    line: bytes,
    taken: list[tuple[bytes, bytes]],
    domain: str,
    leaves: dict[tuple[str, str], list[bytes]],
    ids: set[str],
    batches: set[str],
) -> None:
    members = "actor batch count domain events index message parent position schema seq time v"
    assert sorted(commit) == members.split()
    assert commit["v"] == 1
    assert commit["seq"] == len(log.commits)
    assert commit["position"] == len(log.events)
    assert commit["count"] == len(taken) >= 1
    assert commit["domain"] == domain
    assert UUID.fullmatch(domain)
    assert commit["parent"] == (log.commit_ids[-1] if log.commit_ids else None)
    assert TIME.fullmatch(commit["time"])
    assert len(line) <= 65535
    if commit["batch"] is not None:
        assert UUID.fullmatch(commit["batch"])
        assert commit["batch"] not in batches
        batches.add(commit["batch"])
    mine = []
    for envelope_line, body_line in taken:
        _event(log, envelope_line, body_line, leaves, ids)
        mine.append(sha(b"\0" + envelope_line))
    assert commit["events"] == tree(mine).hex()
    entries = []
    for (kind, name), found in leaves.items():
        log.roots[kind, name] = tree(found).hex()
        key = sha(f"{kind}/{name}".encode())
        entries.append((int.from_bytes(key, "big"), sha(b"\0" + key + struct.pack(">Q", len(found)) + tree(found))))
    assert commit["index"] == index_tree(entries).hex()
    log.commits.append(commit)
    log.commit_ids.append(sha(b"\0" + line).hex())


def _event(
    log: Log, envelope_line: bytes, body_line: bytes, leaves: dict[tuple[str, str], list[bytes]], ids: set[str]
) -> None:
    envelope = canonical(envelope_line)
    members = ["aggregate_id", "aggregate_type", "body", "created_at", "event_id", "event_type", "version"]
    assert sorted(set(envelope) - {"issued_by"}) == members
    kind, name = envelope["aggregate_type"], envelope["aggregate_id"]
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", kind)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}", name)
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,127}", envelope["event_type"])
    assert TIME.fullmatch(envelope["created_at"])
    assert envelope["event_id"].isdigit()
    assert int(envelope["event_id"]) < 2**63
    assert envelope["event_id"] not in ids
    ids.add(envelope["event_id"])
    if "issued_by" in envelope:
        assert sorted(envelope["issued_by"]) == ["group", "user"]
    known = leaves.setdefault((kind, name), [])
    assert envelope["version"] == len(known) + 1
    known.append(sha(b"\0" + envelope_line))
    body = None
    if body_line:
        assert envelope["body"] == sha(body_line).hex()
        body = canonical(body_line)
        assert set(body) <= {"metadata", "note", "payload", "salt"}
        assert isinstance(body["payload"], dict)
        assert len(urlsafe_b64decode(body["salt"])) == 12
        assert body.get("metadata", True)
        assert body.get("note", True)
        if envelope["event_type"] not in RESERVED:
            log.states.setdefault((kind, name), {}).update(body["payload"])
    log.events.append((envelope, body))
