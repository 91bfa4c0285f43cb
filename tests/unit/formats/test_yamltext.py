"""dbx/formats/yamltext.py: YAML without its surprises."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.formats import yamltext
from dbx.formats.yamltext import dump, load


@pytest.fixture(params=["libyaml", "pure Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers that PyYAML may come with must read the same."""
    if request.param == "libyaml":
        if not yaml.__with_libyaml__:
            pytest.skip("PyYAML is built without libyaml here")
    else:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return str(request.param)


def read(text: str | bytes) -> Any:
    return load(text if isinstance(text, bytes) else text.encode("utf-8"), name="order.yaml")


SCHEMA = b"""\
# Orders, as the shop takes them.
aggregate: order
snapshot_threshold: 100
locked: false
events:
  order_placed:
    fields: [customer, total, currency]
    notes: "the customer pressed 'buy'"
  order_paid:
    fields:
      - amount
      - currency
column_types:
  customer: {type: text, required: true, length: {min: 1, max: 64}}
  total:
    type: decimal(12,2)
    range:
      min: "0"
      max: null
  country:
    type: text
    contains: [no, se, dk]
  description: |
    two
    lines
  ratio: 0.25
"""


@pytest.mark.usefixtures("parser")
def test_a_schema() -> None:
    assert load(SCHEMA, name="order.yaml") == {
        "aggregate": "order",
        "snapshot_threshold": 100,
        "locked": False,
        "events": {
            "order_placed": {"fields": ["customer", "total", "currency"], "notes": "the customer pressed 'buy'"},
            "order_paid": {"fields": ["amount", "currency"]},
        },
        "column_types": {
            "customer": {"type": "text", "required": True, "length": {"min": 1, "max": 64}},
            "total": {"type": "decimal(12,2)", "range": {"min": "0", "max": None}},
            "country": {"type": "text", "contains": ["no", "se", "dk"]},
            "description": "two\nlines\n",
            "ratio": 0.25,
        },
    }


TEXT = [
    *["no", "No", "NO", "yes", "Yes", "on", "On", "off", "OFF", "y", "n", "tRue", "nULL", "nil", "None"],
    *["010", "-010", "00", "0o17", "0x1f", "0b1", "1_000", "+1", "1:30", "190:20:30", ".5", "1.", "1.e3", "1e", "-"],
    *[".inf", "-.inf", ".nan", "inf", "NaN", "2026-11-23", "2026-11-23T07:42:00Z", "1.2.3", "=", "１", "a:b", "<"],
]


@pytest.mark.parametrize("text", TEXT)
@pytest.mark.usefixtures("parser")
def test_text_stays_text(text: str) -> None:
    value = "- -" if text == "-" else f"- {text}"
    expected: Any = [text] if text != "-" else [[None]]
    assert read(value) == expected
    assert read(f"k: [{text}]" if text not in {"-", "1e"} else "k: [x]")["k"] == (
        [text] if text not in {"-", "1e"} else ["x"]
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False)],
        *[("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None)],
        *[("0", 0), ("-0", 0), ("7", 7), ("-7", -7), ("9007199254740991", 2**53 - 1), ("-9007199254740991", 1 - 2**53)],
        *[("0.5", 0.5), ("1.0", 1.0), ("1e3", 1000.0), ("-1.5E-3", -0.0015), ("1e-400", 0.0)],
    ],
)
@pytest.mark.usefixtures("parser")
def test_words_and_numbers(text: str, value: Any) -> None:
    for document in (f"a: {text}\n", f"? a\n: {text}\n", f"{{a: {text}}}\n"):
        assert read(document) == {"a": value}
        assert type(read(document)["a"]) is type(value)
    assert read(f'a: "{text}"\n') == {"a": text}
    assert read(f"a: '{text}'\n") == {"a": text}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null\n", "---\n...\n"])
@pytest.mark.usefixtures("parser")
def test_nothing_is_none(text: str) -> None:
    assert read(text) is None


