"""How a command names a domain and a commit in it."""

from __future__ import annotations

from dbx.errors import Invalid
from dbx.model import names
from dbx.repo.reading.revision import is_moment


def parse_source(text: str) -> tuple[str | None, str | None]:
    """(domain, ref) of `DOMAIN`, `DOMAIN@REF` or `@REF`; the domain None is the checked-out one. Raises Invalid.

    A date or a time behind the '@' is a ref of its own, `@2026-11-01`, so that the '@' need not be written twice.
    """
    name, at, ref = text.partition("@")
    if at and not ref:
        raise Invalid(f"{names.quote(text)} names no commit behind the '@'", hint="write DOMAIN, or DOMAIN@HEAD~2")
    if is_moment(ref):
        ref = f"@{ref}"
    return (names.check_domain_name(name) if name else None), ref or None
