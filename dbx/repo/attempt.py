"""One transaction built in memory: the short way for a single plain event, the whole way for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.crypto.indextree import TreeMismatch
from dbx.formats.commit import Commit, encode_commit
from dbx.repo.build import Builder
from dbx.repo.single import Single, build_single
from dbx.repo.transaction import Committed, commit_actor
from dbx.store.index import IndexDamaged

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.repo.single import Draft
    from dbx.repo.transaction import Append
    from dbx.repo.working import WorkingSet


def build(
    domain: Domain,
    working: WorkingSet,
    rules: Rules | None,
    request: Append,
    now_us: int,
    now: str,
    worker: int,
    last: int,
) -> Builder | Single:
    """Check and build in memory. What is wrong with the transaction is kept in the builder."""
    draft = request.draft
    if draft is not None and request.existence == "any" and (rules is None or _passes(working, rules, draft)):
        by = request.issued_by
        single = build_single(draft, working, domain.entropy, by, now_us, now, worker, last)
        if single is not None:
            return single
    builder = Builder(
        entropy=domain.entropy,
        find=working.find,
        has_type=working.has_type,
        is_taken=working.is_taken,
        is_kept=working.is_staged,
        now_us=now_us,
        now=now,
        worker=worker,
        last_id=last,
        issued_by=request.issued_by,
        existence=request.existence,
        reserved=request.reserved,
        rules=rules,
        max_faults=len(request.items) + 1,
    )
    first_line = 0 if len(request.items) == 1 else 1
    builder.add(((first_line + n, item, None) for n, item in enumerate(request.items)), None)
    for fault in builder.faults:
        if isinstance(fault.error, (IndexDamaged, TreeMismatch)):
            raise fault.error
    return builder


def _passes(working: WorkingSet, rules: Rules, draft: Draft) -> bool:
    record = working.find(draft.type, draft.id)
    return rules.passes(draft, 0 if record is None else record.version, rules.look_up_in(working.find))


class Built(NamedTuple):
    """A transaction that was built on top of the working set, but not taken over into it."""

    request: Append
    events: Builder | Single
    committed: Committed
    line: bytes
    id: bytes

    def take_over(self, working: WorkingSet) -> None:
        """The working set now stands behind it."""
        commit = self.committed.commit
        if isinstance(self.events, Single):
            self.events.fold()
        working.adopt(self.events.records, commit.position, self.events.runs)
        working.advance(commit, self.id)


def advance(
    domain: Domain, working: WorkingSet, builder: Builder | Single, request: Append, now: str, schema: str | None
) -> Built:
    """Make a commit of what was built, in memory only."""
    head = working.head
    commit = Commit(
        commit_actor(domain, request.issued_by),
        None,
        len(builder.envelopes),
        domain.id,
        merkle.root(builder.leaves).hex(),
        working.update_tree(builder.records).hex(),
        request.message,
        head.commit.hex() if head.commit else None,
        head.position,
        schema,
        head.seq + 1,
        now,
    )
    line = encode_commit(commit)
    commit_id = merkle.leaf_hash(line)
    committed = Committed(commit, commit_id.hex(), builder.envelopes, builder.bodies)
    if request.announce is not None:
        request.announce(committed)
    return Built(request, builder, committed, line, commit_id)
