"""The rules of lint that are about tokens: those that allow more, or last longer, than anybody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.lint import Finding
from dbx.model.lintfacts import DAY_US
from dbx.model.time import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.lintfacts import Facts, TokenFacts

LONG_DAYS = 90
SHORT_S = 86_400
"""A token that may do everything, and lasts no longer than that, is for a ceremony."""


def tokens_for_ever(facts: Facts) -> Iterator[Finding]:
    """Good tokens without an end, or with one that is far away."""
    for token in _good(facts):
        if token.ttl_s is None:
            what = f"the token of '{token.subject}' never ends"
        elif token.ttl_s * 1_000_000 > LONG_DAYS * DAY_US:
            what = f"the token of '{token.subject}' lasts {token.ttl_s * 1_000_000 // DAY_US} days"
        else:
            continue
        why = "whoever gets hold of it may use it until somebody notices; one that ends, and is refreshed, is lost once"
        yield Finding("long-token", token.token_id, what, why, f"dbx token revoke {token.token_id}")


def tokens_for_everything(facts: Facts) -> Iterator[Finding]:
    """Good tokens that allow every action on everything, for longer than a day."""
    for token in _good(facts):
        lasts = token.ttl_s is None or token.ttl_s > SHORT_S
        if lasts and not token.bounded and {"*", "*.*"} & set(token.actions):
            yield Finding(
                "wide-token",
                token.token_id,
                f"the token of '{token.subject}' allows everything, everywhere",
                "each holder should touch only what the work needs: name actions, resources and domains",
                f"dbx token revoke {token.token_id}",
            )


def expired_tokens(facts: Facts) -> Iterator[Finding]:
    """Tokens that have expired, and that nobody has revoked since."""
    for token in facts.tokens:
        if token.expired_at is not None:
            yield Finding(
                "expired-token",
                token.token_id,
                f"the token of '{token.subject}' expired at {format_time(token.expired_at * 1_000_000)}",
                "whoever still has it is refused; revoked, it says that nobody needs it any more",
                f"dbx token revoke {token.token_id}",
            )


def _good(facts: Facts) -> Iterator[TokenFacts]:
    return (token for token in facts.tokens if token.expired_at is None)


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (tokens_for_ever, tokens_for_everything, expired_tokens)
