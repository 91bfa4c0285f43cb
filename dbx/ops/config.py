"""Read and change settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops import audit
from dbx.repo import config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbx.ops.session import Session
    from dbx.repo.config import Value


_THRESHOLD = "snapshot_threshold"


def list_settings(session: Session) -> list[Value]:
    """Every setting, sorted by key. Raises Invalid when a settings file breaks a rule."""
    return config.list_values(session.repository, session.domain)


def get_setting(session: Session, key: str) -> Value:
    """One setting. Raises Invalid for an unknown key."""
    config.get_setting(key)
    return config.get_value(session.repository, session.domain, key)


def change_settings(session: Session, values: Mapping[str, str], unset: Sequence[str] = ()) -> list[Value]:
    """Set settings from text and unset others, all or none; what they are afterwards, in the order given."""
    session.require("admin.config")
    parsed = {key: config.parse(config.get_setting(key), text) for key, text in values.items()}
    domain = session.domain
    before = None if _THRESHOLD not in parsed else config.get_domain_value(domain, _THRESHOLD)
    config.change(session.repository, domain, parsed, unset)
    audit.note(session, "config.set", {"set": dict(parsed), "unset": list(unset)}, domain=domain.name)
    if before is None and _THRESHOLD in parsed:
        from dbx.repo.autosnapshot import begin_here

        begin_here(domain)
    return [config.get_value(session.repository, session.domain, key) for key in (*unset, *values)]


def keys() -> list[str]:
    """The names of all settings."""
    return sorted(config.SETTINGS)
