from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.restrict import WORDS, parse_restrict


@pytest.mark.parametrize(("word", "mode"), [(word, mode) for mode, words in WORDS.items() for word in words])
def test_every_word(word: str, mode: str) -> None:
    assert parse_restrict(word) == parse_restrict(f" {word.upper()} ") == mode


@pytest.mark.parametrize(("value", "mode"), [(True, "default"), (False, "off"), (1, "default"), (0, "off")])
def test_yaml_booleans_and_numbers(value: object, mode: str) -> None:
    assert parse_restrict(value) == mode


@pytest.mark.parametrize("value", ["", "stric", "offf", "2", 2, -1, None, [], {}, 1.0, "off default"])
def test_unknown_words(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_restrict(value)
    assert "off, default or strict" in caught.value.message


def test_a_near_word_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        parse_restrict("stric")
    assert caught.value.hint == "did you mean 'strict'?"
