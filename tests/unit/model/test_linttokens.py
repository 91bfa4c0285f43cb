"""Tokens that allow too much or last too long are found; others are not."""

from __future__ import annotations

import pytest

from dbx.model.lintfacts import Facts, TokenFacts
from dbx.model.lintschema import lint

GOOD = TokenFacts("t", "ops:jane", 3600, ("aggregate.read",), True)
DAY_S = 86_400


@pytest.mark.parametrize(
    ("token", "rules"),
    [
        (GOOD, []),
        (GOOD._replace(ttl_s=90 * DAY_S), []),
        (GOOD._replace(ttl_s=91 * DAY_S), ["long-token"]),
        (GOOD._replace(ttl_s=None), ["long-token"]),
        (GOOD._replace(actions=("*.*",), bounded=False), []),
        (GOOD._replace(actions=("*.*",), bounded=False, ttl_s=2 * DAY_S), ["wide-token"]),
        (GOOD._replace(actions=("*",), bounded=False, ttl_s=None), ["long-token", "wide-token"]),
        (GOOD._replace(actions=("*.*",), bounded=True, ttl_s=2 * DAY_S), []),
        (GOOD._replace(expired_at=1), ["expired-token"]),
        (GOOD._replace(expired_at=1, ttl_s=91 * DAY_S, actions=("*",), bounded=False), ["expired-token"]),
        (GOOD._replace(actions=("aggregate.*",), bounded=False, ttl_s=2 * DAY_S), []),
    ],
)
def test_what_is_found(token: TokenFacts, rules: list[str]) -> None:
    found = lint(Facts("shop", 0, (), tokens=[token]))
    assert [one.rule for one in found] == rules
    assert all(one.where == "t" and "revoke t" in one.command for one in found)
