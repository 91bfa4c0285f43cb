"""Addresses of remotes: what they may be, and that no secret is ever kept in one."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.address import Address, parse_address, shown


@pytest.mark.parametrize(
    ("text", "scheme", "domain", "location"),
    [
        ("../other", "path", None, "../other"),
        ("/srv/dbx#orders", "path", "orders", "/srv/dbx"),
        ("./a:b/c", "path", None, "./a:b/c"),
        ("http://h", "http", None, "http://h"),
        ("https://h:8080/a/b", "https", None, "https://h:8080/a/b"),
        ("http://[::1]:8080/x", "http", None, "http://[::1]:8080/x"),
        ("ssh://jane@h/srv/dbx#orders", "ssh", "orders", "ssh://jane@h/srv/dbx"),
    ],
)
def test_addresses(text: str, scheme: str, domain: str | None, location: str) -> None:
    found = parse_address(text)
    assert found == Address(text, scheme, domain)
    assert found.location == location


@pytest.mark.parametrize(
    "text",
    [
        "", " x", "x ", "a\nb", "a\0b", "-x", "x" * 3000, "x#..", "x#A", "file:///x", "data:x", "javascript:x", "ftp://h/x",
        "http:/h", "http://", "http://-h/x", "http://a b/x", "http://h:0/x", "http://h:70000/x", "http://h/x?a=b",
        "http://canary@h/x", "http://u:canary@h/x", "https://:canary@h", "ssh://u:canary@h/x", "ssh://-oProxyCommand=x/y",
        "ssh://-x@h/y", "http://h/x?token=canary", "http://u:can/canary@h/x",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_address(text)
    assert "canary" not in f"{refused.value.message} {refused.value.hint}"


def test_secrets_are_not_shown() -> None:
    for text in ("http://u:canary@h/x", "http://u:can/canary@h/x", "http://u:c@canary@h/x", "http://canary@h/x"):
        assert shown(text) == "http://h/x"
    assert shown("http://h/x?token=canary") == "http://h/x?…"
