"""Tags: give commits names, list them, take them away."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, NotFound
from dbx.model.names import quote
from dbx.ops import audit
from dbx.repo.reading.revision import MAX_TAG_BYTES, TAGS, resolve_revision
from dbx.repo.refs import tags
from dbx.repo.refs.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.ops.session import Session

__all__ = ["Tag", "create_tag", "delete_tags", "list_tags", "verify_tag"]


def create_tag(
    session: Session,
    name: str,
    ref: str = "HEAD",
    *,
    message: str | None = None,
    force: bool = False,
    sign: bool = False,
) -> tuple[Tag, Tag | None]:
    """Name a commit: (the tag, the one it replaces). With `sign` the tag is a signed checkpoint that ends with it.

    Raises Invalid, NotFound, Conflict; to sign, also KeyFailure, Denied, and Corrupt where that would contradict what
    was signed before.
    """
    session.require("admin.domain")
    domain = session.domain
    note = None
    if sign:
        from dbx.repo.evidence.checkpoints import sign_checkpoint

        session.require("admin.key")
        # A checkpoint that is signed makes history shared, so that nothing may speak against the tag any more.
        tags.check_making(domain, name, message, force=force)
        revision = resolve_revision(domain, ref)
        ref, note = revision.commit_id, sign_checkpoint(session.repository, domain, revision.seq + 1).note
    made, before = tags.create_tag(domain, name, ref, message=message, actor=session.actor, force=force, note=note)
    old = None if before is None else before.commit_id
    audit.note(session, "tag.create", {"tag": name, "new": made.commit_id, "old": old}, domain=domain.name)
    return made, before


def verify_tag(session: Session, name: str, given: Sequence[str]) -> tuple[Tag, tuple[str, ...]]:
    """(the tag, the keys that signed it), once a trusted one did, and the history here is the one that it is about.

    Without `given` vkeys those that the workspace knows are trusted. Raises NotFound, and Corrupt with a reason.
    """
    from dbx.formats.checkpoint import default_origin
    from dbx.model.trust import open_checkpoint
    from dbx.ops.checkpoint import trusted_keys
    from dbx.repo.evidence.checkpoints import compare_with_domain

    domain = session.domain
    tag = tags.find_tag(domain, name)
    if tag is None:
        raise NotFound(f"domain '{domain.name}' has no tag {quote(name)}", hint="see 'dbx tag'")
    if not tag.signed:
        raise Corrupt(f"tag '{name}' is not signed", details={"reason": "unsigned"})
    data = domain.directory.read(f"{TAGS}/{name}", MAX_TAG_BYTES)
    checkpoint, opened = open_checkpoint(data, trusted_keys(session, given))
    state = compare_with_domain(domain, checkpoint)
    if checkpoint.origin != default_origin(domain.id) or state in ("ahead", "forked"):
        raise Corrupt(
            f"tag '{name}' is signed, but for another history than that of domain '{domain.name}'",
            hint="keep it: it shows that the history was forked",
            details={"reason": "missing" if state == "ahead" else "forked"},
        )
    return tag, tuple(signed.key.name for signed in opened.verified)


def list_tags(session: Session, patterns: tuple[str, ...] = ()) -> list[Tag]:
    """The tags by name, those that one of the shell patterns fits; all without patterns."""
    found = tags.list_tags(session.domain)
    return [tag for tag in found if not patterns or any(fnmatchcase(tag.name, pattern) for pattern in patterns)]


def delete_tags(session: Session, names: tuple[str, ...]) -> list[Tag]:
    """Delete tags; what they were. All are looked for before the first is deleted. Raises NotFound."""
    session.require("admin.domain")
    domain = session.domain
    for name in names:
        if tags.find_tag(domain, name) is None:
            tags.delete_tag(domain, name, actor=session.actor)  # says that there is none
    gone = [tags.delete_tag(domain, name, actor=session.actor) for name in dict.fromkeys(names)]
    for tag in gone:
        audit.note(session, "tag.delete", {"tag": tag.name, "old": tag.commit_id}, domain=domain.name)
    return gone
