"""Where a command runs: everything it may know about the environment and the terminal, read once and passed down."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from dbx.errors import Invalid

if TYPE_CHECKING:
    from dbx.model.time import Clock

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WAIT_S = 10.0


class Options:
    """The global options as they are met on the command line; a later one wins."""

    __slots__ = (
        "cross_env",
        "directory",
        "domain",
        "json",
        "no_color",
        "parsed",
        "quiet",
        "token",
        "token_file",
        "version",
        "wait_s",
    )

    def __init__(self) -> None:
        self.cross_env = False
        self.directory: str | None = None
        self.domain: str | None = None
        self.json = False
        self.no_color = False
        self.parsed = False
        self.quiet = False
        self.token: str | None = None
        self.token_file: str | None = None
        self.version = False
        self.wait_s: float | None = None


class Invocation:
    """One run of one command: options, environment and terminal. Values only; commands hand them down as arguments.

    start_dir: where the search for `.dbx/` begins (`-C`, else "."). dbx_dir: DBX_DIR, None when `-C` was given.
    domain: `--domain`, else DBX_DOMAIN, else None (the checked-out one); its name has been checked.
    actor: (group, user) from DBX_ACTOR `group:user`; group is None for a bare `user`.
    clock: microseconds since the Unix epoch; stands still at DBX_NOW when that is set.
    restrict: DBX_RESTRICT as it is spelled, for ops to check. wait_s: how long to wait for the writer's lock.
    token, token_file: `--token` and `--token-file`, for who is to act. cross_env: whether a token of one environment
    may be used in another. command: the command's file below cli/commands, with dots; parameters: what it was given.
    environment: for the few variables that only one command reads (DBX_ACTION, DBX_DEK_COMMAND, EDITOR…).
    """

    __slots__ = (
        "actor",
        "clock",
        "colour",
        "command",
        "cross_env",
        "dbx_dir",
        "debug",
        "domain",
        "environment",
        "json",
        "pager",
        "parameters",
        "quiet",
        "restrict",
        "start_dir",
        "stderr_tty",
        "stdin_tty",
        "stdout_tty",
        "token",
        "token_file",
        "wait_s",
    )

    def __init__(self, options: Options, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.start_dir = options.directory if options.directory is not None else os.curdir
        self.dbx_dir = environment.get("DBX_DIR") or None if options.directory is None else None
        self.domain = options.domain if options.domain is not None else _domain(environment)
        self.actor = _actor(environment)
        self.clock: Clock = _clock(environment)
        self.restrict = environment.get("DBX_RESTRICT") or None
        self.token = options.token
        self.token_file = options.token_file
        self.cross_env = options.cross_env
        self.command = ""
        self.parameters: Mapping[str, Any] = {}
        self.json = options.json
        self.quiet = options.quiet
        self.wait_s = DEFAULT_WAIT_S if options.wait_s is None else options.wait_s
        self.stdin_tty = sys.stdin.isatty()
        self.stdout_tty = sys.stdout.isatty()
        self.stderr_tty = sys.stderr.isatty()
        # https://no-color.org: set and not empty, whatever the value.
        wanted = not options.no_color and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self.colour = wanted and self.stdout_tty
        self.pager = environment.get("PAGER", "less -FRX")
        self.debug = environment.get("DBX_DEBUG", "") not in ("", "0")


def pass_invocation(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Decorator: the command gets the Invocation as its first argument."""
    return click.pass_obj(function)


def make_invocation(options: Options) -> Invocation:
    """The Invocation of this process, made when the whole command line has been parsed."""
    options.parsed = True
    return Invocation(options, os.environ)


def _domain(environment: Mapping[str, str]) -> str | None:
    name = environment.get("DBX_DOMAIN")
    if not name:
        return None
    from dbx.model.names import check_domain_name

    return check_domain_name(name)


def _actor(environment: Mapping[str, str]) -> tuple[str | None, str] | None:
    text = environment.get("DBX_ACTOR")
    if not text:
        return None
    group, colon, user = text.partition(":")
    if not colon:
        return (None, group)
    if not group or not user:
        raise Invalid("DBX_ACTOR must be 'group:user' or 'user'")
    return (group, user)


def _clock(environment: Mapping[str, str]) -> Clock:
    text = environment.get("DBX_NOW")
    if not text:
        return _now_us
    from dbx.model.time import parse_time

    fixed_us = parse_time(text)
    return lambda: fixed_us


def _now_us() -> int:
    return time.time_ns() // 1000


def completion_instruction() -> str | None:
    """What the shell's completion function asks, None in an ordinary run."""
    return os.environ.get("_DBX_COMPLETE") or None
