"""domain.yaml: who a domain is, where it came from, and its settings. Edited by people, so loading is strict."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats import yamltext
from dbx.formats.envelope import UUID
from dbx.model import names
from dbx.model.time import normalise_time

if TYPE_CHECKING:
    from dbx.store.fs import Directory

NAME = "domain.yaml"
MAX_BYTES = 1 << 20
REFERENCE_DOMAIN = "reference_domain"
_MEMBERS = frozenset(("id", "name", "created_at", "forked_from", "redacted", "settings", "remotes"))


@dataclass(frozen=True, slots=True)
class DomainFile:
    """`forked_from` holds `domain`, `commit` and `seq` of where a fork began; `redacted` allows missing bodies."""

    id: str
    name: str
    created_at: str
    forked_from: dict[str, Any] | None = None
    redacted: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    remotes: dict[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """What the domain's own references call it: the setting `reference_domain`, else its name."""
        name = self.settings.get(REFERENCE_DOMAIN)
        return name if isinstance(name, str) else self.name

    def to_value(self) -> dict[str, Any]:
        """The mapping that domain.yaml holds."""
        value: dict[str, Any] = {"id": self.id, "name": self.name, "created_at": self.created_at}
        if self.forked_from is not None:
            value["forked_from"] = self.forked_from
        if self.redacted:
            value["redacted"] = True
        value["settings"] = self.settings
        value["remotes"] = self.remotes
        return value


def load_domain_file(directory: Directory) -> DomainFile:
    """Read domain.yaml. Raises NotFound when there is no such domain, Invalid for what people got wrong."""
    data = directory.find(NAME, MAX_BYTES)
    if data is None:
        if directory.exists():
            raise Corrupt(f"'{directory.path_of(NAME)}' is missing", details={"file": NAME})
        raise NotFound(f"'{directory.path}' is not a domain")
    return decode_domain_file(data, directory.path_of(NAME))


def decode_domain_file(data: bytes, path: str) -> DomainFile:
    """What the bytes of domain.yaml say; `path` is for messages. Raises Invalid."""
    return _from_value(yamltext.load(data, name=path), path)


def encode_domain_file(file: DomainFile) -> bytes:
    """The bytes of a new domain.yaml."""
    return yamltext.dump(file.to_value())


def write_domain_file(directory: Directory, file: DomainFile) -> None:
    """Change domain.yaml, durably; comments in it stay."""
    before = directory.find(NAME, MAX_BYTES)
    if before is None:
        directory.write(NAME, encode_domain_file(file))
        return
    from dbx.formats import yamledit

    directory.write(NAME, yamledit.update(before, file.to_value(), name=directory.path_of(NAME)))


def known_as(file: DomainFile, called: str) -> DomainFile:
    """A domain whose references were written where it is called so: here they go on naming it, whatever its name."""
    kept = {key: value for key, value in file.settings.items() if key != REFERENCE_DOMAIN}
    return replace(file, settings=kept if file.name == called else {**kept, REFERENCE_DOMAIN: called})


def renamed(directory: Directory, name: str) -> DomainFile:
    """What domain.yaml says once the domain has another name; what was written goes on calling it as before."""
    file = load_domain_file(directory)
    has_history = directory.exists("refs/heads/main") or any(one.startswith("journal-") for one in directory.names(""))
    return known_as(replace(file, name=name), file.called) if has_history else replace(file, name=name)


def _from_value(value: Any, path: str) -> DomainFile:
    if not isinstance(value, dict):
        raise Invalid(f"'{path}' must be a mapping")
    unknown = sorted(value.keys() - _MEMBERS)
    if unknown:
        raise Invalid(f"'{path}' has the unknown member {names.quote(unknown[0])}")
    if not isinstance(value.get("id"), str) or not re.fullmatch(UUID, value["id"]):
        raise Invalid(f"'id' in '{path}' must be a lower-case uuid")
    for name in ("settings", "remotes", "forked_from"):
        if value.get(name) is not None and not isinstance(value[name], dict):
            raise Invalid(f"'{name}' in '{path}' must be a mapping")
    if not isinstance(value.get("redacted", False), bool):
        raise Invalid(f"'redacted' in '{path}' must be true or false")
    return DomainFile(
        value["id"],
        names.check_domain_name(value.get("name")),
        normalise_time(value.get("created_at")),
        value.get("forked_from"),
        value.get("redacted", False),
        value.get("settings") or {},
        value.get("remotes") or {},
    )
