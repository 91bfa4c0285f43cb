"""Tags: names that people give to commits. A tag is a file of one line (format.md §7), or a signed checkpoint.

What else there is to say of a tag, who made it, when and with which message, stands in its reflog, `logs/refs/tags/…`,
whose line is on disk before the tag is. A crash in between leaves a line without a tag, which says nothing to anybody.
A tag that is deleted or moved is kept as `refs/undone/tags/<name>`, so that this can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.errors import Conflict, Invalid, NotFound
from dbx.formats.envelope import Actor
from dbx.formats.reflog import MAX_REASON_CHARS, ReflogEntry
from dbx.formats.refs import check_tag_name, encode_tag
from dbx.model.names import quote, refuse_device
from dbx.model.time import format_time
from dbx.repo.reading.revision import MAX_TAG_BYTES, TAGS, parse_tag, read_tag, resolve_revision
from dbx.repo.writer import writing
from dbx.store.fs import TEMPORARY
from dbx.store.reflog import Reflog

if TYPE_CHECKING:
    from dbx.repo.domain import Domain

KEPT = "refs/undone/tags"
"""What tags were before they were last moved or deleted."""
MADE = "tag"
DELETED = "tag: deleted"
_PREFIX = "tag: "
MAX_MESSAGE_CHARS = MAX_REASON_CHARS - len(_PREFIX)
_TAKEN = frozenset({"main", "head"})


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag. `seq` is -1 and `commit_id` empty for a checkpoint of no commits.

    `tagged_at`, `actor` and `message` are None where its reflog does not tell, as in a copy.
    """

    name: str
    seq: int
    commit_id: str
    signed: bool
    tagged_at: str | None
    actor: Actor | None
    message: str | None


def create_tag(
    domain: Domain,
    name: str,
    ref: str,
    *,
    message: str | None,
    actor: Actor,
    force: bool = False,
    note: bytes | None = None,
) -> tuple[Tag, Tag | None]:
    """Give a commit a name, durably: (the tag, the one it replaces). A `note` is the checkpoint that ends with it.

    Raises Invalid for the name and the message, NotFound and Invalid for the ref, Conflict for a tag that is there
    already, unless `force` moves it.
    """
    check_name(name)
    reason = _reason(message)
    with writing(domain):
        old = find_tag(domain, name)
        if not force:
            refuse_taken(old)
        revision = resolve_revision(domain, ref)
        write_tag(domain, name, note or encode_tag(revision.commit_id, revision.seq), old, actor, reason)
        made = find_tag(domain, name)
    assert made is not None  # noqa: S101 - it has just been written
    return made, old


def check_making(domain: Domain, name: str, message: str | None, *, force: bool) -> None:
    """What create_tag would refuse before it looks at the commit. Raises Invalid, Conflict."""
    check_name(name)
    _reason(message)
    if not force:
        refuse_taken(find_tag(domain, name))


def refuse_taken(old: Tag | None) -> None:
    """Raise Conflict for a tag that is there."""
    if old is not None:
        raise Conflict(f"tag '{old.name}' exists already", hint="add '--force' to move it")


def delete_tag(domain: Domain, name: str, *, actor: Actor) -> Tag:
    """Delete a tag, durably; what it was. Raises NotFound."""
    with writing(domain):
        old = find_tag(domain, name)
        if old is None:
            raise NotFound(f"domain '{domain.name}' has no tag {quote(name)}", hint="see 'dbx tag'")
        remove_tag(domain, old, actor, DELETED)
    return old


def list_tags(domain: Domain) -> list[Tag]:
    """Every tag, by name. Raises Corrupt."""
    found = (find_tag(domain, name) for name in tag_names(domain))
    return [tag for tag in found if tag is not None]


def tag_names(domain: Domain) -> list[str]:
    """The names of all tags, sorted."""
    return [name for name in domain.directory.names(TAGS) if not name.startswith(TEMPORARY)]


