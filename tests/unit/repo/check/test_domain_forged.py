"""Somebody who knows the format changes history, and makes checksums, names, manifest and ref fit again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dbx.formats import segment
from dbx.formats.commit import Commit
from dbx.formats.envelope import Actor, decode_body, decode_envelope, encode_body, encode_envelope
from dbx.repo.check import parallel
from dbx.repo.check.finding import Finding, Report
from tests.unit.repo.check.build import (
    append,
    check,
    codes,
    collect_without_merging,
    copy,
    forge,
    item,
    open_repository,
)

Frames = list[tuple[bytes, list[bytes]]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One segment with two commits in one block: a/1, b/1, a/2, b/2; then a/3, c/1."""
    repository = open_repository(tmp_path_factory.mktemp("whole"))
    domain = repository.domain()
    append(domain, item("a"), item("b", payload={"n": 1}), item("a", "paid"), item("b", payload={"n": 2}))
    append(domain, item("a", payload={"x": [1, 2]}), item("c", payload={}))
    collect_without_merging(domain)
    repository.close()
    return Path(domain.directory.path)


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    found = copy(whole, tmp_path / "copy")
    assert not check(found).errors
    return found


def without_evidence(path: Path) -> None:
    """As on another machine: no index and no reflog to compare with."""
    for file in (*path.glob("index.db*"), *path.glob("logs/refs/heads/main")):
        file.unlink()


def lines(frames: Frames, kind: bytes) -> list[bytes]:
    return next(found for k, found in frames if k == kind)


def errors(report: Report) -> list[Finding]:
    return [f for f in report.findings if f.severity == "error"]


def at(report: Report, code: str) -> dict[str, Any]:
    return dict(next(f.what for f in errors(report) if f.code == code))


def changed(value: Any, **members: Any) -> Any:
    """A copy of a value of formats.envelope, whether it is a named tuple or a dataclass."""
    return value._replace(**members) if hasattr(value, "_replace") else replace(value, **members)


def drop(frames: Frames) -> None:
    del lines(frames, b"E")[2], lines(frames, b"B")[2]


def drop_last(frames: Frames) -> None:
    del lines(frames, b"E")[-1], lines(frames, b"B")[-1]


def double(frames: Frames) -> None:
    lines(frames, b"E").append(lines(frames, b"E")[-1])
    lines(frames, b"B").append(lines(frames, b"B")[-1])


def swap(one: int, other: int) -> Callable[[Frames], None]:
    def change(frames: Frames) -> None:
        for kind in (b"E", b"B"):
            found = lines(frames, kind)
            found[one], found[other] = found[other], found[one]

    return change


def swap_bodies(frames: Frames) -> None:
    found = lines(frames, b"B")
    found[1], found[3] = found[3], found[1]


def change_body(frames: Frames) -> None:
    found = lines(frames, b"B")
    found[1] = encode_body(changed(decode_body(found[1]), payload={"n": 100}))


def change_event(frames: Frames) -> None:
    change_body(frames)
    envelopes, bodies = lines(frames, b"E"), lines(frames, b"B")
    envelopes[1] = encode_envelope(changed(decode_envelope(envelopes[1]), body=sha256(bodies[1]).hexdigest()))


def change_actor(frames: Frames) -> None:
    found = lines(frames, b"E")
    found[1] = encode_envelope(changed(decode_envelope(found[1]), issued_by=Actor("ops", "mallory")))


@pytest.mark.parametrize(
    "change",
    [drop, drop_last, double, swap(0, 2), swap(0, 1), swap(3, 4), swap_bodies, change_body, change_event, change_actor],
)
@pytest.mark.parametrize("evidence", [True, False])
def test_a_changed_history_is_found(path: Path, change: Callable[[Frames], None], evidence: bool) -> None:
    forge(path, change)
    if not evidence:
        without_evidence(path)
    assert errors(check(path))


