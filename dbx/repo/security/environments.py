"""Environments: a credential of one is refused in another, so that a test never writes to production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Denied
from dbx.formats.token import parse_token
from dbx.repo.config import get_domain_value

if TYPE_CHECKING:
    from dbx.repo.domain import Domain

SETTING = "env"


def check_environment(domain: Domain, environment: str, what: str) -> None:
    """Raises Denied unless a domain is of an environment; `what` is for that one."""
    here = get_domain_value(domain, SETTING)
    if here != environment:
        is_of = "no environment" if here is None else f"the environment '{here}'"
        raise _refusal(f"{what} is for the environment '{environment}', and domain '{domain.name}' is of {is_of}")


def check_remote(domain: Domain, remote: str, environment: str, token: str | None) -> None:
    """Raises Denied where a remote, our domain, or the token for the remote are of different environments.

    What a token says is looked at, not believed: the remote's own server decides.
    """
    check_environment(domain, environment, f"the remote '{remote}'")
    said = None if token is None else _said(token)
    if said is not None and said != environment:
        raise _refusal(f"the token is for the environment '{said}', and the remote '{remote}' is of '{environment}'")


def _said(token: str) -> str | None:
    try:
        found = parse_token(token).claims.get("env")
    except Denied:
        return None  # it may be a secret of another kind, for a server in between
    return found if isinstance(found, str) else None


def _refusal(what: str) -> Denied:
    return Denied(what, hint="if that is meant, add '--cross-env'", details={"reason": "environment"})
