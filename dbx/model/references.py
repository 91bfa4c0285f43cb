"""References from one aggregate to another: `#id`, `type#id`, `domain#type#id` (EventDBX §3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.model import names
from dbx.model.faults import Fault, kind_of
from dbx.model.schema import ReferenceRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbx.model.schema import Column, Schema

_FORMS = "write '#id', 'type#id' or 'domain#type#id'"


class Reference(NamedTuple):
    """The aggregate that a reference names."""

    domain: str
    aggregate_type: str
    aggregate_id: str

    def __str__(self) -> str:
        """The one spelling that is stored."""
        return f"{self.domain}#{self.aggregate_type}#{self.aggregate_id}"


def parse_reference(text: object, *, domain: str, aggregate_type: str) -> Reference:
    """The aggregate that `text` names; what it leaves out is `domain` and `aggregate_type`, those of who refers.

    Blanks around it are cut and the domain is taken in lower case; the id is kept as it is. Raises Invalid, which does
    not repeat the text.
    """
    if not isinstance(text, str):
        raise Invalid("a reference must be text", hint=_FORMS)
    parts = text.strip().split("#")
    if not 2 <= len(parts) <= 3 or not parts[-1] or (len(parts) == 3 and not (parts[0] and parts[1])):
        raise Invalid("the text is not a reference", hint=_FORMS)
    target_type = parts[-2] or aggregate_type
    target_domain = parts[0].lower() if len(parts) == 3 else domain
    try:
        return Reference(
            names.check_domain_name(target_domain), names.check_type(target_type), names.check_id(parts[-1])
        )
    except Invalid as error:
        # The name may be personal; which part is wrong is enough.
        part = "an id" if error.message.startswith("aggregate id") else "a domain or type"
        raise Invalid(f"the reference has {part} that breaks the rules for names", hint=_FORMS) from None


class Found(NamedTuple):
    """A reference in a payload or a state: where it stands, what it names, and the rule of its column."""

    path: tuple[str, ...]
    reference: Reference
    rule: ReferenceRule

    @property
    def field(self) -> str:
        """The path as people write it: `address.city`."""
        return ".".join(self.path)


class Canonical(NamedTuple):
    """A payload whose references are spelled as they are stored; the same object where nothing had to change."""

    payload: dict[str, Any]
    found: list[Found]
    faults: list[Fault]


_Tree = dict[str, "ReferenceRule | _Tree"]
"""Fields that are references, or objects that hold some."""


def compile_references(schema: Schema) -> Callable[[Mapping[str, Any], str], Canonical] | None:
    """What canonicalises a payload (payload, domain) that has passed its check; None where no column is a reference.

    References in object columns count, those in arrays and json columns do not. Null and blank text are skipped. A
    reference that its rule's domain or aggregate does not allow is a fault (rule `reference`); so is text that is none.
    """
    tree = _tree(schema.columns)
    if not tree:
        return None

    def canonicalise(payload: Mapping[str, Any], domain: str) -> Canonical:
        found: list[Found] = []
        faults: list[Fault] = []
        changed = _walk(payload, tree, (), (domain, schema.aggregate), found, faults)
        return Canonical(changed, found, faults)

    return canonicalise


def references_of(schema: Schema, state: Mapping[str, Any], *, domain: str) -> list[Found]:
    """The references that a state holds; what is none any more, because the schema came later, is left out."""
    canonicalise = compile_references(schema)
    return canonicalise(state, domain).found if canonicalise else []


def _tree(columns: Mapping[str, Column]) -> _Tree:
    tree: _Tree = {}
    for name, column in columns.items():
        below: ReferenceRule | _Tree | None = column.reference or _tree(column.properties)
        if below:
            tree[name] = below
    return tree


def _walk(
    value: Mapping[str, Any],
    tree: _Tree,
    path: tuple[str, ...],
    home: tuple[str, str],
    found: list[Found],
    faults: list[Fault],
) -> Any:
    """`value` with its references canonical; a copy as soon as one of them changes."""
    changed: dict[str, Any] | None = None
    for name, below in tree.items():
        old = value.get(name)
        if isinstance(below, ReferenceRule):
            new = _canonical(old, below, (*path, name), home, found, faults)
        else:
            new = _walk(old, below, (*path, name), home, found, faults) if isinstance(old, dict) else old
        if new is not old:
            changed = dict(value) if changed is None else changed
            changed[name] = new
    return value if changed is None else changed


def _canonical(
    text: Any,
    rule: ReferenceRule,
    path: tuple[str, ...],
    home: tuple[str, str],
    found: list[Found],
    faults: list[Fault],
) -> Any:
    if text is None or (isinstance(text, str) and not text.strip()):
        return text
    where = f"field {names.quote('.'.join(path))}"
    try:
        reference = parse_reference(text, domain=home[0], aggregate_type=home[1])
    except Invalid as error:
        faults.append(Fault(path, "reference", kind_of(text), f"{where}: {error.message}"))
        return text
    if rule.domain is not None and reference.domain != rule.domain.lower():
        faults.append(Fault(path, "reference", "text", f"{where} must refer to domain {names.quote(rule.domain)}"))
    elif rule.aggregate is not None and reference.aggregate_type != rule.aggregate:
        faults.append(
            Fault(path, "reference", "text", f"{where} must refer to aggregate type {names.quote(rule.aggregate)}")
        )
    else:
        found.append(Found(path, reference, rule))
    stored = str(reference)
    return text if stored == text else stored
