"""Refs as people write them, and what they name: one commit of a domain's log.

    HEAD, main, @                 the newest commit
    v1.0                          a tag
    3f2a, 3f2a9c…                 a commit id, or at least four digits with which one id only begins
    origin/main                   where a remote's history stood when it was last fetched
    @2026-11-01, @<RFC 3339>, @2d the last commit whose time is not later
    REF~n, REF^                   n commits, or one, before what REF names

`refs/heads/main`, `refs/tags/<name>` and `refs/remotes/<remote>/main` say which kind is meant. Without that a whole
commit id comes before a tag, and a tag before the first digits of an id.

Clocks are set back now and then, so that a commit may bear an earlier time than the one before it. "The last" always
means in the order of the log: what comes after that commit, every one of it, bears a later time than the one asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats.commit import time_of
from dbx.formats.refs import decode_tag
from dbx.model.names import quote
from dbx.model.time import format_time, parse_moment
from dbx.repo.log import MAIN, read_ref
from dbx.store.reflog import LOGS, Reflog

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

TAGS = "refs/tags"
REMOTES = "refs/remotes"
MAX_TAG_BYTES = 1 << 20
"""A tag may be a checkpoint with the signatures of many witnesses."""
MIN_DIGITS = 4
_ID_DIGITS = 64
_EXAMPLES = "write HEAD, HEAD~2, a tag, a commit id or its first four digits, origin/main, or @2026-11-01"

_match_steps = re.compile(r"~(?P<count>[0-9]{0,15})|\^").match
_match_tag = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9._-]{0,99}").fullmatch
_match_remote = re.compile(r"(?:refs/)?(?:remotes/)?([a-z0-9](?!.*\.\.)[a-z0-9._-]{0,99})/main").fullmatch
_is_id = re.compile(rf"[0-9a-f]{{{MIN_DIGITS},{_ID_DIGITS}}}").fullmatch
_match_checkpoint = re.compile(rb"[^\n]+\n(0|[1-9][0-9]{0,15})\n[A-Za-z0-9+/]{43}=\n\n").match


class Revision(NamedTuple):
    """A commit that a ref names. `position_end` counts the events up to and with it; hashes are 64 hex digits."""

    seq: int
    commit_id: str
    position_end: int
    index_root: str


def resolve_revision(domain: Domain, text: str) -> Revision:
    """The commit that a ref names.

    Raises Invalid for what is no ref (details: `character`, counted from 1) and for the first digits of several ids
    (details: `candidates`); NotFound for a name that nothing has, for a time and a step before the first commit, and
    for all of them in a domain without commits.
    """
    base, back = _parse(text)
    moment = format_time(_parse_moment(text, base, domain.clock())) if _is_time(base) else None

    def query(working: WorkingSet, reader: LogReader) -> Revision:
        if moment is not None:
            found = _find_time(domain, working, reader, base, moment)
        else:
            found = _find_name(domain, working, base, text)
        if found < back:
            raise NotFound(f"{quote(text)} is before the first commit of domain '{domain.name}'")
        return _revision(reader, found - back)

    return domain.read(query)


def get_revision(domain: Domain, seq: int) -> Revision:
    """The revision of a commit by its seq. Raises NotFound."""

    def query(working: WorkingSet, reader: LogReader) -> Revision:
        if not 0 <= seq <= working.head.seq:
            raise NotFound(f"domain '{domain.name}' has no commit {seq}")
        return _revision(reader, seq)

    return domain.read(query)


def read_tag(domain: Domain, name: str) -> tuple[int, str | None] | None:
    """(seq, commit id) of what a tag names; the id is None where a checkpoint says the seq alone. None for no tag.

    A checkpoint's signatures are not looked at. Raises Corrupt.
    """
    file = f"{TAGS}/{name}"
    data = domain.directory.find(file, MAX_TAG_BYTES)
    return None if data is None else parse_tag(data, file)


def parse_tag(data: bytes, file: str) -> tuple[int, str | None]:
    """The same from the bytes of a tag's `file`."""
    note = _match_checkpoint(data)
    if note is not None:
        return int(note[1]) - 1, None
    try:
        commit, seq = decode_tag(data)
    except Corrupt as error:
        raise Corrupt(f"'{file}' is damaged: {error.message}", details={"file": file}) from None
    return seq, commit


