"""Tokens: what they grant, against a model written down from the fact sheet, and every way to be refused."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto.sign import public_key, sign
from dbx.errors import Denied, Invalid
from dbx.formats.token import encode_signed_part, join_token
from dbx.model.token import (
    ACTIONS,
    MAX_KEEP_ALIVE_S,
    Claims,
    allows,
    check_action,
    check_time,
    decode_claims,
    describe,
    encode_claims,
    is_action,
    issue,
    kept_alive_until,
    matches,
    read_token,
    require,
)

SEED = bytes(range(32))
KEYS = {"k": public_key(SEED)}
NOW = 1_800_000_000
CLAIMS = Claims(
    token_id="3f0c2a5e-0000-4000-8000-000000000001",
    subject="ops:jane",
    group="ops",
    user="jane",
    actions=("aggregate.read", "aggregate.append"),
    resources=("aggregate:order:*",),
    tenants=("sales",),
    issued_by="cli",
    issued_at=NOW,
    expires_at=NOW + 600,
)
TOKEN = issue(CLAIMS, "k", SEED)


def forge(claims: dict[str, Any], seed: bytes = SEED, key_id: str = "k") -> str:
    signed = encode_signed_part(key_id, claims)
    return join_token(signed, sign(seed, signed.encode()))


def test_round_trip() -> None:
    assert read_token(TOKEN, KEYS) == CLAIMS
    for claims in (
        replace(CLAIMS, expires_at=None, not_before=NOW, write_events=0, keep_alive=True, environment="production"),
        replace(CLAIMS, actions=("*.*",), resources=(), tenants=()),
    ):
        assert read_token(issue(claims, "k", SEED), KEYS) == claims
        assert decode_claims(encode_claims(claims)) == claims


@settings(deadline=None)
@given(st.integers(0, len(TOKEN) * 8 - 1))
def test_any_flipped_bit(bit: int) -> None:
    data = bytearray(TOKEN.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Denied):
        read_token(data.decode("latin-1"), KEYS)


def reason(text: str, **options: Any) -> str:
    with pytest.raises(Denied) as caught:
        read_token(text, KEYS, **options)
    assert text not in str(caught.value)
    return str(caught.value.details["reason"])


def test_forged() -> None:
    found = encode_claims(CLAIMS)
    assert reason(forge(found, seed=bytes(32))) == "forged"
    assert reason(forge(found, key_id="other")) == "unknown-key"
    head, _, signature = TOKEN.split(".")
    widened = encode_signed_part("k", {**found, "actions": ["*.*"]}).partition(".")[2]
    assert reason(f"{head}.{widened}.{signature}") == "forged"
    assert reason(forge({**found, "iss": "mallory"})) == "issuer"
    assert reason(forge({**found, "aud": "others"})) == "audience"
    assert reason(TOKEN, audience="others") == "audience"


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "all"},
        {"actions": ["aggregate.destroy"]},
        {"actions": ["unknown.*"]},
        {"actions": "*.*"},
        {"actions": [1]},
        {"actions": ["*.*"] * 65},
        {"resources": [""]},
        {"resources": None},
        {"exp": "soon"},
        {"exp": 1.5},
        {"exp": True},
        {"exp": -1},
        {"nbf": None},
        {"iat": 1e300},
        {"jti": "x"},
        {"sub": ""},
        {"sub": "x" * 257},
        {"limits": {}},
        {"limits": {"keep_alive": 1, "write_events": None}},
        {"limits": {"keep_alive": False, "write_events": -1}},
        {"limits": {"keep_alive": False, "write_events": True}},
        {"limits": {"keep_alive": False, "write_events": None, "more": 1}},
        {"limits": []},
        {"env": ""},
        {"tenants": [["sales"]]},
    ],
)
def test_claims_of_the_wrong_kind(change: dict[str, Any]) -> None:
    assert reason(forge({**encode_claims(CLAIMS), **change})) == "claims"


@pytest.mark.parametrize("name", sorted(set(encode_claims(CLAIMS)) - {"exp"}))
def test_a_claim_that_lacks(name: str) -> None:
    found = encode_claims(CLAIMS)
    del found[name]
    assert reason(forge(found)) == "claims"


@pytest.mark.parametrize(
    ("claims", "now", "why"),
    [
        (CLAIMS, NOW, None),
        (CLAIMS, NOW + 629, None),
        (CLAIMS, NOW + 630, "expired"),
        (CLAIMS, NOW - 30, None),
        (CLAIMS, NOW - 31, "not-yet-valid"),
        (replace(CLAIMS, expires_at=None), NOW * 2, None),
        (replace(CLAIMS, not_before=NOW + 100), NOW + 69, "not-yet-valid"),
        (replace(CLAIMS, not_before=NOW + 100), NOW + 70, None),
    ],
)
def test_times(claims: Claims, now: int, why: str | None) -> None:
    if why is None:
        check_time(claims, now)
        return
    with pytest.raises(Denied) as caught:
        check_time(claims, now)
    assert caught.value.details == {"reason": why}


def test_skew_is_bounded() -> None:
    check_time(CLAIMS, NOW + 659, skew_s=10_000)
    for skew_s, late in ((10_000, 660), (0, 600), (-50, 600)):
        with pytest.raises(Denied):
            check_time(CLAIMS, NOW + late, skew_s=skew_s)


def test_keeping_alive() -> None:
    alive = replace(CLAIMS, keep_alive=True)
    assert kept_alive_until(CLAIMS, NOW) is None
    assert kept_alive_until(replace(alive, expires_at=None), NOW) is None
    assert kept_alive_until(alive, NOW + 500) == NOW + 1100
    assert kept_alive_until(alive, NOW + MAX_KEEP_ALIVE_S) == NOW + MAX_KEEP_ALIVE_S
    long = replace(alive, expires_at=NOW + 2 * MAX_KEEP_ALIVE_S)
    assert kept_alive_until(long, NOW + MAX_KEEP_ALIVE_S) == long.expires_at
    check_time(alive, NOW + 1000, expires_at=NOW + 1100)
    with pytest.raises(Denied):
        check_time(alive, NOW + 1200, expires_at=NOW + 1100)
    check_time(alive, NOW + 10, expires_at=NOW - 5)


def grants(claims: Claims, action: str, resource: str | None, domain: str | None) -> bool:
    """The fact sheet, §5, word for word."""
    wanted = {action} | ({"aggregate.append"} if action == "aggregate.create" else set())
    for each in wanted:
        if not any(each == granted or fnmatch.fnmatchcase(each, granted) for granted in claims.actions):
            return False
    if claims.tenants and domain is not None and domain.lower() not in {name.lower() for name in claims.tenants}:
        return False
    if resource is None or not claims.resources:
        return True
    return any(pattern == "*.*" or fnmatch.fnmatchcase(resource, pattern) for pattern in claims.resources)


PATTERNS = st.sampled_from(
    [
        "*",
        "*.*",
        "aggregate:order:*",
        "aggregate:*:1",
        "aggregate:order:?",
        "aggregate:o*r:1*",
        "order",
        "aggregate:ORDER:1",
    ]
)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*ACTIONS, "*.*", "aggregate.*", "schema.*", "admin.*"]), max_size=3),
    st.lists(PATTERNS, max_size=3),
    st.lists(st.sampled_from(["sales", "Ops"]), max_size=2),
    st.sampled_from(list(ACTIONS)),
    st.sampled_from([None, "aggregate:order:1", "aggregate:order:12", "aggregate:orders:1", "aggregate:user:1"]),
    st.sampled_from([None, "sales", "ops", "other"]),
)
def test_an_independent_model(
    actions: list[str], resources: list[str], tenants: list[str], action: str, resource: str | None, domain: str | None
) -> None:
    claims = replace(CLAIMS, actions=tuple(actions), resources=tuple(resources), tenants=tuple(tenants))
    assert allows(claims, action, resource, domain) == grants(claims, action, resource, domain)


@given(st.text(alphabet="ab*?.:", max_size=8), st.text(alphabet="ab.:", max_size=10))
def test_patterns(pattern: str, text: str) -> None:
    assert matches(pattern, text) == (pattern == "*.*" or fnmatch.fnmatchcase(text, pattern))


def test_patterns_take_bounded_time() -> None:
    assert not matches("*a" * 120 + "b", "a" * 250)


def test_requiring() -> None:
    require(CLAIMS, "aggregate.append", "aggregate:order:1", "sales")
    for action, resource, domain in (
        ("aggregate.create", "aggregate:order:1", "sales"),
        ("aggregate.append", "aggregate:user:1", "sales"),
        ("aggregate.append", "aggregate:order:1", "ops"),
        ("made.up", None, None),
    ):
        with pytest.raises(Denied, match="does not allow"):
            require(CLAIMS, action, resource, domain)


def test_actions() -> None:
    for text in [*ACTIONS, "*.*", "*", "aggregate.*", "tenant.*"]:
        assert check_action(text) == text
    for text in ("", "aggregate", "aggregate.", "aggregate.**", "*.read", "Aggregate.read", "aggregate.raed"):
        assert not is_action(text)
    with pytest.raises(Invalid) as caught:
        check_action("aggregate.raed")
    assert caught.value.hint == "did you mean 'aggregate.read'?"


def test_in_words() -> None:
    assert describe(CLAIMS) == [
        "may read aggregates and events",
        "may append events",
        "on aggregate:order:*",
        "in sales",
    ]
    wide = replace(CLAIMS, actions=("*",), resources=("*",), tenants=(), write_events=5, environment="production")
    assert len(describe(wide)) == len(ACTIONS) + 4
    assert describe(replace(CLAIMS, actions=()))[0] == "may do nothing"
