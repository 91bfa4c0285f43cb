"""Columns of a schema document: types, formats and rules, and whether they fit each other (EventDBX §3.5, §3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.model import names
from dbx.model.columntypes import RANGE_TYPES, REFERENCE_WORDS, base_type, describe_type, parse_type, reader_of
from dbx.model.faults import kind_of
from dbx.model.problems import check_field, nearest
from dbx.model.schema import Bounds, Column, ReferenceRule
from dbx.model.textformats import FORMAT_ALIASES, FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.problems import Problems
    from dbx.model.schema import Path

KEYS = (
    "type",
    "required",
    "format",
    "length",
    "range",
    "regex",
    "contains",
    "does_not_contain",
    "reference",
    "properties",
    "description",
    "pii",
)
"""The keys of a column."""
REFERENCE_KEYS = ("integrity", "domain", "aggregate", "cascade")
REFERENCE_ALIASES = {"tenant": "domain", "aggregate_type": "aggregate"}
"""EventDBX's own words."""
INTEGRITIES = ("strong", "weak")
CASCADES = ("none", "restrict", "nullify")
FITS = {
    "format": frozenset({"text"}),
    "length": frozenset({"text", "binary"}),
    "range": RANGE_TYPES,
    "regex": frozenset({"text"}),
    "contains": frozenset({"text"}),
    "does_not_contain": frozenset({"text"}),
    "reference": frozenset({"text"}),
    "properties": frozenset({"object"}),
}
"""Rule to the types that it is for; a rule that is not here fits all."""
MAX_TEXTS = 16
"""Patterns, and parts that text must or must not contain, of one column: each costs time for every event."""
_MAX_TEXT_CHARS = 1000
_MAX_LENGTH = 1 << 31


