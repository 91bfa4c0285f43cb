"""The options that every command takes, before its name or after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dbx.cli import params, render
from dbx.cli.context import Options


def _record(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        options = ctx.find_object(Options)
        if options is not None and value is not None and value is not False:
            setattr(options, name, value)

    return keep


def _show_help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        render.write(ctx.get_help() + "\n")
        ctx.exit()


def _flag(*names: str, record: str, text: str) -> click.Option:
    return click.Option(names, is_flag=True, expose_value=False, callback=_record(record), help=text)


def _value(*names: str, record: str, metavar: str, kind: click.ParamType[Any], text: str) -> click.Option:
    return click.Option(names, metavar=metavar, type=kind, expose_value=False, callback=_record(record), help=text)


# Shared by all commands: click keeps nothing in an Option that belongs to one parse.
GLOBALS = (
    _value(
        "-C",
        "directory",
        record="directory",
        metavar="DIR",
        kind=params.DIRECTORY,
        text="Look for the repository from DIR upwards.",
    ),
    _value(
        "-d",
        "--domain",
        record="domain",
        metavar="NAME",
        kind=params.DOMAIN,
        text="Work on this domain instead of the checked-out one.",
    ),
    _value(
        "--token",
        record="token",
        metavar="TOKEN",
        kind=params.SECRET,
        text="Act with the rights of this token; - reads it.",
    ),
    _value(
        "--token-file",
        "token_file",
        record="token_file",
        metavar="FILE",
        kind=click.STRING,
        text="The token is in the first line of FILE.",
    ),
    _flag("--cross-env", record="cross_env", text="Use what is for one environment in another."),
    _flag("--json", record="json", text="Print one JSON document."),
    _flag("--quiet", record="quiet", text="No notes and no progress."),
    _flag("--no-color", record="no_color", text="No colours."),
    _value(
        "--wait",
        "wait_s",
        record="wait_s",
        metavar="SECONDS",
        kind=params.SECONDS,
        text="Wait so long for another writer (default 10).",
    ),
)
VERSION = _flag("-V", "--version", record="version", text="Show the version.")
HELP = click.Option(
    ["-h", "--help"], is_flag=True, is_eager=True, expose_value=False, callback=_show_help, help="Show this help."
)

_EVERYWHERE = (*GLOBALS, VERSION, HELP)


def with_globals(own: list[click.Parameter], extra: tuple[click.Option, ...] = ()) -> list[click.Parameter]:
    """`own` and the global options after them, without those spellings and names that a command uses itself."""
    taken = {spelling for param in own for spelling in (*param.opts, *param.secondary_opts, param.name)}
    return [*own, *(left for o in (*GLOBALS, *extra, HELP) if o.name not in taken and (left := _left(o, taken)))]


def _left(option: click.Option, taken: set[str]) -> click.Option | None:
    """An option with the spellings that are not taken: of -d and --domain the latter, where -d deletes."""
    opts = [spelling for spelling in option.opts if spelling not in taken]
    if len(opts) in (0, len(option.opts)):
        return option if opts else None
    from copy import copy

    left = copy(option)
    left.opts = opts
    return left


def write_options(own: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The two lists of options in a help text: the command's own, and those that work everywhere."""
    for title, everywhere in (("Options", False), ("Everywhere", True)):
        records = [
            r
            for p in own
            if (p in _EVERYWHERE) is everywhere and isinstance(p, click.Option) and (r := p.get_help_record(ctx))
        ]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def skip_globals(args: list[str]) -> int:
    """The index of the first argument that is no global option."""
    at = 0
    while at < len(args):
        name, equals, _ = args[at].partition("=")
        option = next((o for o in GLOBALS if name in o.opts), None)
        if option is None:
            break
        at += 1 if option.is_flag or equals else 2
    return min(at, len(args))