def is_path_of_ref(domain: Domain, text: str) -> bool:
    """Whether a text with a slash in it names a ref, not an aggregate: `refs/…`, or a remote that was fetched."""
    base = re.split(r"[~^]", text, maxsplit=1)[0]
    remote = _match_remote(base)
    return text.startswith("refs/") or (remote is not None and domain.directory.exists(f"{REMOTES}/{remote[1]}/main"))


def is_moment(text: str) -> bool:
    """Whether a text looks like a date or a time, as it stands behind the '@' of a ref."""
    return re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt]|$)", text) is not None


# -- reading -----------------------------------------------------------------------------------------------------------


def _parse(text: str) -> tuple[str, int]:
    """(what the steps count from, how many of them)."""
    found = re.search(r"[~^]", text)
    at = len(text) if found is None else found.start()
    base, back = text[:at], 0
    if not base:
        raise _malformed(text, at, "there is no name")
    while at < len(text):
        step = _match_steps(text, at)
        if step is None:
            raise _malformed(text, at, "only ~n may follow")
        back += int(step["count"] or 1)
        at = step.end()
    name = base[1:] if _is_time(base) else base.removeprefix("refs/heads/").removeprefix(f"{TAGS}/")
    known = base in ("@", "HEAD", "main", MAIN) or _is_id(base) or _match_tag(name) or _match_remote(base)
    if not known and not _is_time(base):
        raise _malformed(text, *_first_wrong(base))
    return base, back


def _is_time(base: str) -> bool:
    return base.startswith("@") and base != "@"


def _first_wrong(base: str) -> tuple[int, str]:
    """Where a name stops being one, and why."""
    wrong = re.search(r"[^a-z0-9._/-]|^[^a-z0-9]|\.\.", base)
    if wrong is not None:
        return wrong.start(), "no ref has such a name"
    slash = base.find("/")
    return (100, "a name has at most 100 characters") if slash < 0 else (slash, "a remote's ref is written REMOTE/main")


def _malformed(text: str, at: int, why: str) -> Invalid:
    return Invalid(
        f"{quote(text)} is not a ref: {why}, at character {at + 1}", hint=_EXAMPLES, details={"character": at + 1}
    )


def _parse_moment(text: str, base: str, now_us: int) -> int:
    try:
        return parse_moment(base[1:], now_us)
    except Invalid as error:
        raise Invalid(
            f"{quote(text)} is not a ref: {error.message}, at character 2", hint=error.hint, details={"character": 2}
        ) from None


# -- looking up --------------------------------------------------------------------------------------------------------


def _revision(reader: LogReader, seq: int) -> Revision:
    commit, commit_id, _ = reader.commit(seq)
    return Revision(seq, commit_id.hex(), commit.position + commit.count, commit.index)


def _find_name(domain: Domain, working: WorkingSet, base: str, text: str) -> int:
    if base in ("@", "HEAD", "main", MAIN):
        if working.head.seq < 0:
            raise NotFound(f"domain '{domain.name}' has no commits yet, so {quote(text)} names none")
        return working.head.seq
    if len(base) == _ID_DIGITS and _is_id(base):
        return _find_digits(domain, working, base)
    remote = _match_remote(base)
    if remote is not None:
        return _find_remote(domain, working, remote[1])
    name = base.removeprefix(f"{TAGS}/")
    tag = read_tag(domain, name) if _match_tag(name) else None
    if tag is not None:
        return _in_log(working, *tag, f"{TAGS}/{name}")
    if name == base and _is_id(base):
        return _find_digits(domain, working, base)
    hint = "see 'dbx tag' and 'dbx log'"
    if is_moment(base):
        hint = f"a time is written with an @ before it: @{base}"
    elif all(c in "0123456789abcdef" for c in base):
        hint = f"of a commit id write at least {MIN_DIGITS} digits"
    raise NotFound(f"{quote(text)} names no commit of domain '{domain.name}'", hint=hint)


