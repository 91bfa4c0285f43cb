"""Refs, tags, HEAD: short files with one spelling each."""

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import MAX_INTEGER
from dbx.formats.refs import (
    HEAD,
    Ref,
    check_head,
    check_tag_name,
    decode_ref,
    decode_tag,
    encode_ref,
    encode_tag,
)

ID, MANIFEST = "0a" * 32, "0b" * 32
REF = f"commit {ID} 512\nmanifest {MANIFEST}\n".encode()


def test_ref_has_the_spelling_of_the_format_page() -> None:
    assert encode_ref(Ref(ID, 512, MANIFEST)) == REF
    assert decode_ref(REF) == Ref(ID, 512, MANIFEST)


def test_tag_is_the_first_line_of_a_ref() -> None:
    assert encode_tag(ID, 0) == f"commit {ID} 0\n".encode()
    assert decode_tag(f"commit {ID} 0\n".encode()) == (ID, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("512", "0512"),
        ("512", "-512"),
        ("512", "٥"),
        ("512", str(MAX_INTEGER + 1)),
        (ID, ID.upper()),
        (ID, ID[2:]),
        ("\n", "\r\n"),
        ("\n", ""),
        ("commit ", "commit  "),
        ("commit", "object"),
        ("commit", "\ufeffcommit"),
    ],
)
def test_any_other_spelling_is_refused(old: str, new: str) -> None:
    text = REF.decode()
    assert old in text
    with pytest.raises(Corrupt):
        decode_ref(text.replace(old, new, 1).encode())
    with pytest.raises(Corrupt):
        decode_tag(text.split("\n")[0].replace(old, new, 1).encode() + (b"" if "\n" in old else b"\n"))


@pytest.mark.parametrize("data", [b"", b"\n", REF + b"\n", REF + REF, b"\xff" * 80])
def test_what_is_no_ref_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_ref(data)
    with pytest.raises(Corrupt):
        decode_tag(data)


def test_head_names_the_one_branch() -> None:
    check_head(HEAD)
    assert HEAD == b"ref: refs/heads/main\n"
    for other in (b"", HEAD[:-1], b"ref: refs/heads/dev\n", HEAD + b"\n"):
        with pytest.raises(Corrupt):
            check_head(other)


@pytest.mark.parametrize("name", ["v1", "0", "2026-q3.final_2", "a" * 100, "a."])
def test_tag_names_pass(name: str) -> None:
    assert check_tag_name(name) == name


@pytest.mark.parametrize("name", ["", "V1", ".a", "-a", "_a", "a..b", "a/b", "a b", "a\n", "é", "a" * 101, "\ud800"])
def test_other_tag_names_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_tag_name(name)
    assert caught.value.message.isprintable()
