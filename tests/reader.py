"""An independent reader of the format: written from dbx-format(5) alone, with the standard library, sharing no code.

`read(domain_directory)` checks everything it meets and returns what it found; any deviation is an AssertionError. It is
slow and plain on purpose: it is the definition that the engine's output is compared with.
Only sealed bodies need more than the standard library: AES-256-GCM.
"""

from __future__ import annotations

import pathlib
import re
import struct
import zlib
from base64 import b64decode
from typing import Any, NamedTuple

from tests.readlines import (
    body_of,
    canonical,
    check_time,
    commit_of,
    envelope_of,
    lines,
    manifest_of,
    ref_of,
    sha,
    tree,
)

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


class SealedBodies(NamedTuple):
    """What a sealed B frame holds: whether it is a zlib stream once it is open, its raw length, its stored bytes."""

    is_zlib: bool
    raw: int
    stored: bytes


def data_keys(keyring: str, dek: bytes) -> dict[bytes, bytes]:
    """The data keys of a keyring.yaml by their ids."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    keys = {}
    for key_id, wrapped in re.findall(r"id: '([0-9a-f]{16})'\n(?:.*\n)?  wrapped: (\S+)\n", keyring):
        data, name = b64decode(wrapped, validate=True), bytes.fromhex(key_id)
        keys[name] = AESGCM(dek).decrypt(data[:12], data[12:], b"dbx1K" + name)
        assert len(keys[name]) == 32
    return keys


def unseal(sealed: SealedBodies, keys: dict[bytes, bytes], domain: str, position: int) -> bytes:
    """The bodies of a block whose first event stands at a position, in a segment of a domain."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id, nonce, text = sealed.stored[:8], sealed.stored[8:20], sealed.stored[20:]
    place = b"dbx1B" + bytes.fromhex(domain.replace("-", "")) + struct.pack(">Q", position) + key_id
    body = AESGCM(keys[key_id]).decrypt(nonce, text, place)
    if sealed.is_zlib:
        body = inflated(body, sealed.raw)
    assert len(body) == sealed.raw
    return body


def inflated(data: bytes, raw: int) -> bytes:
    stream = zlib.decompressobj()
    body = stream.decompress(data, raw + 1)
    assert stream.eof
    assert not stream.unused_data
    return body


def frames(data: bytes, name: str) -> tuple[list[tuple[bytes, int, bytes | SealedBodies]], int, bool]:
    """(kind, offset, raw) of every frame, where the last C frame ends, and whether something torn follows."""
    assert data[:8] == b"DBXSEG1\n", name
    found: list[tuple[bytes, int, bytes | SealedBodies]] = []
    at = 8
    assert data[8:], name
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
        assert flags in (0, 1) or (flags in (2, 3) and kind == b"B"), (name, at)
        if flags & 2:
            found.append((kind, at, SealedBodies(bool(flags & 1), raw, body)))
        else:
            body = inflated(body, raw) if flags & 1 else body
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


def read(directory: str | pathlib.Path, keys: dict[bytes, bytes] | None = None) -> Log:
    """Read and check a whole domain; `keys` opens what is sealed."""
    root = pathlib.Path(directory)
    assert (root / "HEAD").read_bytes() == b"ref: refs/heads/main\n"
    files: list[tuple[str, bytes]] = []
    ref = root / "refs/heads/main"
    tip, tip_seq = None, -1
    if ref.exists():
        tip, tip_seq, listed = ref_of(ref.read_bytes())
        manifest = (root / "manifests" / listed).read_bytes()
        assert sha(manifest).hex() == listed
        entries = manifest_of(manifest)
        for name, size, _, _, _ in entries:
            data = (root / "segments" / f"{name}.seg").read_bytes()
            assert sha(data).hex() == name
            assert len(data) == size
            files.append((f"segments/{name}.seg", data))
        assert entries[-1][3:] == (tip_seq, tip)
    journal = root / f"journal-{tip_seq + 1}-{tip[:16] if tip else '0' * 16}"
    if journal.exists():
        files.append((journal.name, journal.read_bytes()))
    redacted = re.search("(?m)^redacted: true$", (root / "domain.yaml").read_text(encoding="utf-8")) is not None
    log = _log(files, journal.name, redacted, keys or {})
    _schemas(root, log)
    return log


