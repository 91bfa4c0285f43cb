"""Where a remote is, as people write it: a path, or a URL of a scheme that is known. No secrets in it, ever.

../other, /srv/dbx#orders          another repository's directory, and which of its domains
http://host:8080/orders, https://…  a server
ssh://user@host/srv/dbx#orders      a repository on a machine that ssh reaches
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from dbx.errors import Invalid
from dbx.model.names import check_domain_name, quote

MAX_CHARS = 2048
_HINT = "write a path, or a URL that begins with http://, https:// or ssh://"
SCHEMES = frozenset({"http", "https", "ssh", "s3", "static+http", "static+https"})
_match_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?").match
_match_host = re.compile(r"\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?").fullmatch
_match_user = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*").fullmatch


class Address(NamedTuple):
    """`text` is what is stored and shown; `scheme` is "path" for a path; `domain` what stands behind a `#`, or None."""

    text: str
    scheme: str
    domain: str | None

    @property
    def location(self) -> str:
        """The address without the domain."""
        return self.text if self.domain is None else self.text[: -len(self.domain) - 1]


def parse_address(text: str) -> Address:
    """Check an address. Raises Invalid: an unknown scheme, a secret in it, a host or a path that is none."""
    if not text or len(text) > MAX_CHARS or not text.isprintable() or text != text.strip():
        raise Invalid("a remote's address is a path or a URL, without blanks around it", hint=_HINT)
    if text.startswith("-"):
        raise Invalid(f"{quote(text)} is no address of a remote: it begins with '-'", hint="write './-…' for a path")
    location, hash_sign, domain = text.rpartition("#")
    if not hash_sign:
        location, domain = text, ""
    named = check_domain_name(domain) if hash_sign else None
    found = _match_scheme(location)
    if found is None or ("://" not in location and "/" in location[: found.end()]):
        return Address(text, "path", named)
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise Invalid(f"a remote cannot be reached by '{scheme}:'", hint=_HINT)
    _check_url(location, scheme)
    return Address(text, scheme, named)


def shown(text: str) -> str:
    """An address that may hold anything, for a message: without user and password, also ones that must be escaped and
    are not, and without what stands behind a question mark."""
    return re.sub(r"\?.*", "?…", re.sub(r"//.*@", "//", text))


def _check_url(location: str, scheme: str) -> None:
    try:
        parts = urlsplit(location)
        host, port, user, password = parts.hostname, parts.port, parts.username, parts.password
    except ValueError:
        raise Invalid(f"'{shown(location)}' is not a URL", hint=_HINT) from None
    if password is not None or (user is not None and scheme != "ssh"):
        raise Invalid(
            f"'{shown(location)}' came with a user or a password in it",
            hint="leave it out, and give the token with '--token', '--token-file' or DBX_TOKEN",
        )
    if user is not None and not _match_user(user):
        raise Invalid(
            "the user in an ssh URL is letters, digits and . _ + -, and does not begin with '-'",
            hint="as in ssh://jane@host/srv/flights",
        )
    named = f"[{host}]" if host and ":" in host else host
    if not named or not _match_host(named) or port == 0:
        raise Invalid(f"'{shown(location)}' names no host", hint="as in https://host/flights or ssh://host/srv/flights")
    if parts.query or not location.lower().startswith(f"{scheme}://"):
        raise Invalid(
            f"'{shown(location)}' is not the URL of a repository",
            hint="leave out '?' and what is behind it",
        )