class ColumnParser:
    """Reads columns; what is wrong goes to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._readers: dict[str, Callable[[Any, Path], Any]] = {
            "required": self._required,
            "format": self._format,
            "length": self._length,
            "range": self._range,
            "regex": self._patterns,
            "contains": self._texts,
            "does_not_contain": self._texts,
            "reference": self._reference,
            "properties": self.columns,
            "description": problems.description,
            "pii": self._pii,
        }

    def columns(self, value: Any, path: Path) -> dict[str, Column]:
        """Names to columns, of a schema or an object."""
        columns: dict[str, Column] = {}
        if value is None or not self._problems.is_mapping(value, path, f"'{path[-1]}'"):
            return columns
        for name, document in value.items():
            below = (*path, name)
            try:
                check_field(name)
            except Invalid as error:
                self._problems.add(below, error.message, on_key=True)
            columns[name] = self._column(document, below)
        return columns

    def _column(self, document: Any, path: Path) -> Column:
        if isinstance(document, str):
            if document.strip() in REFERENCE_WORDS:
                return Column("text", format="reference", reference=ReferenceRule())
            return Column(self._type(document, path) or "json")
        if document is None:
            self._problems.add(path, f"column {names.quote(str(path[-1]))} needs a type")
            return Column("json")
        if not self._problems.is_mapping(document, path, "a column", "or the name of its type"):
            return Column("json")
        return self._column_with_rules(document, path)

    def _column_with_rules(self, document: dict[Any, Any], path: Path) -> Column:
        is_reference = "reference" in document or document.get("format") == "reference"
        written = document.get("type")
        if isinstance(written, str) and written.strip() in REFERENCE_WORDS:
            column_type: str | None = "text"
            is_reference = True
        elif "type" in document:
            column_type = self._type(written, (*path, "type"))
        elif "reference" in document:
            column_type = "text"
        else:
            column_type = None
            self._problems.add(path, f"column {names.quote(str(path[-1]))} needs a 'type'")
        parts: dict[str, Any] = {}
        for key, value in document.items():
            below = (*path, key)
            if key == "type":
                continue
            reader = self._readers.get(key)
            if reader is None:
                reason = "its rules stand beside 'type', not below 'rules'" if key == "rules" else None
                self._problems.unknown_key(key, path, KEYS, reason)
                continue
            parts[key] = reader(value, below)
            if column_type and parts[key] not in (None, (), {}):
                self._check_fit(key, column_type, below)
        if is_reference:
            self._join_reference(parts, path)
        if column_type and parts.get("range") and base_type(column_type) in RANGE_TYPES:
            self._check_range(parts["range"], column_type, (*path, "range"))
        return Column(column_type or "json", **parts)

    def _join_reference(self, parts: dict[str, Any], path: Path) -> None:
        if parts.get("format") not in (None, "reference"):
            self._problems.add((*path, "format"), "a column with 'reference' has the format reference", "reference")
        parts["format"] = "reference"
        parts["reference"] = parts.get("reference") or ReferenceRule()

    def _type(self, value: Any, path: Path) -> str | None:
        try:
            return parse_type(value)
        except Invalid as error:
            self._problems.add(path, error.message, error.details.get("nearest"))
            return None

    def _check_fit(self, key: str, column_type: str, path: Path) -> None:
        fits = FITS.get(key)
        if fits and base_type(column_type) not in fits:
            self._problems.add(
                path,
                f"rule '{key}' does not fit type '{column_type}', it is for {', '.join(sorted(fits))}",
                on_key=True,
            )

    def _required(self, value: Any, path: Path) -> Any:
        if value is False or value is None:
            return False
        if value is True:
            return "always"
        if isinstance(value, str) and value in ("always", "create"):
            return value
        self._problems.add(
            path, "'required' must be true, false or create", nearest(value, ("true", "false", "create"))
        )
        return False

    def _pii(self, value: Any, path: Path) -> Any:
        if value is None or isinstance(value, bool):
            return bool(value)
        if value != "subject":
            self._problems.add(
                path, "'pii' must be true, false or subject", nearest(value, ("true", "false", "subject"))
            )
        return "subject"

    def _format(self, value: Any, path: Path) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            self._problems.add(path, "'format' must be the name of a format")
            return None
        name = FORMAT_ALIASES.get(value, value)
        if name not in FORMATS:
            near = nearest(value, FORMATS)
            known = "" if near else f", known are {', '.join(FORMATS)}"
            self._problems.add(path, f"unknown format {names.quote(value)}{known}", near)
            return None
        return name

    def _bounds(self, value: Any, path: Path) -> dict[str, Any]:
        if value is None or not self._problems.is_mapping(value, path, f"'{path[-1]}'", "write {min: 1, max: 10}"):
            return {}
        for key in value:
            if key not in ("min", "max"):
                self._problems.unknown_key(key, path, ("min", "max"))
        return {key: value[key] for key in ("min", "max") if value.get(key) is not None}

    def _length(self, value: Any, path: Path) -> Bounds | None:
        ends = self._bounds(value, path)
        for key, end in ends.items():
            if type(end) is not int or not 0 <= end <= _MAX_LENGTH:
                self._problems.add((*path, key), f"'{key}' of a length must be a whole number from 0")
                return None
        if len(ends) == 2 and ends["min"] > ends["max"]:
            self._problems.add(path, f"length has min {ends['min']} above max {ends['max']}, so nothing can fit")
        return Bounds(**ends) if ends else None

    def _range(self, value: Any, path: Path) -> Bounds | None:
        ends = self._bounds(value, path)
        for key, end in ends.items():
            if isinstance(end, bool) or not isinstance(end, int | float | str):
                self._problems.add((*path, key), f"'{key}' of a range must be a number or text, it is {kind_of(end)}")
                return None
        return Bounds(**ends) if ends else None

    def _check_range(self, ends: Bounds, column_type: str, path: Path) -> None:
        read = reader_of(column_type)
        values = []
        for key, end in (("min", ends.min), ("max", ends.max)):
            if end is None:
                continue
            values.append(read(end))
            if values[-1] is None:
                must = (
                    describe_type(base_type(column_type)) if base_type(column_type) != "decimal" else "a decimal number"
                )
                self._problems.add((*path, key), f"'{key}' of this range must be {must}, as the column's type")
        if len(values) == 2 and None not in values and values[0] > values[1]:
            self._problems.add(path, f"range has min {ends.min} above max {ends.max}, so nothing can fit")

    def _texts(self, value: Any, path: Path) -> tuple[str, ...]:
        if value is None:
            return ()
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or len(texts) > MAX_TEXTS:
            self._problems.add(path, f"'{path[-1]}' must be a list of at most {MAX_TEXTS} texts")
            return ()
        is_list = texts is value
        for index, text in enumerate(texts):
            if not isinstance(text, str) or not 1 <= len(text) <= _MAX_TEXT_CHARS:
                at = (*path, index) if is_list else path
                self._problems.add(at, f"'{path[-1]}' must be text of 1 to {_MAX_TEXT_CHARS} characters")
                return ()
        return tuple(texts)

    def _patterns(self, value: Any, path: Path) -> tuple[str, ...]:
        patterns = self._texts(value, path)
        if patterns:
            from dbx.model.pattern import parse_pattern
        for index, text in enumerate(patterns):
            try:
                parse_pattern(text)
            except Invalid as error:
                at = path if isinstance(value, str) else (*path, index)
                self._problems.add(at, f"{error.message} ({error.hint})" if error.hint else error.message)
        return patterns

    def _reference(self, value: Any, path: Path) -> ReferenceRule | None:
        if value is None or not self._problems.is_mapping(value, path, "'reference'"):
            return None
        parts: dict[str, Any] = {}
        for written, word in value.items():
            key, below = REFERENCE_ALIASES.get(written, written), (*path, written)
            if key in parts:
                self._problems.add(below, f"{names.quote(written)} says '{key}' a second time", on_key=True)
            if key == "integrity":
                parts[key] = self._problems.word(word, below, INTEGRITIES)
            elif key == "cascade":
                parts[key] = self._problems.word(word, below, CASCADES)
            elif key in REFERENCE_KEYS:
                parts[key] = self._target(key, word, below)
            else:
                self._problems.unknown_key(written, path, REFERENCE_KEYS)
        return ReferenceRule(**parts)

    def _target(self, key: str, word: Any, path: Path) -> str | None:
        if word is None:
            return None
        try:
            if key == "domain":
                return names.check_domain_name(word.lower() if isinstance(word, str) else word)
            return names.check_type(word)
        except Invalid as error:
            self._problems.add(path, error.message)
            return None
