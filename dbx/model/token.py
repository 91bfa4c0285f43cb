"""What a token says and what it lets its holder do. Pure: times, keys and revocations are arguments.

The claims are those of EventDBX's tokens. Exactly these may be in a token; one with another claim, another action or a
value of another kind is refused, because a reader that skips what it does not know grants what it was not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbx.crypto import sign
from dbx.errors import Denied, Invalid
from dbx.formats.token import encode_signed_part, join_token, parse_token

ISSUER = "dbx://self"
AUDIENCE = "dbx-clients"
MAX_SKEW_S = 60
"""How far the clocks of issuer and verifier may be apart (RFC 7519 §4.1.4 asks for a small leeway)."""
MAX_KEEP_ALIVE_S = 30 * 86_400
"""How long after it was issued a token that is kept alive ends at the latest, or its own life if that is longer."""

ANYTHING = "*.*"
ACTIONS: Mapping[str, str] = {
    "aggregate.read": "read aggregates and events",
    "aggregate.create": "create aggregates (needs aggregate.append as well)",
    "aggregate.append": "append events",
    "aggregate.archive": "archive and restore aggregates",
    "schema.read": "read schemas",
    "schema.write": "change and publish schemas",
    "domain.pull": "fetch, pull and clone domains",
    "domain.push": "push to domains",
    "admin.config": "change settings, restriction, remotes and plugins",
    "admin.domain": "create, rename, merge and delete domains; redact bodies",
    "admin.key": "make, rotate and export keys",
    "admin.token": "issue and revoke tokens",
    "tenant.manage": "nothing; accepted because EventDBX issues it",
}
"""Every action and what it is, in words."""
_ROOMS = frozenset(action.partition(".")[0] for action in ACTIONS)

_MAX_LIST = 64
_MAX_TEXT_CHARS = 256
_MAX_TIME_S = 1 << 53
_KINDS: Mapping[str, type] = {
    "iss": str, "aud": str, "sub": str, "jti": str, "iat": int, "exp": int, "nbf": int, "group": str, "user": str,
    "actions": list, "resources": list, "issued_by": str, "limits": dict, "tenants": list, "env": str,
}  # fmt: skip
_OPTIONAL = frozenset(("exp", "nbf", "env"))
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a token. Times are POSIX seconds.

    `expires_at` None: never. `write_events` None: no limit on events written. `tenants` are domains, none meaning all;
    no `resources` means all; no `actions` means none.
    """

    token_id: str
    subject: str
    group: str
    user: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    tenants: tuple[str, ...]
    issued_by: str
    issued_at: int
    expires_at: int | None = None
    not_before: int | None = None
    write_events: int | None = None
    keep_alive: bool = False
    environment: str | None = None
    issuer: str = ISSUER
    audience: str = AUDIENCE

    @property
    def ttl_s(self) -> int | None:
        """How long it was issued for, None for ever."""
        return None if self.expires_at is None else self.expires_at - self.issued_at


def encode_claims(claims: Claims) -> dict[str, Any]:
    """The claims as they stand in a token."""
    found: dict[str, Any] = {
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "jti": claims.token_id,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "nbf": claims.not_before,
        "group": claims.group,
        "user": claims.user,
        "actions": list(claims.actions),
        "resources": list(claims.resources),
        "issued_by": claims.issued_by,
        "limits": {"keep_alive": claims.keep_alive, "write_events": claims.write_events},
        "tenants": list(claims.tenants),
        "env": claims.environment,
    }
    return {name: value for name, value in found.items() if value is not None}


