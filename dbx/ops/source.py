"""How a command names a domain and a commit in it."""

from __future__ import annotations

from dbx.errors import Invalid
from dbx.model import names


def parse_source(text: str) -> tuple[str | None, str | None]:
    """(domain, ref) of `DOMAIN`, `DOMAIN@REF` or `@REF`; the domain None is the checked-out one. Raises Invalid."""
    name, at, ref = text.partition("@")
    if at and not ref:
        raise Invalid(f"{names.quote(text)} names no commit behind the '@'", hint="write DOMAIN, or DOMAIN@HEAD~2")
    if not name:
        return None, ref or None
    try:
        return names.check_domain_name(name), ref or None
    except Invalid as error:
        hint = f"for a commit of the checked-out domain write '@{name}'" if not at else error.hint
        raise Invalid(error.message, hint=hint, details=error.details) from None
