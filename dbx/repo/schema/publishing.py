"""Publishing schemas: what is in the working files becomes a version, or an older version becomes it again.

To activate and to roll back are to publish what an older version says. Working files that would be overwritten must not
hold unpublished changes. Several files change then: a note of what is to be is durable first, so that an interrupted
activation is finished by whoever looks next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Corrupt, Invalid, NotFound
from dbx.model.time import format_time
from dbx.repo.schema import published
from dbx.repo.schema.published import Published
from dbx.repo.schema.schemalint import Finding, lint
from dbx.repo.schema.schemas import MAX_BYTES, PENDING, changing, file_of, find_types, list_working, read_files

if TYPE_CHECKING:
    from dbx.formats.envelope import Actor
    from dbx.model.schema import Schema
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.store.fs import Directory

_LISTED = 5
_SHORT = 12


class Status(NamedTuple):
    """Where the working schemas stand: the newest version, and what differs from it, by type."""

    head: Published | None
    added: list[str]
    changed: list[str]
    removed: list[str]

    @property
    def is_published(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.changed or self.removed)


class Publication(NamedTuple):
    """A version in force, and whether this made it."""

    published: Published
    is_new: bool


def status(directory: Directory) -> Status:
    """How the working schemas differ from the newest version, whether or not they are sound."""
    head = published.find_head(directory)
    version = None if head is None else Published(head, published.read_version(directory, head))
    before = {} if version is None else version.version.schemas
    now = {name: published.id_of(data) for name, data in read_files(directory).items()}
    return Status(
        version,
        sorted(now.keys() - before.keys()),
        sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        sorted(before.keys() - now.keys()),
    )


def publish(
    domain: Domain,
    *,
    actor: Actor | None,
    reason: str | None = None,
    labels: tuple[str, ...] = (),
    force: bool = False,
) -> Publication:
    """Publish the working schemas, if they differ from the newest version, or by force.

    Raises Invalid for schemas that have faults, and without `force` for those that contradict what is stored.
    """
    with changing(domain) as directory:
        found = status(directory)
        if found.head is not None and found.is_published and not force:
            return Publication(found.head, is_new=False)
        if found.head is None and not found.added:
            raise NotFound("there are no schemas to publish", hint="make one with 'dbx schema create'")
        schemas = [working.schema for working in list_working(directory)]
        _refuse(lint(domain, schemas), force=force)
        parent = None if found.head is None else found.head.id
        now = format_time(domain.clock())
        made = published.draft(read_files(directory), parent=parent, actor=actor, now=now, reason=reason, labels=labels)
        published.write(directory, made, what=f"publish: {reason}" if reason else "publish")
        domain.rules = None
        return Publication(Published(made.id, made.version), is_new=True)


def restore(
    domain: Domain,
    target: Published,
    *,
    verb: str,
    actor: Actor | None,
    reason: str | None = None,
    force: bool = False,
) -> Publication:
    """Publish what an older version says, and write it into the working files. `verb` is `activate` or `rollback`.

    Raises Conflict where working files hold unpublished changes and `force` does not say that these may go.
    """
    with changing(domain) as directory:
        found = status(directory)
        if not found.is_published and not force:
            changes = ", ".join(f"'{name}'" for name in (*found.added, *found.changed, *found.removed)[:_LISTED])
            raise Conflict(
                f"cannot {verb}: the schemas have unpublished changes ({changes})",
                hint="publish them with 'dbx schema publish', or drop them with '--force'",
                details={"added": found.added, "changed": found.changed, "removed": found.removed},
            )
        head = found.head
        if head is not None and head.version.schemas == target.version.schemas and found.is_published:
            return Publication(head, is_new=False)
        files = published.read_files(directory, target.version)
        made = published.draft(
            files,
            parent=None if head is None else head.id,
            actor=actor,
            now=format_time(domain.clock()),
            reason=reason or f"{verb} {target.id[:_SHORT]}",
        )
        published.keep(directory, made)
        directory.write(PENDING, f"{made.id} {verb} {target.id}\n".encode())
        finish(directory)
        domain.rules = None
        return Publication(Published(made.id, made.version), is_new=True)


def finish(directory: Directory) -> None:
    """Bring an activation to its end, from wherever it was interrupted. The writer's lock must be held."""
    data = directory.find(PENDING, MAX_BYTES)
    if data is None:
        return
    version_id, _, what = data.decode("ascii", "replace").rstrip("\n").partition(" ")
    if len(version_id) != 64 or not what:
        raise Corrupt(f"'{PENDING}' does not name a schema version", details={"file": PENDING})
    version = published.read_version(directory, version_id)
    for name, text in published.read_files(directory, version).items():
        if directory.find(file_of(name), MAX_BYTES) != text:
            directory.write(file_of(name), text)
    for name in find_types(directory):
        if name not in version.schemas:
            directory.remove(file_of(name))
    published.move(directory, Published(version_id, version), what=what)
    directory.remove(PENDING)


def find_previous(directory: Directory) -> Published:
    """The version that a rollback goes back to: the one before that whose schemas are in force. Raises NotFound."""
    versions = list(published.chain(directory))
    moves = published.moves(directory)
    at = 0
    # What is in force may itself have been brought back: then it counts from where it was published first.
    while at < len(versions) and moves.get(versions[at].id, "").startswith(("activate ", "rollback ")):
        schemas = versions[at].version.schemas
        older = [n for n in range(at + 1, len(versions)) if versions[n].version.schemas == schemas]
        if not older:
            break
        at = older[0]
    if at + 1 >= len(versions):
        what = "no schema version has been published" if not versions else "there is no older schema version"
        raise NotFound(what, hint="see them with 'dbx schema history'")
    return versions[at + 1]


def check_publishable(domain: Domain, rules: Rules) -> None:
    """Raise Invalid for schemas that a commit may not publish by the way: with faults, or against what is stored."""
    schemas: list[Schema] = []
    for name in rules.types():
        schema = rules.find_schema(name)
        if schema is not None:
            schemas.append(schema)
    _refuse(lint(domain, schemas), force=False)


def must_be_published(domain: Domain, verb: str = "commit") -> None:
    """Raise Invalid where the setting schema.require_publish leaves publishing to people."""
    from dbx.repo.config import get_domain_value

    if get_domain_value(domain, "schema.require_publish"):
        raise Invalid(
            f"cannot {verb}: the schemas have unpublished changes, and schema.require_publish is set",
            hint="publish them with 'dbx schema publish'",
        )


def _refuse(findings: list[Finding], *, force: bool) -> None:
    found = [finding for finding in findings if finding.blocks and not (force and finding.may_force)]
    if not found:
        return
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise Invalid(
        f"cannot publish the schemas: {found[0].message}{more}",
        hint="see everything with 'dbx schema lint'"
        + ("; '--force' publishes in spite of it" if all(finding.may_force for finding in found) else ""),
        details={"findings": [finding.to_value() for finding in found]},
    )
