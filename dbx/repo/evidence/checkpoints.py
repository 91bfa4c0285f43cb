"""Checkpoints of a domain's commit log (format.md §8): made, signed, and compared with the domain.

Before a signature leaves, the head it is about is stored in the workspace; what contradicts a head that was signed
before is never signed. The commits that a signed head covers are shared: they are not taken back any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, NotFound
from dbx.formats.checkpoint import Checkpoint, default_origin, format_checkpoint
from dbx.formats.note import Note, Vkey, format_note
from dbx.model.trust import sign_note
from dbx.repo.evidence.committree import CommitTree
from dbx.repo.evidence.heads import SIGNED, find_head, write_head
from dbx.repo.vault.keys import get_signing_key

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository


class SignedCheckpoint(NamedTuple):
    """A checkpoint, the note that carries it, and the key that signed."""

    checkpoint: Checkpoint
    note: bytes
    key: Vkey


def make_checkpoint(domain: Domain, size: int | None = None, tree: CommitTree | None = None) -> Checkpoint:
    """The head of the domain's commit log, or of its first `size` commits. Raises NotFound beyond."""
    tree = tree or CommitTree(domain)
    size = tree.size if size is None else size
    return Checkpoint(default_origin(domain.id), size, tree.root_at(size))


def sign_checkpoint(repository: Repository, domain: Domain, size: int | None = None) -> SignedCheckpoint:
    """A signed checkpoint of the domain's first `size` commits, all by default.

    Raises NotFound for a domain without commits, KeyFailure without a key, Corrupt when what was signed before is not
    the beginning of this history.
    """
    key = get_signing_key(repository)
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        tree = CommitTree(domain)
        checkpoint = make_checkpoint(domain, size, tree)
        if checkpoint.size == 0:
            raise NotFound(f"domain '{domain.name}' has no commits to sign for")
        before = find_head(repository, SIGNED, checkpoint.origin)
        if before is not None:
            _refuse_contradiction(domain, tree, before)
        if before is None or before.size < checkpoint.size:
            write_head(repository, SIGNED, checkpoint)
    finally:
        lock.close()
    text = format_checkpoint(checkpoint)
    return SignedCheckpoint(checkpoint, format_note(Note(text, (sign_note(text, key.vkey, key.seed),))), key.vkey)


def signed_size(repository: Repository, domain: Domain) -> int:
    """How many of the domain's commits a signed checkpoint covers; 0 for none."""
    found = find_head(repository, SIGNED, default_origin(domain.id))
    return 0 if found is None else found.size


def compare_with_domain(domain: Domain, checkpoint: Checkpoint) -> str:
    """What a checkpoint says of a domain with the same origin: `current`, `older`, `ahead` or `forked`.

    `older`: the domain has grown since. `ahead`: the checkpoint covers commits that the domain lacks. `forked`: the
    domain's history is another one.
    """
    tree = CommitTree(domain)
    if checkpoint.size > tree.size:
        return "ahead"
    if tree.root_at(checkpoint.size) != checkpoint.root:
        return "forked"
    return "current" if checkpoint.size == tree.size else "older"


def _refuse_contradiction(domain: Domain, tree: CommitTree, before: Checkpoint) -> None:
    if before.size > tree.size:
        what = f"a checkpoint of {before.size} commits was signed before, and now there are {tree.size}"
    elif tree.root_at(before.size) != before.root:
        what = f"the first {before.size} commits are not those of the checkpoint that was signed before"
    else:
        return
    raise Corrupt(
        f"refused to sign for domain '{domain.name}': {what}",
        hint="history was lost or rewritten; run 'dbx fsck', and compare with a copy",
        details={"reason": "forked", "signed_size": before.size, "signed_root": before.root.hex()},
    )
