"""The example that opens dbx-format(5) is true: read here by hand, and then by the code."""

from __future__ import annotations

import json
import re
import zlib
from hashlib import sha256

from dbx.crypto import indextree, merkle
from dbx.formats import commit, envelope, manifest, refs, segment
from tests.meta import roff
from tests.meta.source import CHECKOUT

PAGE = roff.read_page(CHECKOUT / "man" / "dbx-format.5")
WALK = "A TINY SEGMENT, BYTE BY BYTE"


def displays() -> list[list[str]]:
    """The lines of every .EX block of the walk-through; a line that is indented goes on from the one before."""
    found: list[list[str]] = []
    inside = False
    for line in roff.sections(PAGE)[WALK]:
        name = roff.macro(line)
        if name in ("EX", "EE"):
            inside = name == "EX"
            if inside:
                found.append([])
        elif inside:
            text = roff.unescape(line)
            if text.startswith("      "):
                found[-1][-1] += text[6:] if found[-1][-1].startswith("0") else " " + text[6:]
            else:
                found[-1].append(text)
    return found


def rows() -> list[tuple[int, bytes]]:
    """(offset, bytes) of every row of the dump."""
    found = []
    for line in displays()[0]:
        offset, _, shown = line.partition("  ")
        is_text = shown.startswith("{")
        data = shown.replace("\\n", "\n").encode() if is_text else bytes.fromhex(shown.replace(" ", ""))
        found.append((int(offset, 16), data))
    return found


DATA = b"".join(data for _, data in rows())
HASHES = [bytes.fromhex(display[0]) for display in displays()[1:7]]


def test_the_dump_is_a_segment_by_hand() -> None:
    at = 0
    for offset, data in rows():
        assert offset == at
        at += len(data)
    assert f"this is the whole segment, {len(DATA)} bytes" in " ".join(PAGE.text.split()).lower()
    assert DATA[:8] == b"DBXSEG1\n"
    at, kinds = 8, b""
    while at < len(DATA):
        header = DATA[at : at + 16]
        stored = int.from_bytes(header[4:8], "big")
        body = DATA[at + 16 : at + 16 + stored]
        assert header[1:4] == b"\0\0\0"
        assert header[8:12] == header[4:8]
        assert int.from_bytes(header[12:], "big") == zlib.crc32(at.to_bytes(8, "big") + header[:12] + body)
        kinds += header[:1]
        at += 16 + stored
    assert kinds == b"HEBC"


def test_the_values_follow_by_hand() -> None:
    _, envelope_line, body_line, commit_line = (data.rstrip(b"\n") for _, data in rows() if data.startswith(b"{"))
    event, record = json.loads(envelope_line), json.loads(commit_line)
    body_hash, leaf, key, index, commit_id, name = HASHES
    assert body_hash == sha256(body_line).digest() == bytes.fromhex(event["body"])
    assert leaf == sha256(b"\0" + envelope_line).digest() == bytes.fromhex(record["events"])
    assert key == sha256(b"order/o-17").digest()
    assert index == sha256(b"\0" + key + (1).to_bytes(8, "big") + leaf).digest() == bytes.fromhex(record["index"])
    assert commit_id == sha256(b"\0" + commit_line).digest()
    assert name == sha256(DATA).digest()


def test_the_code_reads_the_example_and_writes_it_again() -> None:
    at, frames, written = len(segment.MAGIC), {}, segment.MAGIC
    while at < len(DATA):
        header, raw, following = segment.decode_frame(DATA, at, at)
        frames[header.kind] = raw
        written += segment.encode_frame(header.kind, raw, at, compress=False)
        at = following
    assert written == DATA
    event = envelope.decode_envelope(frames[segment.E].rstrip(b"\n"))
    record = commit.decode_commit(frames[segment.C].rstrip(b"\n"))
    assert envelope.encode_envelope(event) + b"\n" == frames[segment.E]
    assert envelope.encode_body(envelope.decode_body(frames[segment.B].rstrip(b"\n"))) + b"\n" == frames[segment.B]
    assert commit.encode_commit(record) + b"\n" == frames[segment.C]
    _, leaf, key, index, commit_id, _ = HASHES
    assert merkle.leaf_hash(frames[segment.E].rstrip(b"\n")) == leaf
    assert indextree.key_of(event.aggregate_type, event.aggregate_id) == key
    assert indextree.leaf_hash(key, event.version, merkle.root([leaf])) == index
    assert merkle.leaf_hash(frames[segment.C].rstrip(b"\n")) == commit_id


def test_the_manifest_and_the_ref_are_those_of_the_segment() -> None:
    listing, ref = displays()[7], displays()[8]
    (entry,) = manifest.decode_manifest((listing[0] + "\n").encode())
    commit_id, name = HASHES[4].hex(), HASHES[5].hex()
    assert entry == manifest.ManifestEntry(name, len(DATA), 0, 0, commit_id)
    expected = sha256((listing[0] + "\n").encode()).hexdigest()
    assert refs.decode_ref("".join(line + "\n" for line in ref).encode()) == refs.Ref(commit_id, 0, expected)
    assert f"segments/{name[:8]}...{name[-8:]}.seg" in PAGE.text


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    found = re.search(
        r"Envelope (\d+) KiB, body (\d+) MiB, payload (\d+) KiB, metadata (\d+) KiB, note (\d+) characters", text
    )
    assert found is not None
    kib = 1024
    assert [int(n) for n in found.groups()] == [
        envelope.MAX_ENVELOPE_BYTES // kib,
        envelope.MAX_BODY_BYTES // kib // kib,
        envelope.MAX_PAYLOAD_BYTES // kib,
        envelope.MAX_METADATA_BYTES // kib,
        envelope.MAX_NOTE_CHARS,
    ]
    assert 4 * kib * kib == segment.MAX_RAW_BYTES
    assert 4 * kib * kib + 8 * kib == segment.MAX_STORED_BYTES
    assert f"The line is at most {commit.MAX_COMMIT_BYTES:,} bytes" in text
    assert f"the message at most {commit.MAX_MESSAGE_BYTES // kib} KiB" in text