def decode_claims(found: Mapping[str, Any]) -> Claims:
    """Claims from a token's. Raises Denied unless each is known, there, and of its kind."""
    for name in found:
        if name not in _KINDS:
            raise _refusal("it has a claim that dbx does not know", "claims")
    for name, kind in _KINDS.items():
        if name not in found:
            if name in _OPTIONAL:
                continue
            raise _refusal(f"it lacks the claim '{name}'", "claims")
        if type(found[name]) is not kind or not _is_bounded(found[name]):
            raise _refusal(f"its claim '{name}' is not what it must be", "claims")
    limits = found["limits"]
    keep_alive, write_events = limits.get("keep_alive"), limits.get("write_events")
    if set(limits) != {"keep_alive", "write_events"} or type(keep_alive) is not bool or not _is_limit(write_events):
        raise _refusal("its claim 'limits' is not what it must be", "claims")
    if not _UUID.fullmatch(found["jti"]) or not all(map(is_action, found["actions"])):
        raise _refusal("it has an action that dbx does not know, or no id", "claims")
    return Claims(
        token_id=found["jti"],
        subject=found["sub"],
        group=found["group"],
        user=found["user"],
        actions=tuple(found["actions"]),
        resources=tuple(found["resources"]),
        tenants=tuple(found["tenants"]),
        issued_by=found["issued_by"],
        issued_at=found["iat"],
        expires_at=found.get("exp"),
        not_before=found.get("nbf"),
        write_events=write_events,
        keep_alive=keep_alive,
        environment=found.get("env"),
        issuer=found["iss"],
        audience=found["aud"],
    )


def is_action(text: str) -> bool:
    """Whether a token may name this action: one of ACTIONS, all of one kind (`schema.*`), or all (`*.*`, `*`)."""
    room, _, rest = text.partition(".")
    return text in ACTIONS or text in (ANYTHING, "*") or (room in _ROOMS and rest == "*")


def check_action(text: str) -> str:
    """The action itself. Raises Invalid with the nearest that there is."""
    if is_action(text):
        return text
    from difflib import get_close_matches

    near = get_close_matches(text, ACTIONS, n=1)
    known = ", ".join(ACTIONS)
    raise Invalid(
        f"there is no action '{text[:_MAX_TEXT_CHARS]}'",
        hint=f"did you mean '{near[0]}'?" if near else f"actions are {known}, '<kind>.*' and '*.*'",
    )


def issue(claims: Claims, key_id: str, seed: bytes) -> str:
    """The token, signed with the Ed25519 key of `seed`."""
    signed = encode_signed_part(key_id, encode_claims(claims))
    return join_token(signed, sign.sign(seed, signed.encode("ascii")))


def read_token(text: str, keys: Mapping[str, bytes], *, issuer: str = ISSUER, audience: str = AUDIENCE) -> Claims:
    """The claims of a token that one of `keys` (key id to public key) signed, whether it is valid now or not.

    Raises Denied, with `reason` malformed, unknown-key, forged, claims, issuer or audience in its details.
    """
    compact = parse_token(text)
    public = keys.get(compact.key_id)
    if public is None:
        raise _refusal("it was signed by a key that this workspace does not know", "unknown-key")
    if not sign.verify(public, compact.signed, compact.signature):
        raise _refusal("its signature does not hold", "forged")
    claims = decode_claims(compact.claims)
    if claims.issuer != issuer:
        raise _refusal("it was issued by somebody else", "issuer")
    if claims.audience != audience:
        raise _refusal("it was issued for somebody else", "audience")
    return claims


def check_time(claims: Claims, now_s: int, *, expires_at: int | None = None, skew_s: int = 30) -> None:
    """Raises Denied unless the token is valid at `now_s` (POSIX); `expires_at` is a later end that use has given it."""
    skew_s = max(0, min(skew_s, MAX_SKEW_S))
    end = claims.expires_at
    if end is not None and expires_at is not None:
        end = max(end, expires_at)
    if end is not None and now_s >= end + skew_s:
        raise _refusal("it has expired", "expired", "ask for a new one, or 'dbx token refresh' before it ends")
    if claims.not_before is not None and now_s < claims.not_before - skew_s:
        raise _refusal("it is not valid yet", "not-yet-valid")
    if now_s < claims.issued_at - skew_s:
        raise _refusal("it was issued in the future; check the clock", "not-yet-valid")


