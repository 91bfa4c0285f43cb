"""Schemas in force: what each event must keep to, and which published version that is.

What is enforced is what the working files say. A commit records the version that says the same; where none does, it is
published first, with the reason "recorded on commit".
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dbx.errors import DbxError, Invalid
from dbx.formats import canonical
from dbx.model.event import RESERVED
from dbx.model.references import compile_references
from dbx.model.resolve import Target, check_integrity
from dbx.model.schemaparse import parse_schema
from dbx.model.validation import compile_event, refusal
from dbx.repo.schema import published
from dbx.repo.schema.schemas import PENDING, changing, complete, file_of, load_working, read_files
from dbx.store.index import IndexDamaged, IndexUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbx.formats.envelope import Actor
    from dbx.model.event import Event
    from dbx.model.references import Reference
    from dbx.model.resolve import LookUp
    from dbx.model.schema import Column, Schema
    from dbx.repo.domain import Domain
    from dbx.repo.single import Draft

    Check = Callable[[dict[str, Any], bool, LookUp | None], dict[str, Any]]
    """Takes a payload, whether it is the aggregate's first, and a look-up of what it refers to (None: not asked). Gives
    the payload to store, its references in their one spelling. Raises Invalid."""

RECORDED = "recorded on commit"
NULLIFIED = "ref_nullify"
"""The event that `cascade: nullify` adds to who refers to an aggregate that is archived."""
_MAX_CACHED_BYTES = 256 * 1024


class Rules:
    """The working schemas of a domain at one moment.

    `fingerprint` is the same for the same rules; `files` are those the rules came from.
    """

    def __init__(self, domain: Domain, files: Mapping[str, bytes], head: published.Published | None, strict: bool):
        self._domain = domain
        self._files = files
        self._head = head
        self._strict = strict
        self.domain_name = domain.file.called
        self._schemas: dict[str, Schema] = {}
        self._checks: dict[tuple[str, str], Check] = {}
        self._is_checked = False
        self.files = [file_of(name) for name in files]
        self.hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
        words = [f"{name} {sha}" for name, sha in sorted(self.hashes.items())]
        self.fingerprint = sha256("\n".join(["strict" if strict else "default", *words]).encode()).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to check and nothing to record."""
        return not self._strict and not self._files and self._head is None

    @property
    def is_strict(self) -> bool:
        """Whether a type without a schema is refused."""
        return self._strict

    @property
    def published_id(self) -> str | None:
        """The id of the newest version where it says what the working files say."""
        if self._head is not None and self._head.version.schemas == self.hashes:
            return self._head.id
        return None

    @property
    def is_published(self) -> bool:
        """Whether there is nothing that must be published before it is recorded."""
        return self.published_id is not None or (self._head is None and not self._files)

    def find_schema(self, aggregate_type: str) -> Schema | None:
        """The schema of a type, None where it has none. Raises Invalid with every fault of its file."""
        if aggregate_type not in self._files:
            return None
        schema = self._schemas.get(aggregate_type)
        if schema is None:
            schema = self._schemas[aggregate_type] = self._load(aggregate_type)
        return schema

    def load_sound(self) -> None:
        """Load every schema that has no fault. The others are told about when an event of their type comes."""
        for name in self._files:
            with suppress(Invalid):
                self.find_schema(name)

    def types(self) -> list[str]:
        """The types that have a schema."""
        return list(self._files)

    def check_of(self, aggregate_type: str, event_type: str) -> Check:
        """The check of an event, made once."""
        key = (aggregate_type, event_type)
        found = self._checks.get(key)
        if found is None:
            found = self._checks[key] = self._make_check(aggregate_type, event_type)
        return found

    def passes(self, draft: Draft, version: int, look_up: LookUp) -> bool:
        """Whether a single event may be stored just as it is."""
        try:
            return self.check_of(draft.type, draft.event_type)(draft.payload, not version, look_up) is draft.payload
        except DbxError:
            return False

    def check_again(self, event: Event, look_up: LookUp | None) -> None:
        """Raise Invalid where an event that was written breaks the rules."""
        self.check_of(event.aggregate_type, event.event_type)(event.payload or {}, event.version == 1, look_up)

    def asks_index(self, aggregate_type: str) -> bool:
        """Whether checking events of a type takes looking at other aggregates."""
        schema = self.find_schema(aggregate_type)
        return schema is not None and _has_strong(schema.columns)

    def has_references(self) -> bool:
        """Whether a column of some schema is a reference. Raises Invalid for a schema file with faults."""
        return any(
            schema is not None and compile_references(schema) is not None
            for schema in map(self.find_schema, self._files)
        )

    def look_up_in(self, find: Callable[[str, str], Any]) -> LookUp:
        """A look-up of references by whatever finds aggregates: what it finds must tell its version, 0 for none."""

        def look_up(reference: Reference) -> Target:
            if reference.domain != self.domain_name:
                return Target("forbidden")
            found = find(reference.aggregate_type, reference.aggregate_id)
            return Target("ok") if found is not None and found.version else Target("not_found")

        return look_up

    def differs_when_first(self, aggregate_type: str) -> bool:
        """Whether the first event of an aggregate of this type must hold more than later ones."""
        schema = self.find_schema(aggregate_type)
        return schema is not None and _asks_first(schema.columns)

    def settle(self, *, actor: Actor | None, now: str) -> str | None:
        """The id of the version that a commit made now records; published first where that is called for.

        The writer's lock must be held. Raises Invalid where publishing is left to people, or the schemas contradict.
        """
        if self.is_published:
            return self.published_id
        from dbx.repo.schema.publishing import check_publishable, must_be_published

        must_be_published(self._domain)
        if not self._is_checked:
            check_publishable(self._domain, self)
        parent = self._head.id if self._head else None
        made = published.draft(self._files, parent=parent, actor=actor, now=now, reason=RECORDED)
        published.write(self._domain.directory, made, what=f"publish: {RECORDED}")
        self._head = published.Published(made.id, made.version)
        self._domain.rules = None
        return made.id

    def prepare(self) -> None:
        """What `settle` may find wrong, found before anything is written, while the index may still be asked."""
        if not self.is_published and not self._is_checked:
            from dbx.repo.schema.publishing import check_publishable, must_be_published

            must_be_published(self._domain)
            check_publishable(self._domain, self)
            self._is_checked = True

    def _make_check(self, aggregate_type: str, event_type: str) -> Check:
        if event_type in RESERVED:
            return _nothing
        schema = self.find_schema(aggregate_type)
        if schema is None:
            if self._strict:
                return _undeclared(aggregate_type)
            return _nothing
        if event_type == NULLIFIED:
            return _nullify_check(schema)
        first, later = (compile_event(schema, event_type, first=is_first) for is_first in (True, False))
        canonicalise = compile_references(schema)

        def check(payload: dict[str, Any], is_first: bool, look_up: LookUp | None) -> dict[str, Any]:
            faults = first(payload) if is_first else later(payload)
            if faults:
                raise refusal(schema, event_type, faults)
            if canonicalise is None:
                return payload
            done = canonicalise(payload, self.domain_name)
            faults = done.faults or (() if look_up is None else check_integrity(done.found, look_up))
            if faults:
                raise refusal(schema, event_type, faults)
            return done.payload

        return check

    def _load(self, aggregate_type: str) -> Schema:
        """From the cache in the index where that has the same bytes: loading YAML takes longer than all the rest."""
        data, sha = self._files[aggregate_type], self.hashes[aggregate_type]
        index = self._domain.index()
        key = f"schema.{aggregate_type}"
        cached = index.get_meta(key)
        if cached and cached.startswith(f"{sha}|"):
            schema, problems = parse_schema(canonical.loads(cached[len(sha) + 1 :]), aggregate=aggregate_type)
            if schema is not None and not problems:
                return schema
        found = load_working(data, aggregate_type, self._domain.directory.path_of(file_of(aggregate_type)))
        text = canonical.encode_text(found.document)
        if len(text) <= _MAX_CACHED_BYTES:
            with suppress(IndexUnavailable, IndexDamaged, OSError):  # derived: the next one loads it again
                index.set_meta(key, f"{sha}|{text}")
        return found.schema


