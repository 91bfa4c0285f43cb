"""Names for commits: refs, tags and HEAD (format.md §7).

    commit <id> <seq>\\n
    manifest <sha256>\\n

A ref has both lines; a tag that is not a checkpoint has the first one only.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import HASH, INTEGER, MAX_INTEGER

HEAD = b"ref: refs/heads/main\n"
"""A domain's HEAD, always: a domain has one branch."""
MAIN = "refs/heads/main"

_COMMIT = f"commit ({HASH}) ({INTEGER})\n"
_SHOWN_CHARS = 80


class Ref(NamedTuple):
    """A commit id, the commit's seq, and the manifest whose last commit it is."""

    commit: str
    seq: int
    manifest: str


def encode_ref(ref: Ref) -> bytes:
    """The bytes of `refs/heads/main` or a remote-tracking ref."""
    return f"commit {ref.commit} {ref.seq}\nmanifest {ref.manifest}\n".encode("ascii")


def decode_ref(data: bytes) -> Ref:
    """A stored ref. Raises Corrupt unless the bytes are its one spelling."""
    commit, seq, manifest = _match(f"{_COMMIT}manifest ({HASH})\n", data, "the ref")
    return Ref(commit, _seq(seq, "the ref"), manifest)


def encode_tag(commit: str, seq: int) -> bytes:
    """The bytes of a tag that is not a checkpoint."""
    return f"commit {commit} {seq}\n".encode("ascii")


def decode_tag(data: bytes) -> tuple[str, int]:
    """The commit id and seq of a tag that is not a checkpoint. Raises Corrupt unless the bytes are its one spelling."""
    commit, seq = _match(_COMMIT, data, "the tag")
    return commit, _seq(seq, "the tag")


def check_head(data: bytes) -> None:
    """Raises Corrupt unless the bytes are a domain's HEAD."""
    if data != HEAD:
        raise Corrupt(f'HEAD is not "{HEAD.decode().strip()}"')


def check_tag_name(name: str) -> str:
    """A tag's name: `[a-z0-9][a-z0-9._-]{0,99}` without `..`. It becomes a file's name. Raises Invalid."""
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name) and ".." not in name:
        return name
    raise Invalid(
        f"tag name {json.dumps(name[:_SHOWN_CHARS])} must be a lower-case letter or digit, then lower-case letters, "
        'digits and . _ -, without "..", at most 100 characters'
    )


def _match(pattern: str, data: bytes, what: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, data.decode("ascii", "replace"))
    if found is None:
        raise Corrupt(f"{what} is not spelled as dbx writes it")
    return tuple(found.groups())


def _seq(digits: str, what: str) -> int:
    seq = int(digits)
    if seq > MAX_INTEGER:
        raise Corrupt(f"{what} has a seq that cannot be")
    return seq
