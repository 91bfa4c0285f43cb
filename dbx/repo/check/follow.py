"""Following the log from its first file to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats.commit import decode_commit
from dbx.repo.check.frames import BLOCK, COMMITS, GAP, LOST
from dbx.repo.check.history import History
from dbx.repo.check.join import Aggregates
from dbx.repo.check.parallel import Parts
from dbx.repo.check.share import Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack

    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.repo.check.frames import Source, Walk
    from dbx.repo.check.join import BlockRows
    from dbx.repo.check.part import Job


def follow_commits(walks: Sequence[Walk], log: Log) -> None:
    """The chain of commits alone."""
    for walked in walks:
        domain = log.start_file(walked)
        for kind, at, _ in walked.items:
            if kind == COMMITS:
                log.decode(_raw(walked.source, at), walked.source.name, at, domain)
            elif kind == GAP:
                log.lose()


def follow(
    walks: Sequence[Walk],
    log: Log,
    findings: Findings,
    *,
    redacted: bool,
    amount: Amount,
    processes: int,
    progress: Callable[[int], None],
    careful: bool,
    whole: bool,
    stack: ExitStack,
) -> History:
    """Commits and events. Raises Again unless it is told to be `careful`.

    With `whole` states can be asked for, and not only their hashes. What the events add up to may still be on its way,
    until `stack` is closed: `Aggregates.settle` waits for it.
    """
    jobs, sizes = _jobs(walks)
    aggregates = Aggregates()
    history = History(log, aggregates, findings, redacted=redacted)
    sources = [walked.source for walked in walks]
    parts = stack.enter_context(
        Parts(jobs, sizes, sources, amount=amount, processes=processes, progress=progress, careful=careful, whole=whole)
    )
    rows = aggregates.blocks(parts)
    for walked in walks:
        _follow_file(walked, log, history, rows)
    if next(rows, None) is not None:
        raise AssertionError("a block is an item of no file")
    history.finish()
    return history


def _follow_file(walked: Walk, log: Log, history: History, rows: Iterator[BlockRows]) -> None:
    domain = log.start_file(walked)
    if not log.whole:
        history.lose()
    name = walked.source.name
    offsets: list[int] = []
    for kind, at, _ in walked.items:
        if kind in (BLOCK, LOST):
            offsets.append(at)
        elif kind == COMMITS:
            commits = log.decode(_raw(walked.source, at), name, at, domain)
            if not log.whole:
                history.lose()
            history.group(zip(offsets, rows, strict=False), commits, name)
            offsets = []
        else:
            log.lose()
            history.lose()
    if offsets:
        history.lose()
        history.group(zip(offsets, rows, strict=False), [], name)


def _raw(source: Source, offset: int) -> bytes:
    """The commits of a C frame whose checksum is good; nothing where it does not inflate."""
    try:
        return source.frame(offset)[0]
    except Corrupt:
        return b"\n"


def _jobs(walks: Sequence[Walk]) -> tuple[list[Job], list[int]]:
    """Every block, and the bytes up to the next item."""
    jobs: list[Job] = []
    sizes: list[int] = []
    for number, walked in enumerate(walks):
        starts = [item[1] for item in walked.items] + [walked.end]
        for (kind, at, bodies_at), following in zip(walked.items, starts[1:], strict=True):
            if kind in (BLOCK, LOST):
                jobs.append((number, kind, at, bodies_at))
                sizes.append(max(following - at, 0))
    return jobs, sizes


def measure(walks: Sequence[Walk]) -> Amount:
    """How many events and commits the last commit says there are."""
    for walked in reversed(walks):
        for kind, at, _ in reversed(walked.items):
            if kind == COMMITS:
                try:
                    commit = decode_commit(_raw(walked.source, at).rstrip(b"\n").rpartition(b"\n")[2])
                except Corrupt:
                    return Amount(0, 0)
                return Amount(commit.position + commit.count, commit.seq + 1)
    return Amount(0, 0)