def load_rules(domain: Domain, *, strict: bool) -> Rules:
    """The rules as the files are now. Raises Invalid for a file that is named wrong; each is parsed when needed."""
    directory = domain.directory
    if directory.exists(PENDING):
        with nullcontext() if domain.lock.held else changing(domain):
            complete(domain)
    head = published.find_head(directory)
    version = None if head is None else published.Published(head, published.read_version(directory, head))
    return Rules(domain, read_files(directory), version, strict)


def load_version_rules(domain: Domain, version_id: str) -> Rules:
    """The rules of a published version, for who checks events that were written under it. Raises Corrupt."""
    version = published.read_version(domain.directory, version_id)
    files = published.read_files(domain.directory, version)
    return Rules(domain, files, published.Published(version_id, version), strict=False)


def _nothing(payload: dict[str, Any], _is_first: bool, _look_up: LookUp | None) -> dict[str, Any]:
    return payload


def _nullify_check(schema: Schema) -> Check:
    """What `cascade: nullify` writes is no event of the schema; all it may do is to set references to null."""

    def check(payload: dict[str, Any], _is_first: bool, _look_up: LookUp | None) -> dict[str, Any]:
        if payload and all(_nullifies(schema.columns.get(name), value) for name, value in payload.items()):
            return payload
        raise Invalid(
            f"event '{NULLIFIED}' may only set references of '{schema.aggregate}' to null that have 'cascade: nullify'",
            hint="dbx writes it when a target is archived",
        )

    return check


def _nullifies(column: Column | None, value: Any) -> bool:
    if column is None:
        return False
    if column.reference is not None:
        return value is None and column.reference.cascade == "nullify"
    return isinstance(value, dict) and any(
        below in value and _nullifies(inner, value[below]) for below, inner in column.properties.items()
    )


def _has_strong(columns: Mapping[str, Column]) -> bool:
    return any(
        (column.reference is not None and column.reference.integrity == "strong") or _has_strong(column.properties)
        for column in columns.values()
    )


def _undeclared(aggregate_type: str) -> Check:
    def check(_payload: dict[str, Any], _is_first: bool, _look_up: LookUp | None) -> dict[str, Any]:
        raise Invalid(
            f"aggregate '{aggregate_type}' requires a schema before events can be appended when restrict=strict",
            hint=f"declare it with 'dbx schema create {aggregate_type} --events NAME'",
        )

    return check


def _asks_first(columns: Mapping[str, Any]) -> bool:
    return any(column.required == "create" or _asks_first(column.properties) for column in columns.values())
