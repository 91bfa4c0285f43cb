"""The shape of every command: help in our form, global options, and groups that import a command when it is called.

A file in commands/ is a command and defines `command`; a folder is a group of them. The first line of the module's
docstring is its line in `dbx --help`, so that listing needs no import.

A group's `__init__` may set DEFAULT, the module (`_name`, not listed) that answers when no subcommand was named
(`dbx schema order`, `dbx push origin`), and ALIASES, names for other commands: {"commit": ("aggregate", "commit")}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from dbx.cli.context import Options, make_invocation
from dbx.cli.options import VERSION, skip_globals, with_globals, write_options
from dbx.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


COMMANDS = "dbx.cli.commands"


class Command(click.Command):
    """A command whose function gets the Invocation as ctx.obj."""

    home = ""
    """Its file below commands/, with dots; by this name the table of rights knows it."""

    def __init__(self, name: str | None, params: list[click.Parameter] | None = None, **settings: Any) -> None:
        super().__init__(name, params=with_globals(params or []), add_help_option=False, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        allowed, ctx.allow_extra_args = ctx.allow_extra_args, True
        rest = _with_context(super().parse_args, ctx, args)
        if rest and not allowed and not ctx.resilient_parsing:
            raise UsageError(
                f"unexpected argument '{rest[0]}' for '{path_of(ctx)}'", hint=f"run '{path_of(ctx)} --help'"
            )
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(ctx.obj, Options):
            ctx.obj = make_invocation(ctx.obj)
            ctx.obj.command = self.home
            ctx.obj.parameters = ctx.params
        try:
            return super().invoke(ctx)
        except UsageError as error:
            error.hint = error.hint or f"run '{path_of(ctx)} --help' to see how it is used"
            raise

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(path_of(ctx), " ".join(self.collect_usage_pieces(ctx)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self.params, ctx, formatter)


class Group(click.Group):
    """The commands in one folder, imported when they are called."""

    def __init__(self, package: str, *, extra: tuple[click.Option, ...] = ()) -> None:
        self.package = import_module(package)
        self.default: str | None = getattr(self.package, "DEFAULT", None)
        self.aliases: Mapping[str, tuple[str, ...]] = getattr(self.package, "ALIASES", {})
        self.folder = os.path.dirname(self.package.__file__ or "")
        super().__init__(
            package.rpartition(".")[2].replace("_", "-"),
            params=with_globals([], extra),
            help=self.package.__doc__,
            callback=_answer_without_command,
            invoke_without_command=True,
            no_args_is_help=False,
            add_help_option=False,
            subcommand_metavar="COMMAND [ARGS]…",
        )

    def names(self) -> list[str]:
        """The subcommands, without importing any."""
        found = set(self.aliases)
        for entry in os.listdir(self.folder):
            stem = entry.removesuffix(".py")
            is_command = stem != entry or os.path.exists(os.path.join(self.folder, entry, "__init__.py"))
            if is_command and not entry.startswith(("_", ".")):
                found.add(stem.replace("_", "-"))
        return sorted(found)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.aliases:
            found: click.Command | None = self
            for step in self.aliases[cmd_name]:
                found = found.get_command(ctx, step) if isinstance(found, Group) else None
            return found
        stem = cmd_name.replace("-", "_")
        if "_" in cmd_name or not stem.isidentifier() or not stem.isascii():
            return None
        return self.load(stem)

    def load(self, stem: str) -> click.Command | None:
        """The command in the module or folder `stem`."""
        path = os.path.join(self.folder, stem)
        name = f"{self.package.__name__}.{stem}"
        if os.path.isfile(path + ".py"):
            found: click.Command = import_module(name).command
            if isinstance(found, Command):
                found.home = name.removeprefix(f"{COMMANDS}.")
            return found
        if os.path.isfile(os.path.join(path, "__init__.py")):
            return Group(name)
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.default is not None:
            at = skip_globals(args)
            if at == len(args) or (args[at] not in ("-h", "--help") and args[at] not in self.names()):
                args = [*args[:at], self.default, *args[at:]]
        return _with_context(super().parse_args, ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name == self.default:
            # No name of its own: usage and errors speak of the group.
            return "", self.load(name), args[1:]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            hint = suggest(name, self.names()) or f"run '{path_of(ctx)} --help' to see what there is"
            raise UsageError(f"unknown command '{path_of(ctx)} {name}'", hint=hint)
        return name, command, args[1:]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(path_of(ctx), " ".join(self.collect_usage_pieces(ctx)))
        if command := self._default_command():
            formatter.write_usage(path_of(ctx), " ".join(command.collect_usage_pieces(ctx)), prefix="   or: ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(name)) for name in self.names()])
        command = self._default_command()
        write_options(command.params if command else self.params, ctx, formatter)

    def _default_command(self) -> click.Command | None:
        return self.load(self.default) if self.default else None

    def summary(self, name: str) -> str:
        """The first line of the command's docstring, read from its source."""
        path = os.path.join(self.folder, *(step.replace("-", "_") for step in self.aliases.get(name, (name,))))
        source = path + ".py" if os.path.isfile(path + ".py") else os.path.join(path, "__init__.py")
        with open(source, encoding="utf-8") as file:
            first = file.readline().strip()
        return first.strip('"').rstrip(".") if first.startswith('"""') else ""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        # click would import every command for its help line; and takes care of the options itself.
        items = [CompletionItem(name, help=self.summary(name)) for name in self.names() if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def define(**settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Decorator that makes a module's `command`; the module's docstring is its help.

    The function gets the Invocation (context.pass_invocation) and returns None, or the exit status when it is not 0.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        settings.setdefault("help", sys.modules[function.__module__].__doc__)
        return click.command(cls=Command, **settings)(function)

    return decorate


def root(commands: str = COMMANDS) -> Group:
    """The `dbx` command itself."""
    return Group(commands, extra=(VERSION,))


def path_of(ctx: click.Context) -> str:
    """`dbx aggregate apply`, as the user typed it."""
    return " ".join(ctx.command_path.split())


def suggest(name: str, candidates: list[str]) -> str | None:
    """A hint that names the candidate closest to `name`."""
    from difflib import get_close_matches

    close = get_close_matches(name, candidates, n=1)
    return f"did you mean '{close[0]}'?" if close else None


def _with_context(
    parse: Callable[[click.Context, list[str]], list[str]], ctx: click.Context, args: list[str]
) -> list[str]:
    # click's parser does not always say which command it was parsing.
    try:
        return parse(ctx, args)
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def _answer_without_command() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        return
    options = ctx.find_object(Options)
    if options is None or not options.version:
        raise UsageError(f"'{path_of(ctx)}' needs a command", hint=f"run '{path_of(ctx)} --help' to see what there is")
    version: click.Command = import_module(f"{COMMANDS}.version").command
    with version.make_context("version", [], parent=ctx) as inner:
        version.invoke(inner)
