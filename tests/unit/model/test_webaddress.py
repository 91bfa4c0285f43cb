from __future__ import annotations

import time

import pytest

from dbx.model.webaddress import is_email, is_url

_EMAILS = [
    "user@example.com", "email@[127.0.0.1]", "email@127.0.0.1", "example@valid-----hyphens.com", "a+b.c@x.cz",
    "!#$%&'*+/=?^_`{|}~-@x.cz", "user@bücher.example", "user@例え.テスト", "email@[2001:db8::1]", "a@b.c1",
    "a" * 64 + "@x.cz",
]  # fmt: skip
_NO_EMAILS = [
    "not-an-email", "abc@bar", "a @x.cz", "abc@.com", "something@@somewhere.com", '"q"@x.com', "email@[127.0.0.256]",
    "example@-invalid.com", "example@invalid-.com", "a@x.com.", "a@x.com\n", "a@x_y.com", "@x.com", "a@", "", " a@x.cz",
    "é@x.cz", "a@x..cz", "a" * 65 + "@x.cz", f"a@{'b' * 64}.cz", f"a@{'b.' * 130}cz", "email@[127.0.0.1",
    "email@[fe80::1%eth0]", "a@bü_cher.example", "a@x.cz\0",
]  # fmt: skip
_URLS = [
    "https://google.com", "http://localhost:80", "ftp://localhost:80", "mailto:x", "javascript:alert(1)", "HTTPS://A.B",
    "http://a.b/c?d#e", "http://user:pass@a.b:8080/", "http://[::1]:80/", "http://127.0.0.1", "http://0x7f.1/",
    "https:google.com", "urn:isbn:0451450523", "file:///etc/passwd", "data:,x", "ws://x", "http://a.b/c d",
    "http://bücher.example/", "foo://", "redis://h:6379/0", "http://a..b", "http://a%2eb/", "file://C:/x", "http://a:",
    "postgres://u@h/db", "https://example.com:00080/",
]  # fmt: skip
_NO_URLS = [
    "http", "", "//a.b", "/x", "a.b", "http://", "http:///", "http://a b", "https://[::1", "http://a:99999", "http://a:x",
    "http://[::g]/", "http://1.2.3.256", "http://1.2.3.4.5", "http://a<b", "http://@", "http://:80", " http://a.b",
    "http://a.b ", "http://a.b\n", "1http://a.b", "ht_tp://a.b", "foo://:80", "foo://u@", "foo://a b/", "http://a%/",
    "http://a%00b/", "http://[::1]x/", "http://[1.2.3.4]/", "://a.b", "http://0xg.1/x" + "\x7f",
]  # fmt: skip


@pytest.mark.parametrize("text", _EMAILS)
def test_emails(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize("text", _NO_EMAILS)
def test_what_is_no_email(text: str) -> None:
    assert not is_email(text)


@pytest.mark.parametrize("text", _URLS)
def test_urls(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", _NO_URLS)
def test_what_is_no_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize("piece", ["a", "a.", "1.", "-", "@", "é", "[", ":", "%41", "0x", "http://"])
def test_long_texts_take_linear_time(piece: str) -> None:
    for text in (piece * 40_000, f"a@{piece * 40_000}", f"http://{piece * 40_000}", f"{piece * 40_000}@x.cz"):
        start = time.process_time()
        is_email(text)
        is_url(text)
        assert time.process_time() - start < 2
