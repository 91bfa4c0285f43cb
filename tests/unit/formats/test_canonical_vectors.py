"""Canonical JSON against what others have published: RFC 8785, JSONTestSuite, naughty strings."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator

import pytest

from dbx.errors import Invalid
from dbx.formats import canonical, es6json
from dbx.formats.es6number import MAX_SAFE, format_number
from tests.vectors import shared


def refusal(text: str | bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        canonical.loads(text, what="payload")
    return caught.value


# --- RFC 8785 vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_cyberphone_documents_come_out_byte_for_byte(name: str) -> None:
    folder = shared("vectors/jcs-rfc8785/cyberphone")
    source = (folder / "input" / f"{name}.json").read_bytes()
    wanted = (folder / "output" / f"{name}.json").read_bytes()
    assert wanted == bytes.fromhex((folder / "outhex" / f"{name}.txt").read_text())
    value = canonical.loads(source)
    assert canonical.encode_scanned(value).encode() == wanted
    assert canonical.encode(value) == wanted
    assert canonical.encode(json.loads(source)) == wanted
    assert canonical.decode(wanted) == value


def es6_sequence(static: list[str], count: int) -> Iterator[int]:
    """The published generator of doubles, as their 64 bits."""
    numbers = [int(text, 16) for text in static]
    numbers += [0x0010000000000000 + i for i in range(2000)]
    yield from numbers[:count]
    left, block = count - len(numbers), bytes(32)
    while left > 0:
        block = hashlib.sha256(block).digest()
        for bits in struct.unpack("<4Q", block):
            if left > 0 and bits << 1 & (2**64 - 1) and bits >> 52 & 0x7FF != 0x7FF:
                yield bits
                left -= 1


@pytest.mark.parametrize("lines", [1000, 10_000, 1_000_000])
def test_es6_numbers_have_the_published_digest(lines: int) -> None:
    vectors = json.loads(shared("vectors/extracted/jcs_es6_numbers.json").read_text())
    digest, size, part = hashlib.sha256(), 0, []
    as_double = struct.Struct("<d").unpack
    for bits in es6_sequence(vectors["static_u64_hex"], lines):
        part.append(f"{bits:x},{format_number(as_double(bits.to_bytes(8, 'little'))[0])}\n")
        if len(part) == 50_000:
            data = "".join(part).encode()
            digest.update(data)
            size += len(data)
            part.clear()
    data = "".join(part).encode()
    digest.update(data)
    wanted = vectors["sha256_by_lines"][str(lines)]
    assert (digest.hexdigest(), size + len(data)) == (wanted["sha256"], wanted["bytes"])


def test_es6_numbers_go_through_loads_and_every_encoder_alike() -> None:
    lines = shared("vectors/jcs-rfc8785/es6-numbers/es6-10k.csv").read_text().splitlines()
    assert len(lines) == 10_000
    refused = 0
    for line in lines:
        bits, wanted = line.split(",")
        number = struct.unpack(">d", bytes.fromhex(bits.zfill(16)))[0]
        if not set(wanted) & set(".e") and abs(int(wanted)) > MAX_SAFE:
            refused += 1
            for text in (wanted, repr(number)):
                assert refusal(text).hint == "send it as a string"
            with pytest.raises(Invalid):
                canonical.encode(number)
            continue
        assert canonical.encode_text(number) == wanted
        for text in (wanted, repr(number)):
            value = canonical.loads(text)
            assert value == number
            assert canonical.encode_scanned(value) == canonical.encode_text(value) == wanted
    assert refused > 10


def test_the_numbers_of_the_rfc() -> None:
    for bits, wanted in json.loads(shared("vectors/extracted/jcs_numbers.json").read_text()):
        assert format_number(struct.unpack(">d", bytes.fromhex(bits.zfill(16)))[0]) == wanted


# --- JSONTestSuite ----------------------------------------------------------------------------------------------------

DUPLICATE = "I-JSON has no duplicate keys (RFC 7493 §2.3)"
NONCHARACTER = "I-JSON has no noncharacters (RFC 7493 §2.1)"
GRAMMATICAL_BUT_REFUSED = {
    "y_object_duplicated_key.json": DUPLICATE,
    "y_object_duplicated_key_and_value.json": DUPLICATE,
    "y_string_escaped_noncharacter.json": NONCHARACTER,
    "y_string_last_surrogates_1_and_2.json": NONCHARACTER,
    "y_string_nonCharacterInUTF-8_U+10FFFF.json": NONCHARACTER,
    "y_string_nonCharacterInUTF-8_U+FFFF.json": NONCHARACTER,
    "y_string_unicode_U+10FFFE_nonchar.json": NONCHARACTER,
    "y_string_unicode_U+1FFFE_nonchar.json": NONCHARACTER,
    "y_string_unicode_U+FDD0_nonchar.json": NONCHARACTER,
    "y_string_unicode_U+FFFE_nonchar.json": NONCHARACTER,
}
REASONS = {DUPLICATE: "duplicate key", NONCHARACTER: "noncharacter"}

OURS_TO_DECIDE: dict[str, object] = {
    # A double underflows to the nearest: zero.
    "i_number_double_huge_neg_exp.json": [0],
    "i_number_real_underflow.json": [0],
    # Beyond 1e21 the canonical form has an exponent, so no digit is claimed that a double does not hold.
    "i_number_too_big_neg_int.json": [-1.2312312312312312e29],
    "i_number_very_big_negative_int.json": [-2.374623746732769e47],
    "i_number_too_big_pos_int.json": "whole number beyond",
    "i_number_huge_exp.json": "too large for a double",
    "i_number_neg_int_huge_exp.json": "too large for a double",
    "i_number_pos_double_huge_exp.json": "too large for a double",
    "i_number_real_neg_overflow.json": "too large for a double",
    "i_number_real_pos_overflow.json": "too large for a double",
    "i_object_key_lone_2nd_surrogate.json": "lone surrogate",
    "i_string_1st_surrogate_but_2nd_missing.json": "lone surrogate",
    "i_string_1st_valid_surrogate_2nd_invalid.json": "lone surrogate",
    "i_string_incomplete_surrogate_and_escape_valid.json": "lone surrogate",
    "i_string_incomplete_surrogate_pair.json": "lone surrogate",
    "i_string_incomplete_surrogates_escape_valid.json": "lone surrogate",
    "i_string_invalid_lonely_surrogate.json": "lone surrogate",
    "i_string_invalid_surrogate.json": "lone surrogate",
    "i_string_inverted_surrogates_U+1D11E.json": "lone surrogate",
    "i_string_lone_second_surrogate.json": "lone surrogate",
    "i_string_UTF-16LE_with_BOM.json": "not UTF-8: bad byte at offset 0",
    "i_string_UTF-8_invalid_sequence.json": "not UTF-8: bad byte at offset 7",
    "i_string_UTF8_surrogate_U+D800.json": "not UTF-8",
    "i_string_invalid_utf-8.json": "not UTF-8",
    "i_string_iso_latin_1.json": "not UTF-8",
    "i_string_lone_utf8_continuation_byte.json": "not UTF-8",
    "i_string_not_in_unicode_range.json": "not UTF-8",
    "i_string_overlong_sequence_2_bytes.json": "not UTF-8",
    "i_string_overlong_sequence_6_bytes.json": "not UTF-8",
    "i_string_overlong_sequence_6_bytes_null.json": "not UTF-8",
    "i_string_truncated-utf-8.json": "not UTF-8",
    "i_string_utf16BE_no_BOM.json": "not UTF-8",
    "i_string_utf16LE_no_BOM.json": "not UTF-8",
    "i_structure_500_nested_arrays.json": "nests deeper than 64 at line 1 column 65",
    "i_structure_UTF-8_BOM_empty_object.json": "byte order mark",
}


def suite(prefix: str) -> dict[str, bytes]:
    folder = shared("vectors/json-test-suite/test_parsing")
    found = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name.startswith(prefix)}
    assert len(found) > 30
    return found


def test_what_every_parser_must_take_is_taken() -> None:
    files = suite("y_")
    assert files.keys() >= GRAMMATICAL_BUT_REFUSED.keys()
    for name, data in files.items():
        if name in GRAMMATICAL_BUT_REFUSED:
            assert REASONS[GRAMMATICAL_BUT_REFUSED[name]] in refusal(data).message, name
        else:
            value = canonical.loads(data)
            assert value == json.loads(data), name
            assert canonical.scan(data.decode())[0] == value, name
            assert canonical.decode(canonical.encode(value)) == value, name


def test_what_no_parser_may_take_is_refused() -> None:
    for name, data in suite("n_").items():
        assert refusal(data).status == 5, name
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(Invalid):
            canonical.scan(text)


def test_what_is_left_to_us_is_decided() -> None:
    files = suite("i_")
    assert files.keys() == OURS_TO_DECIDE.keys()
    for name, data in files.items():
        wanted = OURS_TO_DECIDE[name]
        if isinstance(wanted, str):
            assert wanted in refusal(data).message, name
        else:
            assert canonical.loads(data) == wanted, name


def test_naughty_strings_survive() -> None:
    strings = json.loads(shared("vectors/blns/blns.json").read_text())
    assert len(strings) > 400
    unsound = [text for text in strings if "\ufffe" in text]
    assert len(unsound) == 1
    for text in unsound:
        assert "noncharacter U+FFFE" in refusal(json.dumps(text)).message
        strings.remove(text)
    for text in strings:
        for value in (text, [text], {text: text}):
            line = canonical.encode(value)
            assert canonical.loads(line) == canonical.decode(line) == value
            assert canonical.loads(json.dumps(value)) == value
            assert canonical.encode_scanned(value).encode() == line == es6json.write(value, what="it").encode()
    canonical.check_rest(json.dumps(strings))
