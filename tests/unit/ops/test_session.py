"""Who acts, when what was given leaves it open."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Invalid
from dbx.formats.envelope import Actor
from dbx.ops.session import Session, Who, open_session
from dbx.repo import config
from dbx.repo.repository import Repository


def session(path: Path, group: str | None = None, user: str | None = None) -> Session:
    return open_session(
        str(path), dbx_dir=None, domain=None, who=Who(group, user, "os-user"), clock=lambda: 0, wait_s=0.0
    )


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({}, (None, None), ("local", "os-user")),
        ({}, (None, "eve"), ("local", "eve")),
        ({}, ("ops", "eve"), ("ops", "eve")),
        ({"user.name": "ann"}, (None, None), ("local", "ann")),
        ({"user.group": "shop"}, (None, None), ("shop", "os-user")),
        ({"user.name": "ann", "user.group": "shop"}, (None, None), ("shop", "ann")),
        ({"user.name": "ann", "user.group": "shop"}, (None, "eve"), ("shop", "eve")),
        ({"user.name": "ann", "user.group": "shop"}, ("ops", "eve"), ("ops", "eve")),
    ],
)
def test_what_is_given_then_what_is_set_then_the_account(
    tmp_path: Path,
    settings: dict[str, str],
    given: tuple[str | None, str | None],
    expected: tuple[str, str],
) -> None:
    repository, _ = Repository.init(str(tmp_path), clock=lambda: 0)
    config.change(repository, repository.domain(), settings)
    assert session(tmp_path, *given).actor == Actor(*expected)


def test_spoilt_settings_stop_only_who_needs_them(tmp_path: Path) -> None:
    repository, _ = Repository.init(str(tmp_path), clock=lambda: 0)
    Path(repository.path, "config.yaml").write_text("nonsense: 1\n")
    opened = session(tmp_path)
    assert opened.domain.name == "default"
    assert session(tmp_path, "ops", "eve").actor == Actor("ops", "eve")
    with pytest.raises(Invalid, match="unknown setting 'nonsense'"):
        _ = opened.actor