def _find_digits(domain: Domain, working: WorkingSet, digits: str) -> int:
    found = working.index.find_commits(digits)
    if len(found) == 1:
        return int(found[0][0])
    if not found:
        raise NotFound(f"domain '{domain.name}' has no tag and no commit '{digits}'", hint="see 'dbx log'")
    candidates = [commit_id.hex() for _, commit_id in found]
    listed = ", ".join(commit_id[:16] for commit_id in candidates)
    raise Invalid(f"'{digits}' is ambiguous: {listed}", hint="write more digits", details={"candidates": candidates})


def _find_remote(domain: Domain, working: WorkingSet, remote: str) -> int:
    ref = read_ref(domain.directory, f"{REMOTES}/{remote}/main")
    if ref is None:
        raise NotFound(
            f"'{remote}/main' is not known in domain '{domain.name}'", hint=f"run 'dbx fetch {remote}' to know it"
        )
    known = working.index.find_commit(ref.seq)
    if known is None or known[0].hex() != ref.commit:
        raise NotFound(
            f"'{remote}/main' names commit {ref.seq}, which domain '{domain.name}' does not have yet",
            hint=f"run 'dbx pull {remote}'",
        )
    return ref.seq


def _in_log(working: WorkingSet, seq: int, commit_id: str | None, file: str) -> int:
    """A tag may be ahead of its domain only where somebody changed one of the two."""
    if seq < 0:
        raise NotFound(f"'{file}' is of a time when there were no commits yet")
    known = working.index.find_commit(seq)
    if known is None or (commit_id is not None and known[0].hex() != commit_id):
        raise Corrupt(
            f"'{file}' names commit {seq}, but the log has another one or none",
            hint="run 'dbx fsck'",
            details={"file": file},
        )
    return seq


def _find_time(domain: Domain, working: WorkingSet, reader: LogReader, base: str, moment: str) -> int:
    found = last_by_time(reader, working.head.seq, moment)
    if found < 0:
        why = "has no commits yet" if working.head.seq < 0 else "has no commit that is so old"
        raise NotFound(f"{quote(base)} names no commit: domain '{domain.name}' {why}")
    return found


def last_by_time(reader: LogReader, seq: int, moment: str, *, before: bool = False) -> int:
    """Inside a query: the last commit up to `seq` whose time is not later than `moment`, or before it; -1 for none.

    `moment` is spelled as commits spell times. Looks at the commits behind the one it finds, a frame at a time.
    """
    while seq >= 0:
        first, lines = reader.commit_lines(seq)
        for at in range(seq - first, -1, -1):
            time = time_of(lines[at])
            if time < moment or (time == moment and not before):
                return first + at
        seq = first - 1
    return -1


# -- reflogs -----------------------------------------------------------------------------------------------------------


def find_reflog(domain: Domain, text: str) -> tuple[str, Reflog]:
    """(full name, reflog) of the branch, a tag or a remote's ref. Raises Invalid, NotFound where nothing is known."""
    remote = _match_remote(text)
    if text in ("@", "HEAD", "main", MAIN):
        return MAIN, Reflog(domain.directory, MAIN)
    if remote is not None:
        name = f"{REMOTES}/{remote[1]}/main"
    else:
        tag = text.removeprefix(f"{TAGS}/")
        if not _match_tag(tag):
            raise Invalid(f"{quote(text)} is not a ref that moves", hint="write HEAD, a tag, or origin/main")
        name = f"{TAGS}/{tag}"
    if not domain.directory.exists(f"{LOGS}/{name}"):
        raise NotFound(f"no ref {quote(text)} has moved in domain '{domain.name}'", hint="see 'dbx tag'")
    return name, Reflog(domain.directory, name)
