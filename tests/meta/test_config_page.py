"""The manual pages of settings, the table of settings and what is read from the files agree."""

from __future__ import annotations

from pathlib import Path

from dbx.repo.config import SETTINGS, WORKSPACE, list_values
from dbx.repo.domainfile import DomainFile
from dbx.repo.repository import Repository
from tests.meta import roff


def test_every_setting_is_described_with_its_range_and_place() -> None:
    (page,) = [page for page in roff.read_pages() if (page.name, page.section) == ("dbx-config", "1")]
    lines = roff.sections(page)["SETTINGS"]
    assert roff.tags(lines) == sorted(SETTINGS)
    text = "\n".join(roff.visible(line) if roff.macro(line) != "TP" else "\f" for line in lines)
    paragraphs = text.split("\f")[1:]
    for key, paragraph in zip(sorted(SETTINGS), paragraphs, strict=True):
        setting = SETTINGS[key]
        assert paragraph.split()[0] == key
        assert paragraph.split()[-1] == ("Workspace." if setting.scope == WORKSPACE else "Domain."), key
        if setting.kind == "integer":
            assert f"{setting.low} to {setting.high}" in paragraph, key
            assert setting.default is None or f"default {setting.default}" in paragraph, key


def test_the_files_that_are_shown_are_read(tmp_path: Path) -> None:
    (page,) = [page for page in roff.read_pages() if (page.name, page.section) == ("dbx-config", "5")]
    shown: dict[str, list[str]] = {}
    for line in map(roff.visible, roff.sections(page)["SYNOPSIS"]):
        if line.startswith("# "):
            shown[line[2:].rpartition("/")[2]] = []
        elif shown:
            list(shown.values())[-1].append(line)
    assert sorted(shown) == ["config.yaml", "domain.yaml"]
    repository, _ = Repository.init(str(tmp_path), clock=lambda: 1_790_000_000_000_000)
    repository.create_domain("orders")
    for name, lines in shown.items():
        folder = tmp_path / ".dbx" / ("" if name == "config.yaml" else "domains/orders")
        (folder / name).write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")
    again = Repository(str(tmp_path / ".dbx"), clock=lambda: 1_790_000_000_000_000)
    values = list_values(again, again.domain("orders"))
    changed = [value for value in values if value.is_set]
    assert len(changed) >= 12
    assert all(value.value != value.setting.default for value in changed)


def test_the_members_of_a_domain_file_are_described() -> None:
    (page,) = [page for page in roff.read_pages() if (page.name, page.section) == ("dbx-config", "5")]
    assert roff.tags(roff.sections(page)["DOMAIN.YAML"]) == list(DomainFile.__slots__)
