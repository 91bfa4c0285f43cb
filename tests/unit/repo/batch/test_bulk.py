"""A file staged by two processes is staged as by one: the same events, states, faults; or nothing, when one dies."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import DbxError, Failure, Invalid
from dbx.formats.envelope import Actor
from dbx.repo.batch import bulk
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import StagedResult, Tree, find_batch, stage, staged_events
from dbx.repo.build import Builder
from dbx.repo.domain import Domain
from dbx.repo.query import get_aggregate, iterate_events, list_aggregates, verify_aggregate
from dbx.repo.repository import Repository
from dbx.repo.schema.schemas import file_of
from dbx.repo.vault.keyring import set_dek
from dbx.store.section import Section
from dbx.store.staging import read_blocks

NOW_US = 1_800_000_000_000_000
ACTOR = Actor("100 %d", 'jane "%s"')
FOREVER = 1 << 62

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="one process is all there is")


def opened(path: Path) -> Repository:
    return Repository.init(str(path), clock=lambda: NOW_US)[0]


def line_of(kind: str, name: str, event_type: str = "placed", **more: Any) -> str:
    return json.dumps(
        {"aggregate_type": kind, "aggregate_id": name, "event_type": event_type, "payload": {}, **more},
        ensure_ascii=False,
    )


def stage_file(
    domain: Domain,
    path: Path,
    *,
    large_bytes: int,
    progress: Callable[[int], None] | None = None,
    max_faults: int = 100,
) -> StagedResult:
    with path.open("rb") as file:
        return bulk.stage_lines(
            domain,
            file.read,
            file=file.fileno(),
            issued_by=ACTOR,
            max_faults=max_faults,
            progress=progress,
            large_bytes=large_bytes,
        )


def outcome(path: Path, data: bytes, *, large_bytes: int, max_faults: int = 100) -> Any:
    """Everything that staging a file does to a domain, but for salts, drawn ids and what follows from them."""
    with closing(opened(path)) as repository:
        domain = repository.domain()
        prepare(domain)
        file = path / "events.jsonl"
        file.write_bytes(data)
        try:
            done = stage_file(domain, file, large_bytes=large_bytes, max_faults=max_faults)
        except DbxError as error:
            return type(error), error.message, error.hint, error.details, leftovers(domain), len(found(domain))
        events = found(domain)
        assert (done.last.event_id if done.last else None) == (events[-1][0] if done.events else None)
        commit_staged(domain, actor=None)
        states = []
        for kept in list_aggregates(domain, archived=None):
            name = (kept.aggregate_type, kept.aggregate_id)
            again = verify_aggregate(domain, *name)  # re-reads, re-hashes and re-folds every event
            assert again == kept == get_aggregate(domain, *name)
            states.append((*name, kept.version, kept.state, kept.extensions, kept.created_at, kept.updated_at))
        first = events[0][0] if events else 0
        drawn = [(event[0] - first if event[0] > 1000 else event[0], *event[1:]) for event in events]
        return done.events, done.aggregates, done.total, drawn, states, leftovers(domain)


def prepare(domain: Domain) -> None:
    """An aggregate that is committed, one that is archived, and one that has staged events."""
    for name in ("old", "gone"):
        stage(domain, [(1, json.loads(line_of("order", name, payload={"a": 1, "old": 1})), None)], issued_by=None)
    gone = json.loads(line_of("order", "gone", "aggregate_archived"))
    stage(domain, [(1, gone, None)], issued_by=None, reserved=True)
    commit_staged(domain, actor=None)
    stage(domain, [(1, json.loads(line_of("order", "staged", payload={"b": 0})), None)], issued_by=None)


def found(domain: Domain) -> list[tuple[Any, ...]]:
    return [
        (
            *(e.event_id, e.aggregate_type, e.aggregate_id, e.version, e.event_type, e.created_at, e.issued_by),
            *(e.payload, e.metadata, e.note),
        )
        for e in staged_events(domain)
    ]


def leftovers(domain: Domain) -> list[str]:
    return [name for name in os.listdir(domain.directory.path) if name.startswith(".tmp")]


def children() -> list[int]:
    """The processes this one has started and not taken leave of, dead or alive."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


