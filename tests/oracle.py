"""What the engine says of a domain, compared with the independent reader; and the same work in several processes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from dbx.repo import query
from dbx.repo.domain import Domain
from tests.reader import Log, read


def agrees(domain: Domain) -> Log:
    """Both readers see the same history, states and roots; what the independent one read."""
    log = read(domain.directory.path)
    with domain.mutex:
        head = domain.sync().head
    assert (head.seq + 1, head.position, head.root.hex()) == (len(log.commits), len(log.events), log.index)
    assert head.commit.hex() == (log.commit_ids[-1] if log.commit_ids else "")
    found = {(a.aggregate_type, a.aggregate_id): a for a in query.iterate_aggregates(domain, archived=None)}
    assert {name: a.root for name, a in found.items()} == log.roots
    assert {name: a.state for name, a in found.items() if a.state} == {n: s for n, s in log.states.items() if s}
    told = [(str(e.event_id), e.version, e.payload) for e in query.iterate_events(domain)]
    assert told == [(e["event_id"], e["version"], body and body["payload"]) for e, body in log.events]
    for kind, name in list(found)[:5]:
        versions = [event.version for event in query.iterate_events(domain, kind, name)]
        assert versions == list(range(1, found[kind, name].version + 1))
    return log


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a process of its own, all at the same time; an assertion tells of those that raise."""
    children: list[int] = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc(limit=-6)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        children.append(pid)
    failed = [n for n, pid in enumerate(children) if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    assert not failed, f"the works {failed} raised"