def test_what_is_named(path: Path, whole: Path, tmp_path: Path) -> None:
    def after(change: Callable[[Frames], None]) -> Report:
        again = copy(whole, tmp_path / "again")
        forge(again, change)
        return check(again)

    report = after(drop)
    assert at(report, "event.version") == {
        "aggregate_type": "order", "aggregate_id": "a", "version": 3, "position": 3,
        "event_id": at(report, "event.version")["event_id"],
    }  # fmt: skip
    assert at(after(swap(0, 2)), "event.version")["aggregate_id"] == "a"
    assert at(after(change_body), "event.body")["aggregate_id"] == "b"
    assert at(after(change_body), "event.body")["version"] == 1
    assert at(after(swap_bodies), "event.body")["version"] == 1
    assert at(after(change_event), "commit.events") == {"seq": 0, "position": 0, "last_position": 3}
    assert at(after(change_event), "index.row")["aggregate_id"] == "b"
    assert at(after(change_actor), "index.row")["aggregate_id"] == "b"
    assert at(after(double), "event.version")["aggregate_id"] == "c"
    assert at(after(double), "event.id")["aggregate_id"] == "c"


@pytest.mark.parametrize(
    ("commits", "code"),
    [
        (lambda c: replace(c, events="0" * 64) if c.seq else c, "commit.events"),
        (lambda c: replace(c, index="0" * 64) if c.seq else c, "commit.index"),
        (lambda c: replace(c, message="another") if not c.seq else c, "commit.parent"),
        (lambda c: replace(c, index="0" * 64) if not c.seq else c, "commit.index"),
        (lambda c: replace(c, parent="1" * 64) if c.seq else c, "commit.parent"),
        (lambda c: replace(c, position=5) if c.seq else c, "commit.position"),
        (lambda c: replace(c, seq=2, position=4) if c.seq else c, "commit.seq"),
        (lambda c: replace(c, count=3) if c.seq else c, "commit.count"),
        (lambda c: replace(c, count=1) if c.seq else c, "commit.count"),
        (lambda c: replace(c, domain="0" * 8 + "-0000-4000-8000-" + "0" * 12), "commit.domain"),
        (lambda c: replace(c, batch="0" * 8 + "-0000-4000-8000-" + "0" * 12), "commit.batch"),
        (lambda c: replace(c, schema="0" * 64), "schema.missing"),
    ],
)
def test_a_changed_commit_is_found(path: Path, commits: Callable[[Commit], Commit], code: str) -> None:
    forge(path, lambda frames: None, commits=commits)
    without_evidence(path)
    report = check(path)
    assert code in codes(report), report.findings
    assert next(f for f in errors(report) if f.code == code).file.startswith(("segments/", "schemas/"))


def test_a_whole_other_history_is_found_by_the_evidence(path: Path) -> None:
    """Everything fits together; only who has seen the first one can tell."""
    forge(path, lambda frames: None, commits=lambda c: replace(c, message="another") if c.seq else c)
    assert codes(check(path)) == {"index.ahead", "reflog.ahead"}
    without_evidence(path)
    assert check(path).clean


BODIES = {
    "blank": lambda line: line.replace(b'":', b'": ', 1),
    "order": lambda line: b'{"salt":"' + line[-18:-2] + b'","payload":{"n":1}}',
    "twice": lambda line: line.replace(b'{"n":1}', b'{"n":1,"n":1}'),
    "float": lambda line: line.replace(b'{"n":1}', b'{"n":1.0}'),
    "zero": lambda line: line.replace(b'{"n":1}', b'{"n":-0}'),
    "exponent": lambda line: line.replace(b'{"n":1}', b'{"n":1e1}'),
    "large": lambda line: line.replace(b'{"n":1}', b'{"n":9007199254740993}'),
    "trailing zero": lambda line: line.replace(b'{"n":1}', b'{"n":1.50}'),
    "escape": lambda line: line.replace(b'"n"', b'"\\u006e"'),
    "noncharacter": lambda line: line.replace(b'{"n":1}', '{"n":"\ufdd0"}'.encode()),
    "surrogate": lambda line: line.replace(b'{"n":1}', b'{"n":"\\ud800"}'),
    "not UTF-8": lambda line: line.replace(b'{"n":1}', b'{"n":"\xff"}'),
    "array": lambda line: line.replace(b'{"n":1}', b"[1]"),
    "null": lambda line: b"null",
    "no salt": lambda line: b'{"payload":{"n":1}}',
    "short salt": lambda line: line[:-4] + b'"}',
    "other member": lambda line: line[:-1] + b',"zzz":1}',
    "empty metadata": lambda line: b'{"metadata":{},' + line[1:],
    "metadata key": lambda line: b'{"metadata":{"by":1},' + line[1:],
    "empty note": lambda line: b'{"note":"",' + line[1:],
    "long note": lambda line: b'{"note":"' + b"x" * 129 + b'",' + line[1:],
    "deep": lambda line: line.replace(b'{"n":1}', b'{"n":' + b"[" * 64 + b"]" * 64 + b"}"),
    "large payload": lambda line: line.replace(b'{"n":1}', b'{"n":"' + b"x" * 262_144 + b'"}'),
    "two": lambda line: line + b"," + line,
}