names = st.sampled_from(["old", "staged", "a", "b", "c", "d/1:x"])
values = st.sampled_from(
    [0, -1, 1.5, 1e21, 0.00001, 5e-7, True, None, "", "ä", "\U0001f600", "%d\t\n", [], {}, {"z": {"y": []}}]
)
payloads = st.dictionaries(st.sampled_from(["a", "b", "c", "ü", "\U0001f600"]), values, max_size=3)
plain = st.builds(
    line_of,
    st.sampled_from(["order", "person"]),
    names,
    st.sampled_from(["placed", "paid", "order.sent"]),
    payload=payloads,
)
rich = st.builds(
    lambda line, more: json.dumps({**json.loads(line), **more}),
    plain,
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": st.dictionaries(st.sampled_from(["@a", "@b-c"]), values, max_size=2),
            "note": st.sampled_from(["", "n", "ä%s"]),
            "created_at": st.sampled_from(
                [None, "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05Z", "2026-01-02t03:04:05.1+01:00"]
            ),
        },
    ),
)
good = st.one_of(plain, rich, st.sampled_from(["", " ", line_of("order", "a") + "\r"]))
odd = st.one_of(
    st.builds(line_of, st.just("order"), names, expected_version=st.integers(0, 3)),
    st.builds(line_of, st.just("order"), names, event_id=st.sampled_from([7, "7", "8", "08", -1])),
    st.builds(line_of, st.sampled_from(["order", "Order", 3]), st.sampled_from(["gone", "x", "-", None, []])),
    st.builds(line_of, st.just("order"), names, st.sampled_from(["aggregate_archived", "Bad", {}])),
    st.sampled_from(
        [
            "{", "[]", "null", "nope", '{"a":1,"a":2}', line_of("order", "a") + "}", "\ufeff" + line_of("order", "a"),
            line_of("order", "a", unknown=1), line_of("order", "a", payload=[]), line_of("order", "a", metadata=None),
            line_of("order", "a", metadata={"a": 1}), line_of("order", "a", note="x" * 129),
            line_of("order", "a", created_at="yesterday"), line_of("order", "a", created_at=3),
            line_of("order", "a", payload={"x": "y" * 300_000}), line_of("order", "a")[:-2] + "[" * 70 + "]" * 70 + "}",
            '{"aggregate_type":"order","aggregate_id":"a","event_type":"e","payload":{"k":1,"k":2}}',
            '{"aggregate_type":"order","aggregate_id":"a","event_type":"e","payload":{"k":NaN}}',
            '{"aggregate_type":"order","aggregate_id":"a","event_type":"e","payload":{"k":12345678901234567890}}',
            '{"aggregate_type":"order","aggregate_id":"a","event_type":"e","payload":{"k":"\\ud800"}}',
            "\x1f\x8b", "\x00",
        ]
    ),
)  # fmt: skip


@given(st.lists(good, min_size=2, max_size=30), st.lists(st.tuples(st.integers(0, 30), odd), max_size=3), st.booleans())
@settings(max_examples=50, deadline=None)
def test_two_processes_do_what_one_does(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], odd_lines: list[tuple[int, str]], ends: bool
) -> None:
    for at, line in odd_lines:
        lines.insert(at, line)
    data = "\n".join(lines).encode() + b"\n" * ends
    path = tmp_path_factory.mktemp("bulk")
    assert outcome(path / "two", data, large_bytes=1) == outcome(path / "one", data, large_bytes=FOREVER)


@pytest.mark.parametrize("max_faults", [1, 3, 100])
def test_faults_of_both_halves_come_in_line_order(tmp_path: Path, max_faults: int) -> None:
    lines = [line_of("order", f"o-{n}") for n in range(3000)]
    for n in (5, 2000, 2001, 2999):
        lines[n] = "nonsense"
    lines[2500] = "\udcff"
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    two = outcome(tmp_path / "two", data, large_bytes=1, max_faults=max_faults)
    assert two == outcome(tmp_path / "one", data, large_bytes=FOREVER, max_faults=max_faults)
    assert [fault["line"] for fault in two[3]["lines"]] == [6, 2001, 2002, 2501, 3000][:max_faults]


class Watched(bulk.SecondHalf):
    """Remembers whether the second process was of use."""

    joined: object = "never asked"

    def join(self, builder: Builder, section: Section, tree: Tree) -> tuple[bytes, bytes] | None:
        """See there."""
        self.joined = super().join(builder, section, tree)
        return self.joined  # type: ignore[return-value]


def watch(tmp_path: Path, lines: list[str]) -> tuple[Watched, Domain, StagedResult | DbxError]:
    """Stage all but the first line in a second process."""
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines))
    start = len(lines[0].encode()) + 1
    domain = opened(tmp_path).domain()
    prepare(domain)
    with path.open("rb") as file:
        second = Watched(domain, file.fileno(), start, path.stat().st_size, None)
        try:
            result: StagedResult | DbxError = stage(
                domain, [(1, json.loads(lines[0]), lines[0])], issued_by=None, second=second
            )
        except DbxError as error:
            result = error
    return second, domain, result


@pytest.mark.parametrize("sealed", [False, True])
def test_plain_lines_are_taken_over(tmp_path: Path, sealed: bool) -> None:
    lines = [line_of("order", f"o-{n % 7}", payload={"n": n}, metadata={"@n": n}) for n in range(5000)]
    if sealed:
        with closing(opened(tmp_path)) as repository:
            set_dek(repository.directory, bytes(range(32)), store=True, clock=lambda: NOW_US, entropy=os.urandom)
    second, domain, result = watch(tmp_path, lines)
    assert second.joined
    assert isinstance(result, StagedResult)
    assert result.events == 5000
    assert [event[-3] for event in found(domain)[1:]] == [{"n": n} for n in range(5000)]
    blocks = list(read_blocks(domain.directory, os.path.getsize(domain.directory.path_of("staging.jsonl"))))
    assert {block.sealed for block in blocks if block.events > 1} == {sealed}
    assert commit_staged(domain, actor=None)
    assert [event.payload for event in iterate_events(domain)][-5000:] == [{"n": n} for n in range(5000)]


