"""Published schemas: publish, look back, compare, go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.formats import yamltext
from dbx.model.jsondiff import diff
from dbx.model.names import check_domain_name
from dbx.repo.schema import published, publishing, schemas
from dbx.repo.schema.schemas import read_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.envelope import Actor
    from dbx.ops.session import Session
    from dbx.repo.schema.published import Published
    from dbx.repo.schema.publishing import Publication, Status

WORKING = "working"


class Entry(NamedTuple):
    """A version in the history; `move` is what the reflog says of it: `publish`, `activate <id>`, `rollback <id>`."""

    published: Published
    active: bool
    move: str | None


class Difference(NamedTuple):
    """Two states of the schemas: their names, the texts of the files by type, and the JSON Patch between them."""

    old: str
    new: str
    before: dict[str, str]
    after: dict[str, str]
    operations: list[dict[str, Any]]


def take_version(session: Session, word: str | None, spelled: str | None) -> tuple[Session, str | None]:
    """(the session in the domain that `word` names, the version). EventDBX's users write the domain there, git's what
    they want: a word that no domain has and that begins an id is the version. Raises Invalid for no name of a domain.
    """
    if word is None:
        return session, spelled
    if spelled is None and published.is_version_text(word) and word not in session.repository.domain_names():
        return session, word
    return session._replace(domain_name=check_domain_name(word)), spelled


def publish_schemas(
    session: Session,
    *,
    reason: str | None = None,
    actor: Actor | None = None,
    labels: Sequence[str] = (),
    force: bool = False,
) -> Publication:
    """Publish the working schemas. Raises Invalid where they have faults or contradict what is stored."""
    return publishing.publish(
        session.domain, actor=actor or session.actor, reason=reason, labels=tuple(labels), force=force
    )


def activate_version(
    session: Session,
    spelled: str | None,
    *,
    reason: str | None = None,
    actor: Actor | None = None,
    force: bool = False,
) -> tuple[Published, Publication]:
    """Publish again what a version says, the newest by default: (that version, what was published)."""
    target = published.get_version(schemas.settled(session.domain), spelled or "latest")
    return target, _restore(session, target, "activate", reason, actor, force)


def roll_back(
    session: Session,
    spelled: str | None,
    *,
    reason: str | None = None,
    actor: Actor | None = None,
    force: bool = False,
) -> tuple[Published, Publication]:
    """As activate_version, by default for the version before the one that is in force."""
    directory = schemas.settled(session.domain)
    target = publishing.find_previous(directory) if spelled is None else published.get_version(directory, spelled)
    return target, _restore(session, target, "rollback", reason, actor, force)


def list_versions(session: Session) -> list[Entry]:
    """Every version, the newest first, which is the one in force."""
    moves = published.moves(schemas.settled(session.domain))
    return [
        Entry(version, n == 0, moves.get(version.id))
        for n, version in enumerate(published.chain(schemas.settled(session.domain)))
    ]


def get_version(session: Session, spelled: str) -> tuple[Published, dict[str, Any]]:
    """A version and the documents of its schemas, by type. Raises NotFound, Corrupt."""
    found = published.get_version(schemas.settled(session.domain), spelled)
    files = published.read_files(schemas.settled(session.domain), found.version)
    return found, {name: yamltext.load(data, name=name) for name, data in files.items()}


def get_status(session: Session) -> Status:
    """How the working schemas differ from the version in force."""
    return publishing.status(schemas.settled(session.domain))


def compare_versions(session: Session, old: str, new: str) -> Difference:
    """Two versions, or a version and `working`, the files as they are."""
    (old_name, before), (new_name, after) = (_files(session, spelled) for spelled in (old, new))
    documents = [
        {name: yamltext.load(data, name=name) for name, data in sorted(files.items())} for files in (before, after)
    ]
    texts = [{name: data.decode() for name, data in sorted(files.items())} for files in (before, after)]
    return Difference(old_name, new_name, texts[0], texts[1], diff(documents[0], documents[1]))


def version_ids(session: Session) -> list[str]:
    """The ids of all versions, the newest first."""
    return [version.id for version in published.chain(schemas.settled(session.domain))]


def _files(session: Session, spelled: str) -> tuple[str, dict[str, bytes]]:
    directory = schemas.settled(session.domain)
    if spelled == WORKING:
        return WORKING, read_files(directory)
    found = published.get_version(directory, spelled)
    return found.id, published.read_files(directory, found.version)


def _restore(
    session: Session, target: Published, verb: str, reason: str | None, actor: Actor | None, force: bool
) -> Publication:
    return publishing.restore(
        session.domain, target, verb=verb, actor=actor or session.actor, reason=reason, force=force
    )