def find_tag(domain: Domain, name: str) -> Tag | None:
    """A tag by its name. Raises Corrupt."""
    try:
        check_tag_name(name)
    except Invalid:
        return None  # it cannot be a file of ours
    found = read_tag(domain, name)
    if found is None:
        return None
    seq, commit_id = found
    signed = commit_id is None
    if commit_id is None:
        known = domain.read(lambda working, _: working.index.find_commit(seq))
        commit_id = known[0].hex() if known else ""
    made = _find_making(domain, name, commit_id)
    if made is None:
        return Tag(name, seq, commit_id, signed, None, None, None)
    message = made.reason.removeprefix(_PREFIX) if made.reason.startswith(_PREFIX) else None
    return Tag(name, seq, commit_id, signed, made.time, made.actor, message)


def check_name(name: str) -> None:
    """A tag's name, which is no other ref's. Raises Invalid."""
    check_tag_name(name)
    refuse_device("tag name", name)
    if name in _TAKEN:
        raise Invalid(f"tag name '{name}' already means the newest commit", hint="choose another name")


# -- for undo ----------------------------------------------------------------------------------------------------------


def write_tag(domain: Domain, name: str, data: bytes, old: Tag | None, actor: Actor, reason: str) -> None:
    """Put a tag in the place of `old`: first its reflog line, then the file, each durable. The lock must be held."""
    seq, commit_id = parse_tag(data, name)
    if commit_id is None:
        known = domain.read(lambda working, _: working.index.find_commit(seq))
        commit_id = known[0].hex() if known else None
    if old is not None:
        keep(domain, name)
    _log(domain, name, old, commit_id, max(seq, 0), actor, reason)
    domain.directory.write(f"{TAGS}/{name}", data)


def remove_tag(domain: Domain, old: Tag, actor: Actor, reason: str) -> None:
    """Remove a tag; what it was is kept. The lock must be held."""
    keep(domain, old.name)
    _log(domain, old.name, old, None, max(old.seq, 0), actor, reason)
    domain.directory.remove(f"{TAGS}/{old.name}")


def keep(domain: Domain, name: str) -> None:
    """Copy a tag's file to where it can be had back."""
    domain.directory.make(KEPT)
    domain.directory.write(f"{KEPT}/{name}", domain.directory.read(f"{TAGS}/{name}", MAX_TAG_BYTES))


# -- inside ------------------------------------------------------------------------------------------------------------


def _reason(message: str | None) -> str:
    if message is None:
        return MADE
    if not message.strip():
        raise Invalid("the message is empty")
    if len(message) > MAX_MESSAGE_CHARS:
        raise Invalid(f"the message has {len(message)} characters, at most {MAX_MESSAGE_CHARS} are allowed")
    if not message.isprintable():
        raise Invalid("the message of a tag must be one line without control characters")
    if f"{_PREFIX}{message}" == DELETED:
        raise Invalid("the message of a tag cannot be 'deleted'", hint="its reflog could not tell the two apart")
    return f"{_PREFIX}{message}"


def _log(
    domain: Domain, name: str, old: Tag | None, commit_id: str | None, seq: int, actor: Actor, reason: str
) -> None:
    entry = ReflogEntry(
        old.commit_id or None if old else None, commit_id, seq, format_time(domain.clock()), actor, reason
    )
    reflog = Reflog(domain.directory, f"{TAGS}/{name}")
    try:
        reflog.append([entry], durable=True)
    finally:
        reflog.close()


def _find_making(domain: Domain, name: str, commit_id: str) -> ReflogEntry | None:
    """The line of the reflog that tells how the tag came to be on this commit: the last that is not about an undo."""
    for entry in reversed(Reflog(domain.directory, f"{TAGS}/{name}").read()):
        if entry.new == commit_id and (entry.reason == MADE or entry.reason.startswith(_PREFIX)):
            return entry
    return None
