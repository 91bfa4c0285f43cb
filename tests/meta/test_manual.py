"""The manual and the commands agree, and every page is one that any reader can show."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest

from dbx import errors
from dbx.cli import frame
from dbx.cli.options import GLOBALS
from tests.meta import roff
from tests.meta.roff import Page
from tests.meta.source import CHECKOUT

PAGES = {f"{page.name}.{page.section}": page for page in roff.read_pages()}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def walk(group: frame.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command below `group` that has a file or folder of its own, with its words."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.names():
        if name in group.aliases:
            continue
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, frame.Group):
            found += walk(command, (*path, name))
    return found


COMMANDS = walk(frame.root())


def words(value: object) -> str:
    return "-".join(value) if isinstance(value, tuple) else ""


def find_page(path: tuple[str, ...]) -> Page | None:
    """`dbx aggregate apply` is in dbx-aggregate-apply.1, or with its siblings in dbx-aggregate.1."""
    for length in range(len(path), 0, -1):
        if page := PAGES.get(f"dbx-{'-'.join(path[:length])}.1"):
            return page
    return None


def spellings(command: click.Command) -> set[str]:
    """The long options of a command itself, without those that work everywhere."""
    shared = {name for option in GLOBALS for name in option.opts} | {"--help", "--version"}
    own = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if isinstance(command, frame.Group) and command.default is not None:
        answers = import_module(f"{command.package.__name__}.{command.default}").command
        own += [p for p in answers.params if isinstance(p, click.Option) and not p.hidden]
    return {name for p in own for name in (*p.opts, *p.secondary_opts) if name.startswith("--")} - shared


def documented_options(page: Page) -> set[str]:
    """The long options that have a paragraph of their own."""
    return {name for tag in roff.tags(page.lines) if tag.startswith("-") for name in OPTION.findall(tag)}


def test_the_walk_sees_every_file() -> None:
    folder = CHECKOUT / "dbx" / "cli" / "commands"
    files = {f.relative_to(folder).with_suffix("").parts for f in folder.rglob("*.py") if not f.name.startswith("_")}
    assert files <= {tuple(word.replace("-", "_") for word in path) for path, _ in COMMANDS}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=words)
def test_a_command_is_in_the_manual(path: tuple[str, ...], command: click.Command) -> None:
    page = find_page(path)
    assert page is not None, f"'dbx {' '.join(path)}' has no page man/dbx-{path[0]}.1"
    assert re.search(rf"\b{re.escape(path[-1])}\b", page.text), f"{page.path} does not name '{path[-1]}'"
    missing = spellings(command) - set(OPTION.findall(page.text))
    assert not missing, f"{page.path} says nothing of {sorted(missing)} of 'dbx {' '.join(path)}'"


@pytest.mark.parametrize(
    "page", [p for p in PAGES.values() if p.section == "1" and p.name != "dbx"], ids=lambda p: p.name
)
def test_what_a_page_documents_exists(page: Page) -> None:
    mine = [command for path, command in COMMANDS if find_page(path) is page]
    if not mine:
        alias = page.name.removeprefix("dbx-")
        assert alias in frame.root().names(), f"{page.path} is about a command that does not exist"
        found = frame.root().get_command(click.Context(frame.root()), alias)
        assert found is not None
        mine = [found]
    real = {name for command in mine for name in spellings(command)}
    shared = {name for option in GLOBALS for name in option.opts} | {"--help", "--version"}
    invented = documented_options(page) - real - shared
    assert not invented, f"{page.path} documents options that no command has: {sorted(invented)}"


def test_the_overview_documents_every_global_option_and_exit_status() -> None:
    overview = roff.sections(PAGES["dbx.1"])
    option_tags = " ".join(roff.tags(overview["OPTIONS"]))
    for option in GLOBALS:
        for name in option.opts:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", option_tags), (
                f"man/dbx.1 says nothing of '{name}'"
            )
    statuses = {
        kind.status for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DbxError)
    }
    assert {str(status) for status in statuses | {0, 70, 130}} == set(roff.tags(overview["EXIT STATUS"]))


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda p: f"{p.name}.{p.section}")
def test_a_page_is_plain(page: Page) -> None:
    assert roff.unknown(page) == []
    calls = [name for name in map(roff.macro, page.lines) if name]
    assert calls[0] == "TH", "a page begins with .TH"
    title = next(line for line in page.lines if roff.macro(line) == "TH")
    assert roff.unescape(title).split()[1:3] == [page.name.upper(), page.section]
    assert calls.count("EX") == calls.count("EE")
    assert calls.count("nf") == calls.count("fi")
    assert calls.count("RS") == calls.count("RE")
    headline = " ".join(map(roff.visible, roff.sections(page)["NAME"]))
    assert re.fullmatch(rf"{re.escape(page.name)} - [^.]+", headline), (
        f"{page.path}: NAME must read '{page.name} \\- what it is'"
    )


def test_a_page_that_is_not_plain_is_found() -> None:
    page = Page(
        "man/x.1", "x", "1", ('.TH X 1 \\" not a comment', ".TS", "'sp", "a \\(co b", '.\\" comment \\(co', "\\fBb\\fR")
    )
    assert [finding.split(": ", 1)[1] for finding in roff.unknown(page)] == [
        "the escape '\\\"'",
        "the macro '.TS'",
        "the macro ''sp'",
        "the escape '\\(co'",
    ]


def test_the_reader_sees_what_roff_shows() -> None:
    assert roff.visible('.BR "dbx fsck" (1),') == "dbx fsck(1),"
    assert roff.visible(".B \\-\\-json a") == "--json a"
    assert roff.tags([".TP", ".BR \\-d ,", "text", ".TP", "1"]) == ["-d,", "1"]
