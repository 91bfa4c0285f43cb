"""Tags: give commits names, list them, take them away."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dbx.ops import audit
from dbx.repo import tags
from dbx.repo.tags import Tag

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["Tag", "create_tag", "delete_tags", "list_tags"]


def create_tag(
    session: Session, name: str, ref: str = "HEAD", *, message: str | None = None, force: bool = False
) -> tuple[Tag, Tag | None]:
    """Name a commit: (the tag, the one it replaces). Raises Invalid, NotFound, Conflict."""
    session.require("admin.domain")
    made, before = tags.create_tag(session.domain, name, ref, message=message, actor=session.actor, force=force)
    old = None if before is None else before.commit_id
    audit.note(session, "tag.create", {"tag": name, "new": made.commit_id, "old": old}, domain=session.domain.name)
    return made, before


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
