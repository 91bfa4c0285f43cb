"""dbx/model/names.py: what things may be called."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.model import names
from tests.vectors import shared

CHECKS: list[Callable[[object], str]] = [
    names.check_type,
    names.check_id,
    names.check_event_type,
    names.check_domain_name,
    names.check_metadata_key,
]

ALWAYS_REFUSED = [
    "",
    " ",
    "-rf",
    "--help",
    ".",
    "..",
    "../up",
    "/etc/passwd",
    "~root",
    "order\n",
    "\norder",
    "order\0",
    "a b",
    "order\t",
    "order\x7f",
    "order\u200b",
    "order\u202e",
    "оrder",  # Cyrillic о
    "ｏrder",  # full-width o
    "ordér",
    "order\u0301",
    "ſet",
    "order١",  # Arabic-Indic one
    "o\ud800",
    "💥",
    "a\\b",
    "a'b",
    'a"b',
    "a$b",
    "a%00",
    "a*",
    "@",
    "@-",
    None,
    True,
    7,
    b"order",
    ["order"],
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ALWAYS_REFUSED, ids=ascii)
def test_refused_everywhere(check: Callable[[object], str], name: object) -> None:
    with pytest.raises(Invalid) as caught:
        check(name)
    assert caught.value.message.isprintable()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["o", "order", "order_line", "o1", "o_", "a" * 64])
def test_types(name: str) -> None:
    assert names.check_type(name) == name


@pytest.mark.parametrize("name", ["Order", "1order", "_order", "order-line", "order.line", "order/line", "a" * 65])
def test_refused_types(name: str) -> None:
    with pytest.raises(Invalid):
        names.check_type(name)


@pytest.mark.parametrize(
    "name", ["o-17", "7", "O", "jane@example.com", "urn:isbn:0451450523", "a/b/c", "N14228", "x~y", "a+b", "a" * 128]
)
def test_ids(name: str) -> None:
    assert names.check_id(name) == name


@pytest.mark.parametrize("name", ["_x", ".x", "@x", ":x", "+x", "a,b", "a;b", "a=b", "a#b", "a" * 129])
def test_refused_ids(name: str) -> None:
    with pytest.raises(Invalid):
        names.check_id(name)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("created", "created"),
        ("person.created", "person_created"),
        ("a.b.c_d1", "a_b_c_d1"),
        ("a_.b", "a__b"),
        ("a" * 128, "a" * 128),
        ("a." * 63 + "ab", "a_" * 63 + "ab"),
        ("body_erased", "body_erased"),
    ],
)
def test_event_types(typed: str, stored: str) -> None:
    assert names.check_event_type(typed) == stored
    assert names.check_event_type(stored) == stored


@pytest.mark.parametrize(
    "name",
    ["Created", "a..b", ".a", "a.", "a.1", "a._b", "a.B", "a-b", "a/b", "a" * 129, "a." * 64 + "a", "a." * 10_000_000],
)
def test_refused_event_types(name: str) -> None:
    with pytest.raises(Invalid):
        names.check_event_type(name)


@pytest.mark.parametrize(
    "name", ["default", "7", "orders-eu", "orders_eu", "com", "com10", "console", "null", "a" * 64]
)
def test_domain_names(name: str) -> None:
    assert names.check_domain_name(name) == name


@pytest.mark.parametrize("name", ["Default", "_a", "a.b", "con.txt", "a/b", "a:b", "a@b", "a" * 65])
def test_refused_domain_names(name: str) -> None:
    with pytest.raises(Invalid):
        names.check_domain_name(name)


@pytest.mark.parametrize("name", ["con", "nul", "aux", "prn", "com0", "com1", "com9", "lpt1", "lpt9"])
def test_device_names_are_no_domains(name: str) -> None:
    with pytest.raises(Invalid, match="is a device on some systems"):
        names.check_domain_name(name)
    assert names.check_type(name) == name


@pytest.mark.parametrize("key", ["@a", "@actor", "@Source", "@1", "@a-b_c", "@a_"])
def test_metadata_keys(key: str) -> None:
    assert names.check_metadata_key(key) == key


@pytest.mark.parametrize("key", ["actor", "@_a", "@@a", "@a.b", "@a b", "a@b"])
def test_refused_metadata_keys(key: str) -> None:
    with pytest.raises(Invalid):
        names.check_metadata_key(key)


def test_notes_count_code_points() -> None:
    assert names.check_note("") == ""
    assert names.check_note("💥" * 128) == "💥" * 128
    with pytest.raises(Invalid, match="129 characters, at most 128"):
        names.check_note("x" * 129)
    with pytest.raises(Invalid, match="the note must be text"):
        names.check_note(12)


def test_messages_say_the_rule() -> None:
    with pytest.raises(Invalid) as caught:
        names.check_type("Order")
    rule = "must be lower-case snake_case (a-z, 0-9, _), at most 64 characters"
    assert caught.value.message == f"aggregate type 'Order' {rule}"
    assert caught.value.hint is None
    with pytest.raises(Invalid) as caught:
        names.check_type("")
    assert caught.value.message == "the aggregate type is empty"
    with pytest.raises(Invalid) as caught:
        names.check_type(7)
    assert caught.value.message == "the aggregate type must be text"


def test_hint_names_the_look_alike() -> None:
    with pytest.raises(Invalid) as caught:
        names.check_type("оrder")
    assert caught.value.hint == "it contains U+043E CYRILLIC SMALL LETTER O, only ASCII is allowed"


def test_quote_is_one_short_printable_line() -> None:
    assert names.quote("plain") == "'plain'"
    assert names.quote("a\nb\0\u202e\ud800\\") == r"'a\nb\x00\u202e\ud800\'"
    assert names.quote("x" * 1_000_000) == "'" + "x" * 80 + "…'"


GRAMMAR: dict[str, tuple[Callable[[object], str], str]] = {
    "type": (names.check_type, r"\A[a-z][a-z0-9_]{0,63}\Z"),
    "id": (names.check_id, r"\A[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}\Z"),
    "event": (names.check_event_type, r"\A(?=.{1,128}\Z)[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z"),
    "metadata": (names.check_metadata_key, r"\A@[A-Za-z0-9][A-Za-z0-9_-]*\Z"),
}


@pytest.mark.parametrize("which", sorted(GRAMMAR))
def test_naughty_strings(which: str) -> None:
    naughty = json.loads((shared("vectors/blns") / "blns.json").read_text(encoding="utf-8"))
    assert len(naughty) > 400
    check, grammar = GRAMMAR[which]
    for text in naughty:
        _agree(check, grammar, text)


@pytest.mark.parametrize("which", sorted(GRAMMAR))
@given(text=st.one_of(st.text(), st.text(string.ascii_letters + string.digits + "_.:@/+~-\n", max_size=150)))
def test_grammar(which: str, text: str) -> None:
    check, grammar = GRAMMAR[which]
    _agree(check, grammar, text)


def _agree(check: Callable[[object], str], grammar: str, text: str) -> None:
    if re.search(grammar, text):
        assert check(text) == (text.replace(".", "_") if check is names.check_event_type else text)
    else:
        with pytest.raises(Invalid):
            check(text)
