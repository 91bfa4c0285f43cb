from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.problems import Problems, check_field, nearest


@pytest.mark.parametrize("name", ["a", "firstName", "org:group", "(case) AMOUNT", "é", "a" * 128])
def test_names_of_fields(name: str) -> None:
    assert check_field(name) == name


@pytest.mark.parametrize("name", ["", "a.b", " a", "a ", "a\nb", "a\0", "a" * 129, 5, None, "a\u202eb"])
def test_what_names_no_field(name: object) -> None:
    with pytest.raises(Invalid):
        check_field(name)


def test_the_nearest_word() -> None:
    assert nearest("colums", ("columns", "events")) == "columns"
    assert nearest("zzz", ("columns", "events")) is None
    assert nearest(5, ("columns",)) is None


def test_there_are_enough_at_some_point() -> None:
    problems = Problems()
    for index in range(1000):
        problems.add((index,), "wrong")
    assert len(problems.found) == 200
