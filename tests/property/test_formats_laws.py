"""Laws of the byte formats: what is encoded decodes to itself, and every value has one spelling.

The second law is tried by breaking bytes: a truncation, or one flipped bit, is refused with Corrupt, or is the spelling
of another value, which encoding gives back byte for byte. Checksummed frames refuse all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.formats.commit import Commit, CommitActor, decode_commit, encode_commit
from dbx.formats.envelope import (
    MAX_EVENT_ID,
    MAX_INTEGER,
    Actor,
    Body,
    Envelope,
    decode_body,
    decode_envelope,
    encode_body,
    encode_envelope,
    is_actor_text,
    is_text,
)
from dbx.formats.manifest import ManifestEntry, decode_manifest, encode_manifest
from dbx.formats.reflog import ReflogEntry, decode_entry, encode_entry
from dbx.formats.refs import Ref, decode_ref, decode_tag, encode_ref, encode_tag
from dbx.formats.segment import (
    B,
    C,
    E,
    SegmentHeader,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header_frame,
    find_commit_frame,
)


def _is_json(value: Any) -> bool:
    try:
        canonical.encode(value)
    except Invalid:
        return False
    return True


few = settings(max_examples=25, deadline=None)
some = settings(max_examples=100, deadline=None)

hashes = st.binary(min_size=32, max_size=32).filter(any).map(bytes.hex)
uuids = st.uuids().map(str)
times = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "Z")
names = st.text(min_size=1, max_size=128).filter(is_actor_text)
actors = st.builds(Actor, names, names)
integers = st.integers(0, MAX_INTEGER)
texts = st.text(max_size=60).filter(is_text)

envelopes = st.builds(
    Envelope,
    aggregate_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}", fullmatch=True),
    aggregate_type=st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True),
    body=hashes,
    created_at=times,
    event_id=st.integers(0, MAX_EVENT_ID),
    event_type=st.from_regex(r"[a-z][a-z0-9_]{0,127}", fullmatch=True),
    issued_by=st.none() | actors,
    version=st.integers(1, MAX_INTEGER),
)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)
payloads = st.dictionaries(texts, values, max_size=4).filter(_is_json).map(canonical.normalise)
metadata_keys = st.from_regex("@[A-Za-z0-9][A-Za-z0-9_-]*", fullmatch=True)
bodies = st.builds(
    Body,
    payload=payloads,
    metadata=st.none() | st.dictionaries(metadata_keys, integers, min_size=1),
    note=st.none() | texts.filter(bool),
    salt=st.text("ABCXYZabcxyz0189-_", min_size=16, max_size=16),
)


@st.composite
def commits(draw: st.DrawFn) -> Commit:
    seq = draw(st.just(0) | st.integers(1, 2**40))
    return Commit(
        actor=draw(st.none() | st.builds(CommitActor, names, names, st.none() | names)),
        batch=draw(st.none() | uuids),
        count=draw(st.integers(1, 2**40)),
        domain=draw(uuids),
        events=draw(hashes),
        index=draw(hashes),
        message=draw(st.none() | texts),
        parent=draw(hashes) if seq else None,
        position=draw(st.integers(seq, 2**41)) if seq else 0,
        schema=draw(st.none() | hashes),
        seq=seq,
        time=draw(times),
    )


@st.composite
def manifests(draw: st.DrawFn) -> tuple[ManifestEntry, ...]:
    ids = draw(st.lists(hashes, min_size=2, max_size=8, unique=True))
    entries, first = [], 0
    for sha256, last_commit in zip(ids[::2], ids[1::2], strict=False):
        last = first + draw(st.integers(0, 2**40))
        entries.append(ManifestEntry(sha256, draw(st.integers(1, MAX_INTEGER)), first, last, last_commit))
        first = last + 1
    return tuple(entries)


refs = st.builds(Ref, hashes, integers, hashes)
reflog_entries = st.builds(
    ReflogEntry,
    old=st.none() | hashes,
    new=st.none() | hashes,
    seq=integers,
    time=times,
    actor=actors,
    reason=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(is_text),
)


def _breakages(data: bytes) -> Iterator[bytes]:
    """Every truncation, and every flip of one bit."""
    for size in range(len(data)):
        yield data[:size]
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _holds_one_spelling(data: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> None:
    value = decode(data)
    for broken in _breakages(data):
        try:
            other = decode(broken)
        except Corrupt:
            continue
        assert other != value
        assert encode(other) == broken


@given(envelopes)
@some
def test_an_envelope_comes_back_and_is_canonical(envelope: Envelope) -> None:
    line = encode_envelope(envelope)
    assert decode_envelope(line) == envelope
    assert canonical.encode(canonical.decode(line)) == line


@given(bodies)
@some
def test_a_body_comes_back_and_is_canonical(body: Body) -> None:
    line = encode_body(body)
    assert decode_body(line) == body
    assert canonical.encode(canonical.decode(line)) == line


@given(commits())
@some
def test_a_commit_comes_back_and_is_canonical(commit: Commit) -> None:
    line = encode_commit(commit)
    assert decode_commit(line) == commit
    assert canonical.encode(canonical.decode(line)) == line


@given(manifests())
@some
def test_a_manifest_comes_back(entries: tuple[ManifestEntry, ...]) -> None:
    assert decode_manifest(encode_manifest(entries)) == entries


@given(refs)
@some
def test_a_ref_and_a_tag_come_back(ref: Ref) -> None:
    assert decode_ref(encode_ref(ref)) == ref
    assert decode_tag(encode_tag(ref.commit, ref.seq)) == (ref.commit, ref.seq)


@given(reflog_entries)
@some
def test_a_reflog_entry_comes_back(entry: ReflogEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


@given(st.sampled_from([E, B, C]), st.binary(min_size=1, max_size=400), st.integers(0, 2**63), st.booleans())
@some
def test_a_frame_comes_back(kind: bytes, raw: bytes, offset: int, compress: bool) -> None:
    raw = raw * 3
    frame = encode_frame(kind, raw, offset, compress=compress)
    header, again, end = decode_frame(frame, 0, offset)
    assert (header.kind, header.raw, again, end) == (kind, len(raw), raw, len(frame))


@given(st.sampled_from([E, B, C]), st.binary(min_size=1, max_size=40), st.booleans())
@few
def test_a_broken_frame_is_refused(kind: bytes, raw: bytes, compress: bool) -> None:
    frame = encode_frame(kind, raw * 4, 8, compress=compress)
    for broken in _breakages(frame):
        try:
            decode_frame(broken, 0, 8)
        except Corrupt:
            continue
        raise AssertionError(broken)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.binary(max_size=60), st.booleans())
@some
def test_commit_frames_are_found_where_they_stand(raws: list[bytes], noise: bytes, compress: bool) -> None:
    data, starts = b"C\0\0\0" + noise, []
    for raw in raws:
        starts.append(len(data))
        data += encode_frame(C, raw * 4, len(data), compress=compress) + noise
    for at in range(len(data) + 1):
        assert find_commit_frame(data, at) == next((start for start in starts if start >= at), None)


@given(commits())
@few
def test_a_segment_header_has_one_spelling(commit: Commit) -> None:
    def encode(header: SegmentHeader) -> bytes:
        frame = encode_header_frame(header.domain, header.parent, header.position, header.seq)
        return decode_frame(frame, 0, 8)[1]

    header = SegmentHeader(commit.domain, 1, commit.parent, commit.position, commit.seq)
    assert decode_header(encode(header)) == header
    _holds_one_spelling(encode(header), decode_header, encode)


@given(envelopes)
@few
def test_an_envelope_has_one_spelling(envelope: Envelope) -> None:
    _holds_one_spelling(encode_envelope(envelope), decode_envelope, encode_envelope)


@given(bodies)
@few
def test_a_body_has_one_spelling(body: Body) -> None:
    _holds_one_spelling(encode_body(body), decode_body, encode_body)


@given(commits())
@few
def test_a_commit_has_one_spelling(commit: Commit) -> None:
    _holds_one_spelling(encode_commit(commit), decode_commit, encode_commit)


@given(manifests())
@few
def test_a_manifest_has_one_spelling(entries: tuple[ManifestEntry, ...]) -> None:
    _holds_one_spelling(encode_manifest(entries), decode_manifest, encode_manifest)


@given(refs)
@few
def test_a_ref_and_a_tag_have_one_spelling(ref: Ref) -> None:
    _holds_one_spelling(encode_ref(ref), decode_ref, encode_ref)
    _holds_one_spelling(encode_tag(ref.commit, ref.seq), decode_tag, lambda tag: encode_tag(*tag))


@given(reflog_entries)
@few
def test_a_reflog_entry_has_one_spelling(entry: ReflogEntry) -> None:
    _holds_one_spelling(encode_entry(entry), decode_entry, encode_entry)