def test_an_event_of_a_later_commit_in_a_block_is_named_where_it_stands(path: Path) -> None:
    def change(frames: Frames) -> None:
        envelopes = lines(frames, b"E")
        envelopes[4] = encode_envelope(changed(decode_envelope(envelopes[4]), version=7))

    forge(path, change)
    named = at(check(path), "event.version")
    assert (named["aggregate_id"], named["version"], named["position"]) == ("a", 7, 4)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("row", [1, 3])
def test_a_body_that_is_not_canonical(path: Path, name: str, row: int) -> None:
    """Its hash is right, and all roots: only its form is not."""

    def change(frames: Frames) -> None:
        envelopes, bodies = lines(frames, b"E"), lines(frames, b"B")
        bodies[row] = BODIES[name](bodies[row].replace(b'{"n":2}', b'{"n":1}'))
        envelopes[row] = encode_envelope(changed(decode_envelope(envelopes[row]), body=sha256(bodies[row]).hexdigest()))

    forge(path, change)
    report = check(path)
    named = at(report, "event.body")
    assert (named["aggregate_id"], named["version"], named["position"]) == ("b", 1 if row == 1 else 2, row)


def test_a_hash_that_begins_at_the_end_of_another(path: Path) -> None:
    """Two envelopes whose hashes are right when one is read behind the other."""

    def change(frames: Frames) -> None:
        found = lines(frames, b"E")
        first, second = (decode_envelope(line).body for line in found[2:4])
        found[2] = found[2].replace(first.encode(), first.encode() + second[:1].encode())
        found[3] = found[3].replace(second.encode(), second[1:].encode())

    forge(path, change)
    without_evidence(path)
    found = [finding for finding in errors(check(path)) if finding.code == "event.envelope"]
    assert [finding.what["position"] for finding in found] == [2, 3]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_body_that_is_not_canonical_is_found_by_any_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """The other processes tell hashes before they fold, so they find it when half of their run is told."""
    monkeypatch.setattr(parallel, "_SMALL", 0)
    repository = open_repository(tmp_path)
    domain = repository.domain()
    for n in range(4):
        append(domain, item("a", payload={"n": n}), item("b", payload={"n": n}))
        collect_without_merging(domain)
    repository.close()
    path = Path(domain.directory.path)
    assert check(path, processes=processes).clean

    def change(frames: Frames) -> None:
        envelopes, bodies = lines(frames, b"E"), lines(frames, b"B")
        bodies[1] = bodies[1].replace(b'{"n":', b'{"n": ')
        envelopes[1] = encode_envelope(changed(decode_envelope(envelopes[1]), body=sha256(bodies[1]).hexdigest()))

    forge(path, change)
    begun: list[int] = []
    done: list[int] = []
    named = at(check(path, processes=processes, begin=begun.append, progress=done.append), "event.body")
    assert (named["aggregate_id"], named["version"], named["position"]) == ("b", 4, 7)
    assert begun[-1] == 8
    assert (processes == 1) == (len(begun) == 1)