def _check_erased(log: Log, redacted: bool) -> None:
    """A body is missing only where an event of the same aggregate says so, or the whole copy is redacted."""
    told = {
        (envelope["aggregate_type"], envelope["aggregate_id"], body["payload"]["version"])
        for envelope, body in log.events
        if body is not None and envelope["event_type"] == "body_erased"
    }
    for envelope, body in log.events:
        name = envelope["aggregate_type"], envelope["aggregate_id"], envelope["version"]
        assert body is not None or redacted or name in told, name


def _log(files: list[tuple[str, bytes]], journal: str, redacted: bool, keys: dict[bytes, bytes]) -> Log:
    log = Log([], [], [], {}, {}, "", False)
    leaves: dict[tuple[str, str], list[bytes]] = {}
    ids: set[str] = set()
    batches: set[str] = set()
    torn = False
    for name, data in files:
        parts, end, rest = frames(data, name)
        assert parts[0][0] == b"H", name
        assert isinstance(parts[0][2], bytes)
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
        position = len(log.events)
        for kind, at, stored in parts[1:]:
            raw = unseal(stored, keys, header["domain"], position) if isinstance(stored, SealedBodies) else stored
            if kind == b"E":
                assert not envelopes, (name, at)
                envelopes = lines(raw)
            elif kind == b"B":
                assert envelopes, (name, at)
                bodies = lines(raw)
                assert len(bodies) == len(envelopes), (name, at)
                position += len(bodies)
                pending += list(zip(envelopes, bodies, strict=True))
                envelopes = []
            else:
                assert kind == b"C", (name, at)
                assert not envelopes, (name, at)
                for line in lines(raw):
                    commit = commit_of(line)
                    taken, pending = pending[: commit["count"]], pending[commit["count"] :]
                    _commit(log, commit, line, taken, header["domain"], leaves, ids, batches)
                assert not pending, (name, at)
    _check_erased(log, redacted)
    return log._replace(index=log.commits[-1]["index"] if log.commits else sha(b"").hex(), torn=torn)


def _schemas(root: pathlib.Path, log: Log) -> None:
    """Published schemas: every file has its hash for a name, and what a version, the ref or a commit names is there."""
    versions: dict[str, dict[str, Any]] = {}
    for file in (root / "schemas/versions").glob("[0-9a-f]*.yaml"):
        data = file.read_bytes()
        assert sha(data).hex() == file.stem
        version = versions[file.stem] = canonical(data)
        assert sorted(version) == ["actor", "labels", "parent", "published_at", "reason", "schemas"]
        check_time(version["published_at"])
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
    assert commit["seq"] == len(log.commits)
    assert commit["position"] == len(log.events)
    assert commit["count"] == len(taken) >= 1
    assert commit["domain"] == domain
    assert commit["parent"] == (log.commit_ids[-1] if log.commit_ids else None)
    if commit["batch"] is not None:
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
    envelope = envelope_of(envelope_line)
    kind, name = envelope["aggregate_type"], envelope["aggregate_id"]
    assert envelope["event_id"] not in ids
    ids.add(envelope["event_id"])
    known = leaves.setdefault((kind, name), [])
    assert envelope["version"] == len(known) + 1
    known.append(sha(b"\0" + envelope_line))
    body = None
    if body_line:
        assert envelope["body"] == sha(body_line).hex()
        body = body_of(body_line)
        if envelope["event_type"] not in RESERVED:
            log.states.setdefault((kind, name), {}).update(body["payload"])
    log.events.append((envelope, body))