REFUSED = [
    ("a: 1\nb: *x\n", 2, 4, "aliases ('*') are not allowed"),
    ("a: &x 1\n", 1, 4, "anchors ('&') are not allowed"),
    ("a: &x {b: 1}\n", 1, 4, "anchors ('&') are not allowed"),
    ("&x a: 1\n", 1, 1, "anchors ('&') are not allowed"),
    ("a: &x [*x]\n", 1, 4, "anchors ('&') are not allowed"),
    ("a: !!str 1\n", 1, 4, "tags ('!') are not allowed"),
    ("a: ! 1\n", 1, 4, "tags ('!') are not allowed"),
    ("a: !x [1]\n", 1, 4, "tags ('!') are not allowed"),
    ("!!python/object/apply:os.system ['true']\n", 1, 1, "tags ('!') are not allowed"),
    ("a:\n  !!set {b: null}\n", 2, 3, "tags ('!') are not allowed"),
    ("%YAML 1.1\n---\na: on\n", 1, 1, "directives ('%') are not allowed"),
    ("%TAG ! tag:x,2026:\n---\na: 1\n", 1, 1, "directives ('%') are not allowed"),
    ("a: 1\n---\nb: 2\n", 2, 1, "a second document starts"),
    ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' stands twice"),
    ("a: 1\n'a': 3\n", 2, 1, "the key 'a' stands twice"),
    ("x:\n  a: 1\n  a: 1\n", 3, 3, "the key 'a' stands twice"),
    ("{a: 1, a: 2}\n", 1, 8, "the key 'a' stands twice"),
    ("a:\na:\n", 2, 1, "the key 'a' stands twice"),
    ("1: a\n", 1, 1, "a key is not text"),
    ("true: a\n", 1, 1, "a key is not text"),
    ("null: a\n", 1, 1, "a key is not text"),
    ("? [a]\n: 1\n", 1, 3, "a key is not text"),
    ("? {a: 1}\n: 1\n", 1, 3, "a key is not text"),
    ("?\n: 1\n", 1, 2, "a key is not text"),
    ("<<: {a: 1}\n", 1, 1, "merge keys ('<<') are not allowed"),
    ("a: 9007199254740992\n", 1, 4, "the number is too large"),
    ("a: -9007199254740992\n", 1, 4, "the number is too large"),
    ("a:\n  - " + "9" * 100_000, 2, 5, "the number is too large"),
    ("a: 1e400\n", 1, 4, "the number is too large"),
    ("a: 1\nb: \x07\n", 2, 4, "it has the character U+0007"),
    ("a: \0\n", 1, 4, "it has the character U+0000"),
    ("a: b\u2028c: d\n", 1, 5, "it has the character U+2028"),
    ("a: b\x85\n", 1, 5, "it has the character U+0085"),
    ("a: \ufffe\n", 1, 4, "it has the character U+FFFE"),
    ("a: \U0001ffff\n", 1, 4, "it has the character U+1FFFF"),
    ('a: "\\uFDD0"\n', 1, 4, "the text holds a surrogate or noncharacter"),
    ("\ufeffa: 1\n", 1, 1, "it has a byte order mark"),
    ("a: 1\nb: 2".encode("utf-16"), 1, 1, "it has a byte that is not UTF-8"),
    (b"a: 1\nb: \xe9\n", 2, 4, "it has a byte that is not UTF-8"),
    (b"a: \xed\xa0\x80\n", 1, 4, "it has a byte that is not UTF-8"),
]


@pytest.mark.parametrize(("text", "line", "column", "sentence"), REFUSED, ids=lambda case: ascii(case)[:30])
@pytest.mark.usefixtures("parser")
def test_refused(text: str | bytes, line: int, column: int, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(text)
    assert caught.value.message == f"cannot read 'order.yaml': {sentence} at line {line} column {column}"
    assert caught.value.details == {"file": "order.yaml", "line": line, "column": column}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\n", 2),
        ("a: b: c\n", 1),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'x\n", 2),
        ('a: "\\x"\n', 1),
        ("a: {b: 1]\n", 1),
        ("a: 1\n b: 2\n", 2),
        ("a: @x\n", 1),
        ("a: `x`\n", 1),
        ("a: %x\n", 1),
        ("a: |x\n  b\n", 1),
        ("- a\nb: 1\n", 2),
        ("a: x\nb\n", 3),
    ],
)
def test_broken_yaml_names_the_place(parser: str, text: str, line: int) -> None:
    with pytest.raises(Invalid, match=r"\Acannot read 'order.yaml': .* at line [0-9]+ column [0-9]+\Z") as caught:
        read(text)
    # At the end of the text the two parsers differ by a line: one stands behind the last line break, one before.
    assert abs(caught.value.details["line"] - line) <= (1 if parser == "pure Python" else 0)


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\U00110000", "\\UFFFFFFFF"])
@pytest.mark.usefixtures("parser")
def test_escapes_of_no_character(escape: str) -> None:
    with pytest.raises(Invalid, match="at line 2 column"):
        read(f'a: 1\nb: "{escape}"\n')


