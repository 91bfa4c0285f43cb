"""Signed notes and vkeys against the vectors of golang/mod and C2SP; what needs keys is in test_trust.py."""

from __future__ import annotations

import base64
import json

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats.note import (
    COSIGNATURE,
    ED25519,
    MAX_NAME_CHARS,
    MAX_NOTE_BYTES,
    Note,
    Signature,
    Vkey,
    check_key_name,
    cosigned_text,
    format_note,
    format_vkey,
    parse_note,
    parse_vkey,
    split_cosignature,
)
from tests.vectors import shared

LINE = b"\xe2\x80\x94 a " + base64.b64encode(b"1234" + b"s" * 64) + b"\n"


def vectors() -> dict:
    return json.loads(shared("vectors/extracted/signed_notes.json").read_text())


def test_vkeys_of_others() -> None:
    texts = [vectors()["sign"]["vkey"], *(key for case in vectors()["open"] for key in case["vkeys"])]
    assert len(texts) > 10
    for text in texts:
        key = parse_vkey(text)
        assert key.algorithm == ED25519
        assert format_vkey(key) == text


def test_bad_vkeys() -> None:
    for text in [*vectors()["bad_vkeys"], "a+00000000+AQ==", "x" * 300 + "+c74f20a3+AQ=="]:
        with pytest.raises(Invalid):
            parse_vkey(text)


def test_witness_keys_have_an_id_of_their_own() -> None:
    log, witness = Vkey("a", ED25519, bytes(32)), Vkey("a", COSIGNATURE, bytes(32))
    assert log.key_id != witness.key_id
    assert parse_vkey(format_vkey(witness)) == witness


def test_names() -> None:
    for name in vectors()["bad_signer_names"] + ["a\tb", "a\u2003b", "x" * (MAX_NAME_CHARS + 1), "a\nb", "\x7f"]:
        with pytest.raises(Invalid):
            check_key_name(name)
    assert check_key_name("example.com/log") == "example.com/log"


def test_notes_of_others() -> None:
    well_formed = 0
    for case in vectors()["open"]:
        data = base64.b64decode(case["note_b64"])
        try:
            note = parse_note(data)
        except Corrupt:
            assert case["expect"] == "error", case["desc"]
            continue
        well_formed += 1
        assert format_note(note) == data
    assert well_formed >= 8


def test_texts_that_cannot_be_signed() -> None:
    for text in [*vectors()["bad_texts_to_sign"], "", "a\tb\n", "a\0\n"]:
        with pytest.raises(Invalid):
            format_note(Note(text, ()))


def test_text_may_have_blank_lines() -> None:
    note = parse_note(b"a\n\nb\n\n" + LINE)
    assert note == Note("a\n\nb\n", (Signature("a", b"1234", b"s" * 64),))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a\n",
        b"a\n\n",
        b"a\n\n" + LINE[:-1],
        b"a\n\n" + LINE + b"x\n",
        b"a\n\n" + LINE.replace(b" a ", b"  "),
        b"a\n\n" + LINE.replace(b" a ", b" a+b "),
        b"a\n\n" + LINE.replace(b"\xe2\x80\x94", b"-"),
        b"a\n\n\xe2\x80\x94 a MTIzNA==\n",
        b"a\r\n\n" + LINE,
        b"\xff\n\n" + LINE,
        b"a\n\n" + LINE * 101,
        b"a" * MAX_NOTE_BYTES + b"\n\n" + LINE,
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_note(data)


def test_every_truncation_is_refused_or_drops_whole_signatures() -> None:
    data = b"a\nb\n\n" + LINE + LINE.replace(b" a ", b" b ")
    for size in range(len(data)):
        try:
            note = parse_note(data[:size])
        except Corrupt:
            continue
        assert note == Note("a\nb\n", (Signature("a", b"1234", b"s" * 64),))
        assert data[:size].endswith(LINE)


def test_cosignatures() -> None:
    # The example of c2sp.org/tlog-cosignature.
    assert cosigned_text("example.com/behind-the-sofa\n", 1679315147) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n"
    )
    assert split_cosignature((1679315147).to_bytes(8, "big") + b"s" * 64) == (1679315147, b"s" * 64)
    assert split_cosignature(b"s" * 64) is None
    assert split_cosignature(b"\xff" * 8 + b"s" * 64) is None
