"""Verifying proofs: every link of format.md §8, each by itself, with nothing but the proof and keys that are trusted.

Pure: no repository, no socket, no clock. What a proof shows is what its verified links show; the words of a link say
what that is.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import indextree, merkle
from dbx.errors import Corrupt
from dbx.formats.checkpoint import Checkpoint, default_origin
from dbx.formats.commit import Commit, decode_commit
from dbx.formats.envelope import Envelope, decode_body, decode_envelope
from dbx.formats.proof import AbsenceProof, AggregateProof, Current, EventProof, GrowthProof, HistoryProof, Own
from dbx.formats.tlogproof import parse_tlog_proof
from dbx.model.trust import OpenedNote, grew_from, holds_entry, open_checkpoint, read_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.note import Vkey
    from dbx.formats.proof import Proof

CHANGED = "changed"
MISSING = "missing"
EXTRA = "extra"
REORDERED = "reordered"
FORKED = "forked"
STALE = "stale"
UNSIGNED = "unsigned"
UNKNOWN_KEY = "unknown-key"
REASONS = (CHANGED, MISSING, EXTRA, REORDERED, FORKED, STALE, UNSIGNED, UNKNOWN_KEY)


class Link(NamedTuple):
    """A link of the chain: its name, whether it holds (None: left out of the proof), what that shows or why not."""

    name: str
    holds: bool | None
    text: str
    reason: str | None = None


class Verdict(NamedTuple):
    """Every link, the checkpoint that the proof ends in, who signed that, and the first reason against the proof."""

    links: tuple[Link, ...]
    checkpoint: Checkpoint | None
    signers: tuple[str, ...]

    @property
    def reason(self) -> str | None:
        """None when all links hold. What was changed comes before who signed."""
        reasons = [link.reason for link in self.links if link.holds is False]
        return min((each for each in reasons if each), key=REASONS.index) if reasons else None


def verify_proof(proof: Proof, keys: Sequence[Vkey], known: Checkpoint | None = None) -> Verdict:
    """Check every link. `known` is a checkpoint that the verifier has: an older or another history is told apart."""
    check = _Check(keys, known)
    try:
        if isinstance(proof, EventProof):
            _verify_event(check, proof)
        elif isinstance(proof, AggregateProof):
            _verify_aggregate(check, proof)
        elif isinstance(proof, AbsenceProof):
            _verify_absence(check, proof)
        elif isinstance(proof, GrowthProof):
            _verify_growth(check, proof)
        else:
            _verify_history(check, proof)
    except Corrupt as error:
        check.add("form", False, error.message, CHANGED)
    return Verdict(tuple(check.links), check.checkpoint, tuple(check.signers))


def verify_commit(line: str, log: str, keys: Sequence[Vkey]) -> Verdict:
    """Check that a commit is in a log whose checkpoint a trusted key signed; `log` is a tlog-proof of it."""
    check = _Check(keys, None)
    try:
        check.commit(line, log)
    except Corrupt as error:
        check.add("form", False, error.message, CHANGED)
    return Verdict(tuple(check.links), check.checkpoint, tuple(check.signers))


class _Check:
    """The links so far, and the one checkpoint that all legs must end in."""

    def __init__(self, keys: Sequence[Vkey], known: Checkpoint | None) -> None:
        self.keys = keys
        self.known = known
        self.links: list[Link] = []
        self.checkpoint: Checkpoint | None = None
        self.signers: list[str] = []
        self._note = b""

    def add(self, name: str, holds: bool | None, text: str, reason: str | None = None) -> None:
        self.links.append(Link(name, holds, text, None if holds is not False else reason or CHANGED))

    def commit(self, line: str, log: str, name: str = "log") -> Commit:
        """The commit, with the links from it to the checkpoint and from there to a trusted key."""
        commit = decode_commit(line.encode())
        proof = parse_tlog_proof(log.encode())
        checkpoint = read_head(proof.checkpoint)
        holds = proof.position == commit.seq and holds_entry(checkpoint, commit.seq, proof.hashes, line.encode())
        self.add(name, holds, f"commit {commit.seq} is one of the {checkpoint.size} that the checkpoint covers")
        if checkpoint.origin.startswith("dbx/") and checkpoint.origin != default_origin(commit.domain):
            self.add("origin", False, "the checkpoint is about another domain than the commit", FORKED)
        self.sign(proof.checkpoint, checkpoint)
        return commit

    def sign(self, note: bytes, checkpoint: Checkpoint) -> None:
        """The link from a checkpoint to keys; once, for all legs end in the same."""
        if self.checkpoint is not None:
            if (note, checkpoint) != (self._note, self.checkpoint):
                self.add("checkpoint", False, "the legs of the proof end in different checkpoints", FORKED)
            return
        self.checkpoint, self._note = checkpoint, note
        if not note.partition(b"\n\n")[2]:
            self.add("signature", False, "nobody has signed the checkpoint", UNSIGNED)
        else:
            self._open(note)
        if self.known is not None:
            self._compare(checkpoint, self.known)

    def _open(self, note: bytes) -> None:
        try:
            _, opened = open_checkpoint(note, self.keys)
        except Corrupt as error:
            self.add("signature", False, error.message, str(error.details.get("reason", CHANGED)))
            return
        self.signers += _names(opened)
        self.add("signature", True, f"the checkpoint is signed by {', '.join(self.signers)}")

    def _compare(self, found: Checkpoint, known: Checkpoint) -> None:
        if found.origin != known.origin:
            self.add("known", False, "the proof is about another log than the checkpoint that you have", FORKED)
        elif found.size < known.size:
            text = f"the proof ends at {found.size} commits; the checkpoint that you have covers {known.size}"
            self.add("known", False, text, STALE)
        elif found.size == known.size and found.root != known.root:
            self.add("known", False, "of the same size as the checkpoint that you have, but with another root", FORKED)
        elif found.size == known.size:
            self.add("known", True, "the checkpoint is the one that you have")
        else:
            self.add("known", None, "newer than the checkpoint that you have; ask for a proof of growth between them")


def _verify_event(check: _Check, proof: EventProof) -> None:
    envelope = decode_envelope(proof.envelope.encode())
    leaf = merkle.leaf_hash(proof.envelope.encode())
    _verify_body(check, envelope, proof.body)
    own = check.commit(proof.own.commit, proof.own.log, "own log")
    _verify_own(check, leaf, proof.own, own)
    if proof.current is None:
        check.add("index", None, "not asked: whether the event still stands in its aggregate")
        return
    current = proof.current
    holds = merkle.verify_inclusion(leaf, envelope.version - 1, current.version, current.path, current.root)
    name = f"{envelope.aggregate_type}/{envelope.aggregate_id}"
    check.add("aggregate", holds, f"the event is version {envelope.version} of {name}, which is at {current.version}")
    _verify_current(check, (envelope.aggregate_type, envelope.aggregate_id), current)


def _verify_body(check: _Check, envelope: Envelope, body: str | None) -> None:
    if body is None:
        check.add("body", None, "the body was left out; its hash stands in the envelope")
        return
    holds = sha256(body.encode()).hexdigest() == envelope.body
    check.add("body", holds, "the body is the one that the envelope names")
    if holds:
        decode_body(body.encode())


def _verify_own(check: _Check, leaf: bytes, own: Own, commit: Commit) -> None:
    holds = merkle.verify_inclusion(leaf, own.at, commit.count, own.path, bytes.fromhex(commit.events))
    who = "nobody named" if commit.actor is None else f"{commit.actor.group}:{commit.actor.user}"
    check.add("own commit", holds, f"the event was committed at {commit.time} by {who}, in commit {commit.seq}")


def _verify_current(check: _Check, name: tuple[str, str], current: Current) -> None:
    commit = check.commit(current.commit, current.log)
    key = indextree.key_of(*name)
    index = bytes.fromhex(commit.index)
    holds = indextree.verify_presence(key, current.version, current.root, current.steps, index)
    check.add("index", holds, f"{name[0]}/{name[1]} is at version {current.version} as of commit {commit.seq}")


def _verify_aggregate(check: _Check, proof: AggregateProof) -> None:
    _verify_current(check, proof.aggregate, proof.current)
    if proof.events is None:
        check.add("events", None, "the events were left out; their root is proven")
        return
    reason = compare_events(proof.aggregate, [envelope.encode() for envelope, _ in proof.events], proof.current)
    check.add("events", reason is None, f"these are its {proof.current.version} events, in order", reason)
    wrong = left_out = 0
    for line, body in proof.events:
        if body is None:
            left_out += 1
        elif sha256(body.encode()).hexdigest() != decode_envelope(line.encode()).body:
            wrong += 1
    text = f"the bodies are those that the envelopes name; {left_out} left out"
    check.add("bodies", None if left_out == len(proof.events) else not wrong, text)


def compare_events(name: tuple[str, str], lines: Sequence[bytes], current: Current) -> str | None:
    """Why envelopes are not exactly the events of an aggregate at a proven version and root; None when they are."""
    if merkle.root([merkle.leaf_hash(line) for line in lines]) == current.root and len(lines) == current.version:
        return None
    envelopes = [decode_envelope(line) for line in lines]
    if any((each.aggregate_type, each.aggregate_id) != name for each in envelopes):
        return EXTRA
    versions = [each.version for each in envelopes]
    if len(set(versions)) < len(versions) or any(version > current.version for version in versions):
        return EXTRA
    if len(versions) < current.version:
        return MISSING
    return REORDERED if versions != sorted(versions) else CHANGED


def _verify_absence(check: _Check, proof: AbsenceProof) -> None:
    commit = check.commit(proof.commit, proof.log)
    index = bytes.fromhex(commit.index)
    key = indextree.key_of(*proof.aggregate)
    if proof.other is None:
        holds = index == indextree.EMPTY and not proof.steps
    else:
        other, version, root = proof.other
        holds = indextree.verify_absence(key, other, version, root, proof.steps, index)
    text = f"there is no {proof.aggregate[0]}/{proof.aggregate[1]} as of commit {commit.seq}"
    check.add("index", holds, text, EXTRA if proof.other is not None and proof.other[0] == key else CHANGED)


def _verify_growth(check: _Check, proof: GrowthProof) -> None:
    first, second = (read_head(text.encode()) for text in (proof.first, proof.second))
    same = first.origin == second.origin
    holds = same and grew_from(first, second, proof.path)
    text = f"the log of {second.size} commits begins with the {first.size} commits of the first checkpoint"
    check.add("growth", holds, text, STALE if same and second.size < first.size else FORKED)
    check.sign(proof.second.encode(), second)


def _verify_history(check: _Check, proof: HistoryProof) -> None:
    _verify_current(check, proof.aggregate, proof.current)
    (old, old_root), (new, new_root) = proof.first, proof.second
    holds = merkle.verify_consistency(old, new, old_root, new_root, proof.path)
    check.add("growth", holds, f"version {new} begins with the {old} events of version {old}", FORKED)
    holds = merkle.verify_consistency(new, proof.current.version, new_root, proof.current.root, proof.onward)
    text = f"version {proof.current.version} begins with the {new} events of version {new}"
    check.add("onward", holds, text, STALE if proof.current.version < new else FORKED)


def _names(opened: OpenedNote) -> list[str]:
    return [signed.key.name for signed in opened.verified]