ENVELOPES = {
    "blank": lambda line: line.replace(b'":', b'": ', 1),
    "type": lambda line: line.replace(b'"order"', b'"Order"'),
    "id": lambda line: line.replace(b'_id":"b"', b'_id":"-b"'),
    "day": lambda line: line.replace(b"2026-09-21", b"2026-02-30"),
    "time": lambda line: line.replace(b'.000000Z"', b'Z"'),
    "event id": lambda line: line.replace(b'event_id":"', b'event_id":"0'),
    "wide event id": lambda line: line.replace(b'event_id":"', b'event_id":"9'),
    "event type": lambda line: line.replace(b'"placed"', b'"Placed"'),
    "empty user": lambda line: line.replace(b'"jane"', b'""'),
    "control in user": lambda line: line.replace(b'"jane"', b'"j\\u007fe"'),
    "escape in user": lambda line: line.replace(b'"jane"', b'"\\u006aane"'),
    "long user": lambda line: line.replace(b'"jane"', b'"' + b"x" * 129 + b'"'),
    "version": lambda line: line.replace(b'"version":', b'"version":0'),
    "other member": lambda line: line[:-1] + b',"zzz":1}',
    "missing": lambda line: b"{}",
    "not UTF-8": lambda line: line.replace(b'"jane"', b'"j\xffne"'),
    "two": lambda line: line + line,
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_that_is_not_exact(path: Path, name: str) -> None:
    def change(frames: Frames) -> None:
        found = lines(frames, b"E")
        before = found[1]
        found[1] = ENVELOPES[name](before)
        assert found[1] != before

    forge(path, change)
    report = check(path)
    assert at(report, "event.envelope")["position"] == 1


def test_frames_out_of_order(path: Path, whole: Path, tmp_path: Path) -> None:
    changes: list[Callable[[Frames], None]] = [
        lambda frames: frames.reverse(),
        lambda frames: frames.append(frames[0]),
        lambda frames: frames.insert(0, frames[2]),
        lambda frames: frames.pop(1) and None,
        lambda frames: frames.pop(0) and None,
        lambda frames: frames.pop() and None,
        lambda frames: frames[1][1].pop() and None,
        lambda frames: frames.insert(1, frames[0]),
    ]
    for change in changes:
        again = copy(whole, tmp_path / "again")
        forge(again, change)
        without_evidence(again)
        assert errors(check(again))


def test_archived_aggregates_take_no_events(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, item("a"), item("b"))
    append(domain, item("a", "aggregate_archived", payload={}), reserved=True)
    append(domain, item("b", "archived", payload={}))
    collect_without_merging(domain)
    repository.close()
    path = Path(domain.directory.path)
    assert check(path).clean

    def change(frames: Frames) -> None:
        found = lines(frames, b"E")
        found[1] = found[1].replace(b'"b"', b'"a"').replace(b'"version":1', b'"version":4')
        for kind in (b"E", b"B"):
            lines(frames, kind).append(lines(frames, kind).pop(1))

    forge(path, change)
    assert at(check(path), "event.archived")["aggregate_id"] == "a"


@pytest.mark.parametrize(
    "payload",
    [{"version": 5, "reason": "x"}, {"version": 2, "reason": "x"}, {"version": 0, "reason": "x"}, {"version": 1}, {}],
)
def test_an_erasure_names_an_earlier_version_and_a_reason(tmp_path: Path, payload: dict[str, Any]) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, item("a"))
    append(domain, item("a", "body_erased", payload=payload), reserved=True)
    repository.close()
    report = check(Path(domain.directory.path))
    assert codes(report) == {"event.erased"}
    assert at(report, "event.erased")["version"] == 2


def test_a_missing_body_needs_an_erasure(path: Path) -> None:
    def change(frames: Frames) -> None:
        lines(frames, b"B")[1] = b""

    forge(path, change)
    report = check(path)
    assert codes(report) == {"event.empty"}
    assert at(report, "event.empty")["aggregate_id"] == "b"
    file = path / "domain.yaml"
    file.write_text(file.read_text() + "redacted: true\n")
    assert codes(check(path)) <= {"index.state"}


def test_the_frame_of_a_lost_event_says_its_positions(path: Path) -> None:
    (file,) = path.glob("segments/*.seg")
    data = bytearray(file.read_bytes())
    at_byte = len(segment.MAGIC)
    _, _, at_byte = segment.decode_frame(bytes(data), at_byte, at_byte)
    data[at_byte + 20] ^= 1
    file.write_bytes(data)
    report = check(path)
    assert at(report, "event.lost") == {"position": 0, "last_position": 5}
    assert codes(report) == {"segment.hash", "frame", "event.lost"}
