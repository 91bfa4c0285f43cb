"""E-mail addresses (HTML Living Standard §4.10.5.1.5, RFC 5321 §4.5.3.1) and URLs (WHATWG URL Standard §4.4)."""

from __future__ import annotations

import re

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_match_local = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII).fullmatch
_match_domain = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII).fullmatch
_match_literal = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\]", re.ASCII).fullmatch
_MAX_DOMAIN_CHARS = 255
# All of it at once, short enough that the domain's limit is far away.
_match_short = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+", re.ASCII).fullmatch
_SHORT_CHARS = 200

_match_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII).match
# What most addresses look like; the rest takes the long way.
_match_common = re.compile(
    r"https?://(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*(?::[0-9]{1,4})?(?:[/?#][!-~]*)?", re.ASCII
).fullmatch
_find_control = re.compile(r"[\x00-\x1f\x7f]").search
_SPECIAL = frozenset({"http", "https", "ws", "wss", "ftp"})
_find_authority_end = re.compile(r"[/?#]").search
_find_special_end = re.compile(r"[/\\?#]").search
# "Forbidden host code points", and for names also "%" and what the domain-to-ASCII step refuses.
_find_forbidden_host = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|\x7f]").search
_match_port = re.compile(r"[0-9]*", re.ASCII).fullmatch
_match_number = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+", re.ASCII).fullmatch


def is_email(text: str) -> bool:
    """Whether `text` is `local@domain`: no quoted local part, a domain of two labels or more, or `[IP address]`.

    Raises TypeError for what is no text.
    """
    if _match_short(text) and len(text) <= _SHORT_CHARS:
        return True
    local, at, domain = text.rpartition("@")
    if not at or not _match_local(local) or len(domain) > _MAX_DOMAIN_CHARS:
        return False
    if _match_domain(domain):
        return True
    if not domain.isascii():
        ascii_domain = _to_ascii(domain)
        return ascii_domain is not None and _match_domain(ascii_domain) is not None
    literal = _match_literal(domain)
    return literal is not None and _is_ip_address(literal[1])


def is_url(text: str) -> bool:
    """Whether `text` is an absolute URL of any scheme. Blanks around it and control characters are not cut: refused."""
    if _match_common(text):
        return True
    scheme = _match_scheme(text)
    if not scheme or _find_control(text) or text != text.strip():
        return False
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name in _SPECIAL:
        return _is_special(rest.lstrip("/\\"))
    if name == "file":
        return _is_file(rest)
    if rest.startswith("//"):
        end = _find_authority_end(rest, 2)
        return _is_authority(rest[2 : end.start() if end else None], is_special=False)
    return True


def _is_special(rest: str) -> bool:
    end = _find_special_end(rest)
    return _is_authority(rest[: end.start() if end else None], is_special=True)


def _is_file(rest: str) -> bool:
    if not rest.startswith(("//", "\\\\")):
        return True
    end = _find_special_end(rest, 2)
    host = rest[2 : end.start() if end else None]
    return not host or re.fullmatch(r"[A-Za-z][:|]", host, re.ASCII) is not None or _is_host(host)


def _is_authority(authority: str, *, is_special: bool) -> bool:
    credentials, _, address = authority.rpartition("@")
    if address.startswith("["):
        host, bracket, port = address.partition("]")
        if not bracket or (port and not port.startswith(":")):
            return False
        host, port = host + "]", port[1:]
    else:
        host, _, port = address.partition(":")
    if not _match_port(port) or len(port.lstrip("0")) > 5 or int(port or 0) > 65535:
        return False
    if not host:
        return not is_special and not credentials and not port
    if is_special or host.startswith("["):
        return _is_host(host)
    return _find_forbidden_host(host) is None


def _is_host(host: str) -> bool:
    """A host of a special scheme: a name, an IPv4 address in any of its spellings, an IPv6 address in brackets."""
    if host.startswith("["):
        return ":" in host and host.endswith("]") and _is_ip_address(host[1:-1])
    if "%" in host:
        from urllib.parse import unquote_to_bytes

        try:
            host = unquote_to_bytes(host).decode()
        except UnicodeDecodeError:
            return False
    if not host.isascii():
        ascii_host = _to_ascii(host)
        if ascii_host is None:
            return False
        host = ascii_host
    if not host or "%" in host or _find_forbidden_host(host):
        return False
    labels = host.removesuffix(".").split(".")
    return _is_ipv4(labels) if _match_number(labels[-1]) else True


def _is_ipv4(labels: list[str]) -> bool:
    if len(labels) > 4:
        return False
    numbers = []
    for label in labels:
        if not _match_number(label) or len(label) > 16:
            return False
        base = 16 if label[1:2] in ("x", "X") else 8 if len(label) > 1 and label[0] == "0" else 10
        try:
            numbers.append(int(label[2:] or "0", 16) if base == 16 else int(label, base))
        except ValueError:
            return False
    return max(numbers[:-1], default=0) <= 255 and numbers[-1] < 256 ** (5 - len(numbers))


def _is_ip_address(text: str) -> bool:
    if "%" in text:
        return False
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _to_ascii(domain: str) -> str | None:
    """The domain in ASCII (RFC 3490, Python's own codec), or None where it cannot be."""
    if len(domain) > _MAX_DOMAIN_CHARS:
        return None
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
