"""The id of a domain without YAML: exactly where the file is as dbx wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Invalid
from dbx.repo.domainfile import DomainFile, load_domain_file, write_domain_file
from dbx.repo.identity import find_plain_id
from dbx.store.fs import Directory

ID = "0f9b2a4e-7c1d-4e5f-8a9b-0c1d2e3f4a5b"
MADE = "2026-11-23T07:42:00.123456Z"
PLAIN = f'id: "{ID}"\nname: shop\ncreated_at: "{MADE}"\nsettings: {{}}\nremotes: {{}}\n'


@pytest.fixture
def domain(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path))


@pytest.mark.parametrize("first", "0123456789abcdef")
def test_what_dbx_writes_is_plain(domain: Directory, first: str) -> None:
    written = first + ID[1:]
    write_domain_file(domain, DomainFile(written, "shop", MADE))
    assert find_plain_id(domain) == written == load_domain_file(domain).id


@pytest.mark.parametrize(
    "changed",
    [
        PLAIN.replace("settings: {}", "settings:\n  user.name: x"),
        PLAIN.replace("settings: {}", "settings: []"),
        PLAIN + "redacted: true\n",
        PLAIN + "\n",
        "# mine\n" + PLAIN,
        PLAIN.replace("id: ", "ID: "),
        PLAIN.replace(ID, ID.upper()),
        PLAIN.replace(ID, ID[:-1]),
        PLAIN.replace(ID, ID.replace("-", "0")),
        PLAIN.replace(MADE, "2026-11-23T07:42:00Z"),
        PLAIN.replace("name: shop", "id: shop"),
        "",
    ],
)
def test_anything_else_is_left_to_yaml(domain: Directory, changed: str) -> None:
    Path(domain.path, "domain.yaml").write_text(changed)
    assert find_plain_id(domain) is None


@pytest.mark.parametrize("changed", [PLAIN.replace("shop", "Shop"), PLAIN.replace(MADE, "yesterday")])
def test_a_name_or_a_time_that_is_none(domain: Directory, changed: str) -> None:
    Path(domain.path, "domain.yaml").write_text(changed)
    with pytest.raises(Invalid):
        find_plain_id(domain)


def test_no_file(domain: Directory) -> None:
    assert find_plain_id(domain) is None
