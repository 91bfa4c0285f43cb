"""How tokens are given to commands, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.cli import params
from dbx.cli.text import escape
from dbx.errors import Denied, Invalid, UsageError

if TYPE_CHECKING:
    from dbx.cli.context import Invocation
    from dbx.repo.security.tokens import Held

HIDDEN = "<hidden>"


def take_token(invocation: Invocation, given: str | None, file: str | None) -> str:
    """The token that a command is about: an argument (`-` was read already), a file, or the environment's."""
    try:
        found = params.find_secret(invocation, given, file, "DBX_TOKEN")
    except Invalid as error:
        raise Denied(error.message) from None
    if not found:
        raise UsageError(
            "no token was given",
            hint="give it, or '-' to read it from standard input, or set DBX_TOKEN or DBX_TOKEN_FILE",
        )
    return found


def words(invocation: Invocation, given: tuple[str, ...], name: str) -> tuple[str, ...]:
    """What repeated options gave, else what an environment variable holds, between commas or blanks."""
    texts = given or (invocation.environment.get(name, ""),)
    return tuple(word for text in texts for word in text.replace(",", " ").split())


def token_value(held: Held, status: str, text: str | None = None) -> dict[str, Any]:
    """A token in JSON, as EventDBX has it; the token itself only where it was just issued."""
    claims = held.claims
    shown: dict[str, Any] = {} if text is None else {"token": text}
    return shown | {
        "jti": claims.token_id,
        "subject": claims.subject,
        "group": claims.group,
        "user": claims.user,
        "actions": list(claims.actions),
        "resources": list(claims.resources),
        "tenants": list(claims.tenants),
        "issued_at": _time(claims.issued_at),
        "not_before": _time(claims.not_before),
        "expires_at": _time(held.expires_at),
        "issued_by": claims.issued_by,
        "status": status,
        "limits": {"write_events": claims.write_events, "keep_alive": claims.keep_alive},
        "env": claims.environment,
        "key_id": held.key_id,
    }


def token_lines(held: Held, status: str, text: str = HIDDEN) -> list[str]:
    """A token as text: itself or that it is hidden, then what is known of it, indented."""
    claims = held.claims
    pairs: list[tuple[str, str]] = [
        ("jti", claims.token_id),
        ("subject", claims.subject),
        ("group", claims.group),
        ("user", claims.user),
        ("status", status.capitalize()),
        ("issued_by", claims.issued_by),
        ("issued_at", _time(claims.issued_at) or "-"),
        ("expires_at", _time(held.expires_at) or "never"),
        ("actions", f"[{', '.join(claims.actions)}]"),
        ("resources", f"[{', '.join(claims.resources)}]"),
        ("tenants", f"[{', '.join(claims.tenants) or 'any'}]"),
    ]
    if claims.not_before is not None:
        pairs.append(("not_before", _time(claims.not_before) or "-"))
    if claims.write_events is not None:
        pairs.append(("write_events", str(claims.write_events)))
    if claims.keep_alive:
        pairs.append(("keep_alive", "true"))
    if claims.environment is not None:
        pairs.append(("env", claims.environment))
    return [f"token={text}", *(f"  {key}={escape(value)}" for key, value in pairs)]


def _time(time_s: int | None) -> str | None:
    if time_s is None:
        return None
    from dbx.model.time import format_time

    return format_time(time_s * 1_000_000)
