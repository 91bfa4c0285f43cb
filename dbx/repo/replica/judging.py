"""What was pushed is checked once more by its receiver: each event under the schema version that its commit names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.formats import canonical
from dbx.formats.schemaversion import decode_version
from dbx.repo.rules import Rules
from dbx.repo.schema import published, schemachain
from dbx.repo.schema.schemas import load_working

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbx.formats.commit import Commit
    from dbx.model.schema import Schema
    from dbx.repo.domain import Domain
    from dbx.repo.replica.vet import Judge


def judge_of(domain: Domain, arrived: Mapping[str, bytes], also: Judge | None) -> Judge:
    """A judge that knows the versions that are here and those that arrived; it asks `also` too. It raises Invalid."""
    known: dict[str, Rules] = {}

    def judge(commit: Commit, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
        if also is not None:
            also(commit, envelopes, bodies)
        if commit.schema is not None:
            rules = known.get(commit.schema)
            if rules is None:
                rules = known[commit.schema] = _load(domain, arrived, commit.schema)
            check_events(rules, envelopes, bodies)

    return judge


def check_events(rules: Rules, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
    """Check events, whose form is right already, against schemas. Raises Invalid naming the event."""
    declared = set(rules.types())
    for envelope, body in zip(envelopes, bodies, strict=True):
        parts = envelope.decode().split('"')
        kind, name, event_type, version = parts[7], parts[3], parts[23], parts[-1][1:-1]
        if not body or (kind not in declared and not rules.is_strict):
            continue
        payload = canonical.scan(body.decode())[0]["payload"]
        try:
            rules.check_of(kind, event_type)(payload, version == "1", None)
        except Invalid as error:
            raise Invalid(
                f"version {version} of '{kind}/{name}' breaks its schema: {error.message}",
                hint="what is pushed must keep to the schemas that it was made under",
                details=error.details,
            ) from None


class _VersionRules(Rules):
    """Rules that leave the index alone: it is being written, in a transaction that nobody may see yet."""

    def _load(self, aggregate_type: str) -> Schema:
        return load_working(self._files[aggregate_type], aggregate_type, f"the schema of '{aggregate_type}'").schema


def _load(domain: Domain, arrived: Mapping[str, bytes], version_id: str) -> Rules:
    find = _finder(domain, arrived)
    version = decode_version(find(schemachain.version_name(version_id)))
    files = {name: find(schemachain.object_name(sha)) for name, sha in version.schemas.items()}
    return _VersionRules(domain, files, published.Published(version_id, version), strict=False)


def _finder(domain: Domain, arrived: Mapping[str, bytes]) -> Callable[[str], bytes]:
    def find(name: str) -> bytes:
        return arrived.get(name) or domain.directory.read(name, published.MAX_BYTES)

    return find
