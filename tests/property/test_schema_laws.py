"""What a schema generates it accepts; what breaks one rule is refused by that rule; schemas survive their spelling."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.formats import canonical, yamltext
from dbx.model.jsonschema import export_json_schema
from dbx.model.jsonschemaimport import import_json_schema
from dbx.model.schema import Bounds, Column, EventRule, ReferenceRule, Schema, to_document
from dbx.model.schemaparse import parse_schema
from dbx.model.validation import compile_event, refusal
from tests.jsonschemas import accepts


class Sample(NamedTuple):
    """A column, a value it takes, and values it does not take, each with the rule that must say so."""

    column: Column
    good: Any
    bad: list[tuple[str, Any]]


_NO_TEXT: list[Any] = [None, 5, True, [], {}, ["a"]]
_FORMATS: dict[str, tuple[list[str], list[str]]] = {
    "email": (["a@x.cz", "user@example.com"], ["a@x", "not-an-email"]),
    "url": (["https://a.b/c", "urn:x"], ["http", "a b"]),
    "credit_card": (["4539571147647251"], ["4539571147647252"]),
    "country_code": (["US", "DE"], ["us", "XX"]),
    "iso_8601": (["2024-05-02T13:45:00Z"], ["02/05/2024"]),
    "wgs_84": (["37.7749,-122.4194"], ["91.0,0.0"]),
    "camel_case": (["camelCase"], ["CamelCase"]),
    "snake_case": (["snake_case"], ["Snake"]),
    "kebab_case": (["kebab-case"], ["kebab_case"]),
    "pascal_case": (["PascalCase"], ["pascalCase"]),
    "upper_case_snake_case": (["UPPER_CASE"], ["lower"]),
    "reference": (["#1", "t#1", "d#t#1"], ["agg#", "1"]),
}


@st.composite
def _text(draw: st.DrawFn) -> Sample:
    good = draw(st.text(st.sampled_from("abcXYZ09_- é"), min_size=1, max_size=12))
    rules: dict[str, Any] = {}
    bad: list[tuple[str, Any]] = [("type", value) for value in _NO_TEXT]
    if draw(st.booleans()):
        rules["length"] = Bounds(draw(st.integers(1, len(good))), draw(st.integers(len(good), 14)))
        bad += [("length", ""), ("length", good + "a" * 15)]
    if draw(st.booleans()):
        rules["regex"] = ("^[^%]*$",)
        bad.append(("regex", good[:-1] + "%"))
    if draw(st.booleans()):
        part = draw(st.sampled_from(good))
        rules["contains"] = (part,)
        bad.append(("contains", "".join("q" for _ in good)))
    if draw(st.booleans()):
        rules["does_not_contain"] = ("Q",)
        bad.append(("does_not_contain", good[:-1] + "Q"))
    return Sample(Column("text", **rules), good, bad)


@st.composite
def _formatted(draw: st.DrawFn) -> Sample:
    name = draw(st.sampled_from(sorted(_FORMATS)))
    good, bad = _FORMATS[name]
    rule = ReferenceRule() if name == "reference" else None
    column = Column("text", format=name, reference=rule)
    return Sample(column, draw(st.sampled_from(good)), [("format", b) for b in bad] + [("type", b) for b in _NO_TEXT])


@st.composite
def _number(draw: st.DrawFn) -> Sample:
    name = draw(st.sampled_from(["integer", "float", "decimal(8,2)"]))
    low, high = draw(st.integers(-1000, 0)), draw(st.integers(0, 1000))
    good: Any = draw(st.integers(low, high))
    if name != "integer" and draw(st.booleans()):
        good = max(low, min(high, good + draw(st.sampled_from([0.5, 0.25, -0.75]))))
    good = draw(st.sampled_from([good, str(good), f" {good} "]))
    ends = draw(st.sampled_from([Bounds(low, high), Bounds(str(low), str(high)), Bounds(min=low), Bounds(max=high)]))
    bad: list[tuple[str, Any]] = [
        ("type", value) for value in (None, True, [], {}, "", "a", "NaN", "1e400", "1_0", "٣")
    ]
    if ends.min is not None:
        bad += [("range", low - 1), ("range", str(low - 1))]
    if ends.max is not None:
        bad += [("range", high + 1), ("range", str(high + 1))]
    if name != "float":
        bad.append(("type", "1.555"))
    return Sample(Column(name, range=ends), good, bad)


@st.composite
def _other(draw: st.DrawFn) -> Sample:
    data = draw(st.binary(min_size=1, max_size=6))
    return draw(
        st.sampled_from(
            [
                Sample(Column("boolean"), True, [("type", value) for value in (None, 2, 0.5, "yes", [])]),
                Sample(Column("boolean"), " FALSE ", [("type", "")]),
                Sample(Column("timestamp"), "2024-05-02T13:45:00Z", [("type", "2024-05-02"), ("type", 5)]),
                Sample(
                    Column("date", range=Bounds("2024-01-01", "2024-12-31")),
                    "2024-02-29",
                    [("type", "20240101"), ("range", "2025-01-01"), ("range", "2023-12-31"), ("type", None)],
                ),
                Sample(
                    Column("binary", length=Bounds(1, 6)),
                    base64.b64encode(data).decode(),
                    [("type", "%"), ("length", base64.b64encode(data * 7).decode()), ("length", "")],
                ),
                Sample(Column("json"), draw(st.sampled_from([None, 1, "a", [1], {"a": None}])), []),
            ]
        )
    )


def _object(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    def build(samples: dict[str, Sample]) -> Sample:
        column = Column("object", properties={n: s.column for n, s in samples.items()})
        good = {name: sample.good for name, sample in samples.items()}
        bad: list[tuple[str, Any]] = [("type", value) for value in (None, "a", [], 5)]
        bad += [(rule, {**good, name: value}) for name, s in samples.items() for rule, value in s.bad]
        return Sample(column, good, bad)

    return st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, min_size=1, max_size=2).map(build)


_samples = st.recursive(st.one_of(_text(), _formatted(), _number(), _other()), _object, max_leaves=3)
_worlds = st.dictionaries(st.sampled_from(["a", "b", "c_d", "org:group", "é"]), _samples, min_size=1, max_size=4)


def _schema(samples: dict[str, Sample]) -> Schema:
    return Schema("thing", columns={n: s.column for n, s in samples.items()}, events={"happened": EventRule()})


@settings(max_examples=300, deadline=None)
@given(_worlds, st.data())
def test_what_breaks_one_rule_is_refused_by_that_rule(samples: dict[str, Sample], data: st.DataObject) -> None:
    schema = _schema(samples)
    check = compile_event(schema, "happened", first=data.draw(st.booleans()))
    payload = {name: sample.good for name, sample in samples.items()}
    assert list(check(payload)) == []
    for name, sample in samples.items():
        assert list(check({name: sample.good, "undeclared": None})) == []
        for rule, value in sample.bad:
            faults = check({**payload, name: value})
            assert rule in [fault.rule for fault in faults], (sample.column, value)
            assert all(fault.path[0] == name for fault in faults)
            assert refusal(schema, "happened", faults).status == 5


@settings(max_examples=150, deadline=None)
@given(_worlds, st.data())
def test_presence_is_refused_by_its_rule(samples: dict[str, Sample], data: st.DataObject) -> None:
    payload = {name: sample.good for name, sample in samples.items()}
    name = data.draw(st.sampled_from(sorted(samples)))
    required = data.draw(st.sampled_from(["always", "create"]))
    columns = {n: s.column for n, s in samples.items()}
    columns[name] = Column(columns[name].type, required, format=columns[name].format)
    names = tuple(samples)
    schema = Schema("thing", columns=columns, events={"open": EventRule(), "listed": EventRule(names)})
    locked = Schema("thing", columns=columns, events=schema.events, field_locks=(name,))
    without = {n: v for n, v in payload.items() if n != name}
    for event in ("open", "listed"):
        first = [fault.rule for fault in compile_event(schema, event, first=True)(without)]
        later = [fault.rule for fault in compile_event(schema, event, first=False)(without)]
        assert first == ["required"]
        assert later == (["required"] if required == "always" else [])
        assert "field_locks" in [fault.rule for fault in compile_event(locked, event, first=True)(payload)]
    extra = compile_event(schema, "listed", first=True)({**payload, "extra": 1})
    assert ("fields", "extra") in [(fault.rule, fault.field) for fault in extra]


@settings(max_examples=200, deadline=None)
@given(_worlds, st.booleans(), st.sampled_from([None, 1, 100]))
def test_a_schema_survives_its_spelling(samples: dict[str, Sample], hidden: bool, threshold: int | None) -> None:
    plain = _schema(samples)
    schema = Schema("thing", "For people", threshold, False, hidden, ("a",), ("b",), plain.columns, plain.events)
    document = to_document(schema)
    assert parse_schema(document) == (schema, [])
    assert parse_schema(yamltext.load(yamltext.dump(document), name="thing.yaml")) == (schema, [])
    assert parse_schema(json.loads(json.dumps(document))) == (schema, [])


@settings(max_examples=200, deadline=None)
@given(_worlds, st.booleans(), st.sampled_from([None, "always", "create"]))
def test_json_schema_brings_the_schema_back_and_takes_what_it_takes(
    samples: dict[str, Sample], hidden: bool, required: Any
) -> None:
    columns = {name: sample.column for name, sample in samples.items()}
    first = next(iter(columns))
    if required:
        columns[first] = replace(columns[first], required=required, description="first")
    events = {"happened": EventRule(), "listed": EventRule((*columns, "more"), "why"), "empty": EventRule(("more",))}
    schema = Schema("thing", "For people", 5, hidden, hidden, (first,), (), columns, events)
    document = export_json_schema(schema)
    assert json.dumps(document) == json.dumps(export_json_schema(schema))
    again, problems = import_json_schema(json.loads(json.dumps(document)), aggregate="thing")
    assert problems == []
    assert parse_schema(again) == (schema, [])
    payload = {name: sample.good for name, sample in samples.items()}
    assert accepts(document, payload)
    assert accepts(document["$defs"]["happened"], {**payload, "undeclared": 1}, document)
    assert accepts(document["$defs"]["listed"], {**payload, "more": 1}, document)
    assert not accepts(document["$defs"]["listed"], {**payload, "undeclared": 1}, document)
    assert accepts(document["$defs"]["listed"], {}, document) == (required != "always")
    for name, sample in samples.items():
        for rule, value in sample.bad:
            if rule in ("contains", "does_not_contain", "regex") and "properties" not in document["properties"][name]:
                assert not accepts(document, {**payload, name: value}), (rule, value)


@settings(max_examples=200, deadline=None)
@given(st.deferred(lambda: st.one_of(_documents, _json_schemas)))
def test_any_json_schema_is_taken_as_far_as_it_goes(document: Any) -> None:
    found, _ = import_json_schema(document, aggregate="thing")
    parse_schema(found)


_keywords = st.sampled_from(
    ["type", "properties", "required", "$ref", "allOf", "pattern", "x-dbx-type", "x-dbx-format", "minLength", "items",
     "minimum", "format", "$defs", "additionalProperties", "x-dbx-required", "$id", "x-dbx-regex", "not"]
)  # fmt: skip
_json_schemas = st.recursive(
    st.one_of(
        st.sampled_from(["string", "object", "integer", "array", "#", "#/properties/type", "date-time", "base64", "a"]),
        st.none(), st.booleans(), st.integers(-3, 3),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keywords, inner, max_size=4)),
    max_leaves=15,
)  # fmt: skip

_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=12),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(_worlds, st.data())
def test_any_payload_is_judged_and_never_repeated(samples: dict[str, Sample], data: st.DataObject) -> None:
    check = compile_event(_schema(samples), "happened", first=True)
    payload = data.draw(st.dictionaries(st.sampled_from([*samples, "more"]), _json, max_size=4))
    try:
        payload = canonical.normalise(payload)
    except Invalid:
        return  # no payload: every way in refuses it before any schema is asked
    faults = check(payload)
    assert list(check(payload)) == list(faults)
    assert all(len(fault.message) < 400 for fault in faults)
    if not faults:
        stored = canonical.decode(canonical.encode(payload))
        assert list(check(stored)) == [], "what was accepted is accepted as it is stored"


_words = st.sampled_from(
    ["aggregate", "events", "columns", "type", "text", "integer", "range", "min", "max", "regex", "(", "length",
     "format", "email", "required", "properties", "object", "reference", "fields", "note", "a", ""]
)  # fmt: skip
_documents = st.recursive(
    st.one_of(_words, st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_documents, st.dictionaries(_words, _documents, max_size=4))
def test_any_document_is_a_schema_or_has_problems(document: Any, column: dict[str, Any]) -> None:
    for each in (document, {"aggregate": "a", "events": {"b": {}}, "columns": {"c": column, "d": document}}):
        schema, problems = parse_schema(each)
        assert (schema is None) == bool(problems)
        if schema:
            compile_event(schema, next(iter(schema.events)), first=True)({"c": 1, "d": "x"})
        for problem in problems:
            at = each
            for key in problem.path:
                at = at[key]