def test_a_schema_does_not_keep_the_second_process_out(tmp_path: Path) -> None:
    directory = opened(tmp_path).domain().directory
    directory.write(file_of("ticket"), b"columns: {n: {type: integer, required: create}}\nevents: {placed: {}}\n")
    lines = [line_of("order", "o-1"), *(line_of("ticket", f"t-{n % 7}", payload={"n": n}) for n in range(500))]
    second, domain, result = watch(tmp_path, lines)
    assert second.joined
    assert isinstance(result, StagedResult)
    assert result.events == 501
    assert not leftovers(domain)


@pytest.mark.parametrize(
    "line",
    [
        line_of("order", "a", expected_version=1),
        line_of("order", "a", event_id="12"),
        line_of("order", "gone"),
        line_of("order", "a", unknown=1),
        "{",
    ],
)
def test_what_hangs_on_the_order_is_left_to_the_first_process(tmp_path: Path, line: str) -> None:
    second, domain, result = watch(tmp_path, [line_of("order", "a"), line_of("order", "b"), line])
    assert second.joined is None
    if isinstance(result, StagedResult):
        assert result.events == 3
    else:
        assert [fault["line"] for fault in result.details["lines"]] == [3]
        assert len(found(domain)) == 1
    assert not leftovers(domain)


def test_an_aggregate_with_many_shapes_of_payload(tmp_path: Path) -> None:
    lines = [line_of("order", "a", payload={f"k{n % 40}": n, f"k{n % 3}": n}) for n in range(200)]
    expected: dict[str, int] = {}
    for line in lines:
        expected.update(json.loads(line)["payload"])
    second, domain, _ = watch(tmp_path, lines)
    assert second.joined
    commit_staged(domain, actor=None)
    assert verify_aggregate(domain, "order", "a").state == expected


def test_gzip_and_small_files_are_read_by_one_process(tmp_path: Path) -> None:
    data = "\n".join(line_of("order", "a") for _ in range(100)).encode()
    assert outcome(tmp_path / "gz", gzip.compress(data), large_bytes=1)[0] == 100
    assert outcome(tmp_path / "small", data, large_bytes=len(data) + 1)[0] == 100


# -- when one of them ends early ---------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with threads does not fork. Those that an earlier test left are given a moment to end.

    The one that watchdog keeps for the rest of the process only waits, and so is left out of the count.
    """
    until = time.monotonic() + 10
    while (left := _threads()) and time.monotonic() < until:
        time.sleep(0.05)
    if left:
        pytest.skip(f"threads of an earlier test are still there: {', '.join(left)}")
    monkeypatch.setattr(threading, "active_count", lambda: 1 + len(_threads()))


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()[1:] if not type(thread).__module__.startswith("watchdog")]


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc for the second process")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(line_of("order", f"o-{n % 100}", payload={"n": n}) for n in range(30_000)))
    return path


@linux
@pytest.mark.usefixtures("alone")
def test_a_second_process_that_dies_fails_the_command_and_nothing_is_staged(tmp_path: Path, large: Path) -> None:
    with closing(opened(tmp_path)) as repository:
        domain = repository.domain()

        def kill(_count: int) -> None:
            for pid in children():
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(Failure, match="was ended by signal 9, so nothing was staged"):
            stage_file(domain, large, large_bytes=1, progress=kill)
        assert not children()
        assert not leftovers(domain)
        assert find_batch(domain) is None
        assert stage_file(domain, large, large_bytes=1).events == 30_000


@linux
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_whatever_ends_the_first_process_ends_the_second(
    tmp_path: Path, large: Path, error: type[BaseException]
) -> None:
    with closing(opened(tmp_path)) as repository:
        domain = repository.domain()
        seen: list[int] = []

        def interrupt(_count: int) -> None:
            seen.extend(children())
            raise error

        with pytest.raises(error):
            stage_file(domain, large, large_bytes=1, progress=interrupt)
        assert len(seen) == 1
        assert not children()
        assert not leftovers(domain)
        assert find_batch(domain) is None


@linux
@pytest.mark.usefixtures("alone")
def test_the_second_process_holds_no_lock_when_the_first_is_killed(tmp_path: Path, large: Path) -> None:
    with closing(opened(tmp_path)) as repository:
        domain = repository.domain()
        pid = os.fork()
        if not pid:
            try:
                stage_file(domain, large, large_bytes=1, progress=lambda _count: os.kill(os.getpid(), signal.SIGKILL))
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        domain.wait_s = 0.5
        assert stage_file(domain, large, large_bytes=1).events == 30_000


def test_a_fault_of_the_first_half_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(["nonsense", *[line_of("order", "a")] * 50]))
    with closing(opened(tmp_path)) as repository:
        domain = repository.domain()
        with pytest.raises(Invalid, match="line 1: "):
            stage_file(domain, path, large_bytes=1)
