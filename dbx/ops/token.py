"""Issue tokens, look at them, revoke and replace them, and ask what they may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Denied
from dbx.model import token as tokens
from dbx.repo.security import tokens as ledger
from dbx.repo.security.uses import count_uses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.model.token import Claims
    from dbx.ops.session import Session
    from dbx.repo.security.tokens import Fresh, Held, Wanted


class Explained(NamedTuple):
    """A token in words: `may` are sentences; `reason` says why it is refused now, None while it is good."""

    held: Held
    status: str
    may: list[str]
    reason: str | None


class Revocation(NamedTuple):
    """What `token revoke` did; `changed` is False for a token that was revoked before."""

    token_id: str
    reason: str
    revoked_at: int
    changed: bool


def generate_token(session: Session, wanted: Wanted) -> Fresh:
    """Issue a token. The first one makes the signing key. Raises Invalid; Denied for more than the issuer may do."""
    ledger.check(wanted)
    access = session.repository.access
    if access is not None:
        access.require_all("admin.token")
        # Nobody hands out what he has not got.
        _refuse_wider(access.claims, wanted)
    return ledger.generate(session.repository, wanted, session.actor)


def list_tokens(session: Session) -> list[tuple[Held, str]]:
    """(token, active, revoked or expired) of every token, oldest first."""
    now_s = session.repository.clock() // 1_000_000
    return [(held, held.status(now_s)) for held in ledger.list_tokens(session.repository)]


def show_token(session: Session, text: str) -> Explained:
    """What a token, or the token of an id, may do. Raises NotFound; Denied for a forged one."""
    held = ledger.find(session.repository, text)
    now_s = session.repository.clock() // 1_000_000
    reason = None
    try:
        ledger.check_active(held, now_s)
    except Denied as error:
        reason = error.message
    return Explained(held, held.status(now_s), tokens.describe(held.claims), reason)


def revoke_token(session: Session, text: str, reason: str) -> Revocation:
    """Nobody opens anything with it any more. Raises NotFound; Denied for a forged one."""
    session.require("admin.token", domain=False)
    held, changed = ledger.revoke(session.repository, text, reason, session.actor)
    assert held.revoked is not None  # noqa: S101 - it was just revoked
    return Revocation(held.claims.token_id, held.revoked.reason, held.revoked.at, changed)


def refresh_token(session: Session, text: str, ttl_s: int | None) -> Fresh:
    """Replace a token by one with the same rights. Raises Denied for one that is revoked or has expired."""
    session.require("admin.token", domain=False)
    held = ledger.find(session.repository, text)
    used = 0 if held.claims.write_events is None else count_uses(session.repository, held.claims.token_id)
    return ledger.refresh(session.repository, text, session.actor, ttl_s=ttl_s, used=used)


def bootstrap_token(session: Session, ttl_s: int | None, *, persist: bool, reuse: bool) -> tuple[Fresh, bool]:
    """(a token that may do everything, whether it is new)."""
    access = session.repository.access
    if access is not None:
        access.require_all("admin.token")
        _refuse_wider(access.claims, ledger.BOOTSTRAP)
    return ledger.bootstrap(session.repository, session.actor, ttl_s=ttl_s, persist=persist, reuse=reuse)


def cli_token_path(session: Session) -> str:
    """Where `bootstrap` stores its token."""
    return session.repository.directory.path_of(ledger.CLI_TOKEN)


def check_token(session: Session, text: str, actions: Sequence[str], resources: Sequence[str]) -> Held:
    """A token that is good now and grants every action on every resource, in the session's domain if that was named.

    Raises Denied, Invalid for an action that there is not.
    """
    for action in actions:
        tokens.check_action(action)
    held = ledger.authenticate(session.repository, text)
    for action in actions:
        for resource in resources or (None,):
            tokens.require(held.claims, action, resource, session.domain_name)
    return held


def _refuse_wider(claims: Claims, wanted: Wanted) -> None:
    """Raises Denied unless a token that is to be issued allows no more than its issuer's."""
    asked = set(wanted.actions) - set(claims.actions)
    if not asked or {tokens.ANYTHING, "*"} & set(claims.actions):
        asked = set()
    named = {each.lower() for each in claims.tenants}
    beyond = bool(named) and not {each.lower() for each in wanted.tenants} <= named
    unlimited = claims.write_events is not None or claims.environment not in (None, wanted.environment)
    if beyond or unlimited or (not wanted.tenants and named) or not all(_grants(claims, each) for each in asked):
        what = "a token cannot issue one that allows more than itself"
        raise Denied(what, details={"reason": "not-allowed", "action": "admin.token"})


def _grants(claims: Claims, action: str) -> bool:
    kind, _, rest = action.partition(".")
    if rest == "*":
        return f"{kind}.*" in claims.actions
    return action in tokens.ACTIONS and tokens.allows(claims, action)
