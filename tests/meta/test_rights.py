"""No command is forgotten: each stands in the table that says what it asks of a token."""

from __future__ import annotations

import click
import pytest

from dbx.cli import frame
from dbx.model.rights import ANY, COMMANDS, SCOPES
from dbx.model.token import ACTIONS
from tests.meta.source import CHECKOUT

FOLDER = CHECKOUT / "dbx" / "cli" / "commands"
MODULES = sorted(
    ".".join(file.relative_to(FOLDER).with_suffix("").parts)
    for file in FOLDER.rglob("*.py")
    if file.name != "__init__.py" and "command" in file.read_text()
)


@pytest.mark.parametrize("module", MODULES)
def test_every_command_says_what_it_asks_for(module: str) -> None:
    assert module in COMMANDS, f"add '{module}' to dbx/model/rights.py: what does it ask of a token?"
    right = COMMANDS[module]
    assert right.scope in SCOPES
    assert right.action == ANY or right.action in ACTIONS


def test_a_command_is_known_by_its_module() -> None:
    for path, module in ((("commit",), "aggregate.commit"), (("schema", "show"), "schema.show")):
        command: click.Command | None = frame.root()
        for word in path:
            assert isinstance(command, frame.Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None
        assert isinstance(command, frame.Command)
        assert command.home == module