@pytest.mark.usefixtures("parser")
def test_quoted_merge_key_is_a_key() -> None:
    assert read("'<<': 1\n") == {"<<": 1}


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)
MEGABYTE = 1 << 20

BOMBS = {
    "billion laughs": LAUGHS,
    "open sequences": "[" * MEGABYTE,
    "open mappings": "{" * MEGABYTE,
    "open both": "[{a: " * (MEGABYTE // 5),
    "closed sequences": "[" * (MEGABYTE // 2) + "]" * (MEGABYTE // 2),
    "block sequences": "- " * (MEGABYTE // 2),
    "explicit keys": "? " * (MEGABYTE // 2),
    "mappings by indent": "\n".join(" " * n + "a:" for n in range(1400)),
    "simple mappings by indent": "\n".join("  " * n + "a:" for n in range(900)),
    "anchors": "&a " * (MEGABYTE // 3),
    "tags": "! " * (MEGABYTE // 2),
    "documents": "---\n" * (MEGABYTE // 4),
    "open quote": 'a: "' + "x" * (MEGABYTE - 10),
    "long key": "x" * (MEGABYTE - 10) + ": 1",
    "digits": "a: " + "7" * (MEGABYTE - 10),
    "exponent": "a: 1e" + "7" * (MEGABYTE - 10),
}


@pytest.mark.parametrize("bomb", sorted(BOMBS))
@pytest.mark.usefixtures("parser")
def test_bombs_are_refused_quickly(bomb: str) -> None:
    started = time.process_time()
    with pytest.raises(Invalid, match=r"at line [0-9]+ column [0-9]+"):
        read(BOMBS[bomb])
    assert time.process_time() - started < 5


@pytest.mark.usefixtures("parser")
def test_limits() -> None:
    with pytest.raises(Invalid, match="it has 1048577 bytes, at most 1048576 are allowed"):
        load(b" " * (MEGABYTE + 1), name="order.yaml")
    assert load(b" " * MEGABYTE, name="order.yaml") is None
    with pytest.raises(Invalid, match="it has 5 bytes, at most 4 are allowed"):
        load(b"a: 1\n", name="order.yaml", max_bytes=4)
    deepest = "[" * 32 + "]" * 32
    assert yamltext.MAX_DEPTH == 32
    assert read(deepest) == eval(deepest)
    with pytest.raises(Invalid, match="nests more than 32 levels deep at line 1 column 33"):
        read(f"[{deepest}]")
    with pytest.raises(Invalid, match="nests more than 1 levels deep at line 2 column 3"):
        load(b"a:\n  b: 1\n", name="order.yaml", max_depth=1)
    for depth in range(1, 5):
        nested = "".join("  " * n + "a:\n" for n in range(depth - 1))
        for leaf, deep in (("a: 1", depth), ("a: []", depth + 1), ("a: {}", depth + 1)):
            text = (nested + "  " * (depth - 1) + leaf + "\n").encode()
            assert load(text, name="x", max_depth=deep) is not None
            with pytest.raises(Invalid, match="levels deep"):
                load(text, name="x", max_depth=deep - 1)


def test_messages_show_names_on_one_line() -> None:
    with pytest.raises(Invalid) as caught:
        load(b'"a\\nb": 1\n"a\\nb": 1\n', name="x\ny.yaml")
    assert caught.value.message == r"cannot read 'x\ny.yaml': the key 'a\nb' stands twice at line 2 column 1"


SAFE_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]).filter(
        lambda c: not (0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE)
    )
)
ANY_TEXT = st.one_of(
    SAFE_TEXT,
    st.sampled_from(TEXT),
    st.text(" \n\t:#-?,[]{}'\"&*!|>%@`~<=ab01.eE+_/()\r\x85\u2028\ufeff\\"),
    st.sampled_from(["key: x", "a #b", "a# b", " a", "a ", "- a", "---", "...", "a:", "decimal(2,2)", "x" * 3000]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(1 - 2**53, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    ANY_TEXT,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ANY_TEXT, inner, max_size=4)),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """Tells 1 from 1.0 from True, and keeps the order of keys."""
    if isinstance(value, dict):
        return [(key, exact(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return type(value).__name__, repr(value)


@given(VALUES)
def test_what_is_dumped_loads_the_same(value: Any) -> None:
    data = dump(value)
    assert data.endswith(b"\n")
    assert exact(load(data, name="x")) == exact(value)


@given(VALUES)
def test_other_readers_agree(value: Any) -> None:
    assert yaml.safe_load(dump(value)) == value


def test_dump_reads_well() -> None:
    value = {
        "id": "0b7f5a0e-1f0e-4a53-9f31-6a3d4f2a7c11",
        "created_at": "2026-11-23T07:42:00.123456Z",
        "origin": "ssh://host/path",
        "restrict": "off",
        "note": "two\nlines",
        "type": "decimal(12,2)",
        "events": {"order_placed": {"fields": ["customer", "total"]}, "order_paid": {}},
        "remotes": [{"name": "origin", "tags": []}, [1, 2.5, True, None]],
        "1": "x",
    }
    assert (
        dump(value).decode()
        == """\
id: "0b7f5a0e-1f0e-4a53-9f31-6a3d4f2a7c11"
created_at: "2026-11-23T07:42:00.123456Z"
origin: ssh://host/path
restrict: "off"
note: "two\\nlines"
type: decimal(12,2)
events:
  order_placed:
    fields:
      - customer
      - total
  order_paid: {}
remotes:
  - name: origin
    tags: []
  - - 1
    - 2.5
    - true
    - null
"1": x
"""
    )


class Unknown:
    pass


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        *[math.inf, -math.inf, math.nan, 2**53, -(2**53), b"x", {1}, Unknown(), {1: 2}, {None: 2}, {True: 2}],
        *["\ud800", {"\ud800": 1}, "\ufdd0", "\U0010ffff", CYCLE],
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_refused_by_dump(value: Any) -> None:
    with pytest.raises(Invalid, match="written as YAML"):
        dump({"a": [value]})


def test_dump_has_the_depth_of_load() -> None:
    deepest: Any = []
    for _ in range(31):
        deepest = {"a": deepest}
    assert load(dump(deepest), name="x") == deepest
    with pytest.raises(Invalid, match="nests too deep"):
        dump([deepest])
    with pytest.raises(Invalid, match="nests too deep"):
        dump([1], max_depth=0)


@given(st.data())
def test_the_short_way_reads_what_the_parser_reads(data: st.DataObject) -> None:
    """Settings are read without yaml where every line is plain; what that way accepts, the parser must read alike."""
    text = data.draw(
        st.one_of(
            VALUES.map(lambda value: dump(value).decode()),
            st.lists(
                st.builds(
                    lambda indent, start, rest: "  " * indent + start + rest,
                    st.integers(0, 3),
                    st.sampled_from(["a:", "b:", "c: ", "a: ", "- ", "-", "#", "", "no: ", "null: ", "d: x", "~: "]),
                    st.one_of(st.just(""), ANY_TEXT, st.sampled_from(["x", "1", '"x y"', "[]", "{}", "-1", "1e5"])),
                ),
                max_size=6,
            ).map("\n".join),
        )
    )
    at = data.draw(st.integers(0, len(text)))
    text = (
        text[:at]
        + data.draw(st.sampled_from(["", "", " ", "  ", "\n", "\t", "\r", ":", "#", '"', "-", "x"]))
        + text[at:]
    )
    source = yamltext.Source("x", text.encode()) if not yamltext._find_unprintable(text) else None
    if source is None:
        return
    simple = yamltext._read_simple(source.text, 32)
    if simple is not None:
        assert exact(simple) == exact(yamltext.Builder(source, 32).build())


def test_settings_need_no_yaml() -> None:
    settings = {
        "id": "0b7f5a0e",
        "name": "default",
        "auth": {"required": False, "skew": 60},
        "safe": ["/srv/a", "/srv/b"],
    }
    code = (
        "import sys; from dbx.formats import yamltext; "
        f"assert yamltext.load({dump(settings)!r}, name='x') == {settings!r}; assert 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
