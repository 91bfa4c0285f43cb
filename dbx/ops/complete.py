"""Names for the shell to complete: fast, and silent when anything is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import DbxError
from dbx.ops.session import Who, open_session
from dbx.repo.reading.candidates import find_aggregate_ids, find_ref_names, find_schema_words, find_type_names

if TYPE_CHECKING:
    from dbx.ops.session import Session


def candidates(start_dir: str, domain: str | None, kind: str, prefix: str, extra: str | None = None) -> list[str]:
    """Names that begin with `prefix`; nothing is read beyond the index, and none is made where there is none.

    `kind` is "domain", "type", "id" (of the aggregates of type `extra`), "ref", "remote", "plugin", "source"
    (`DOMAIN[@REF]`), "schema" (a type that has one), "version" (of the schemas), "event" or "field" (of the schema of
    type `extra`).
    """
    if not prefix.isascii():
        return []
    try:
        session = open_session(
            start_dir, dbx_dir=start_dir, domain=domain, who=Who(None, None, ""), clock=_no_time, wait_s=0.0
        )
        try:
            return _find(session, kind, prefix, extra)
        finally:
            session.close()
    except (DbxError, OSError):
        return []


def _find(session: Session, kind: str, prefix: str, extra: str | None) -> list[str]:
    if kind == "domain":
        return [name for name in session.repository.domain_names() if name.startswith(prefix)]
    if kind == "type":
        return find_type_names(session.domain, prefix)
    if kind == "id":
        return find_aggregate_ids(session.domain, extra, prefix) if extra else []
    if kind == "ref":
        return find_ref_names(session.domain, prefix)
    if kind == "remote":
        from dbx.repo.replica.remoteconfig import list_remotes

        return [remote.name for remote in list_remotes(session.domain) if remote.name.startswith(prefix)]
    if kind == "plugin":
        from dbx.repo.delivery.plugins import read_plugins

        return [plugin.name for plugin in read_plugins(session.repository) if plugin.name.startswith(prefix)]
    if kind in ("schema", "version", "event", "field"):
        return find_schema_words(session.domain, kind, prefix, extra)
    if kind == "source":
        name, at, ref = prefix.partition("@")
        if not at:
            return _find(session, "domain", prefix, None)
        domain = session.repository.domain(name) if name else session.domain
        return [f"{name}@{found}" for found in find_ref_names(domain, ref)]
    return []


def _no_time() -> int:
    return 0