def kept_alive_until(claims: Claims, now_s: int) -> int | None:
    """The end of a token that is used now: its life counted from now, up to the maximum; None if it has no such right.

    The maximum is MAX_KEEP_ALIVE_S after it was issued, or its own end where that is later.
    """
    if not claims.keep_alive or claims.ttl_s is None or claims.expires_at is None:
        return None
    return max(claims.expires_at, min(now_s + claims.ttl_s, claims.issued_at + MAX_KEEP_ALIVE_S))


def allows(claims: Claims, action: str, resource: str | None = None, domain: str | None = None) -> bool:
    """Whether the token grants an action on a resource (`aggregate:<type>:<id>`) in a domain; None leaves that open.

    Creating an aggregate needs aggregate.append as well. Pull and push are checked here as actions of the domain; what
    a push brings is checked event by event by its receiver.
    """
    if action not in ACTIONS:
        return False
    needed = ("aggregate.create", "aggregate.append") if action == "aggregate.create" else (action,)
    if not all(any(_matches_action(granted, each) for granted in claims.actions) for each in needed):
        return False
    if domain is not None and claims.tenants and domain.lower() not in (each.lower() for each in claims.tenants):
        return False
    return resource is None or not claims.resources or any(matches(each, resource) for each in claims.resources)


def require(claims: Claims, action: str, resource: str | None = None, domain: str | None = None) -> None:
    """Raises Denied unless the token grants it."""
    if allows(claims, action, resource, domain):
        return
    where = f" on '{resource}'" if resource is not None else ""
    within = f" in domain '{domain}'" if domain is not None else ""
    raise Denied(
        f"the token does not allow '{action}'{where}{within}",
        hint="'dbx token show' says what a token may do",
        details={"reason": "not-allowed", "action": action},
    )


def describe(claims: Claims) -> list[str]:
    """What the token may do, in words, a sentence each."""
    granted = [text for action, text in ACTIONS.items() if allows(claims, action)]
    on = [] if not claims.resources else [each for each in claims.resources if each not in ("*", ANYTHING)]
    lines = [f"may {text}" for text in granted] or ["may do nothing"]
    lines.append("on " + (", ".join(on) if on else "every aggregate"))
    lines.append("in " + (", ".join(claims.tenants) if claims.tenants else "every domain"))
    if claims.write_events is not None:
        lines.append(f"for at most {claims.write_events} events written")
    if claims.environment is not None:
        lines.append(f"where the environment is '{claims.environment}'")
    return lines


def _matches_action(granted: str, action: str) -> bool:
    return granted in (action, ANYTHING, "*") or granted == action.partition(".")[0] + ".*"


def matches(pattern: str, text: str) -> bool:
    """Whether a resource pattern takes the whole text: `*` is any run of characters, `?` one, `*.*` everything.

    Takes at most len(pattern) * len(text) steps, whatever the pattern: on a mismatch only the last star gives way.
    """
    if pattern == ANYTHING:
        return True
    if "?" not in pattern and "*" not in pattern[:-1]:
        return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
    at = in_text = 0
    star = after_star = -1
    while in_text < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, after_star = at, in_text
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[in_text]):
            at += 1
            in_text += 1
        elif star >= 0:
            after_star += 1
            at, in_text = star + 1, after_star
        else:
            return False
    return not pattern[at:].strip("*")


def _is_bounded(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _MAX_TEXT_CHARS
    if isinstance(value, int):
        return 0 <= value < _MAX_TIME_S
    if isinstance(value, list):
        return len(value) <= _MAX_LIST and all(type(each) is str and _is_bounded(each) for each in value)
    return isinstance(value, dict)


def _is_limit(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < _MAX_TIME_S)


def _refusal(why: str, reason: str, hint: str | None = None) -> Denied:
    return Denied(f"the token was refused: {why}", hint=hint, details={"reason": reason})
