"""Print the script that makes a shell complete dbx's commands, options, domains, types and ids.

\b
bash:  echo 'eval "$(dbx completion bash)"' >> ~/.bashrc
zsh:   echo 'eval "$(dbx completion zsh)"' >> ~/.zshrc
fish:  dbx completion fish > ~/.config/fish/completions/dbx.fish
"""

from __future__ import annotations

import click

from dbx.cli.complete import VARIABLE
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define, root
from dbx.cli.render import emit


@define()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_invocation
def command(invocation: Invocation, shell: str) -> None:
    from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

    kind = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    # click's own method for bash starts a bash first, to look at its version; every eval would wait for that.
    script = ShellComplete.source(kind(root(), {}, "dbx", VARIABLE))
    emit(invocation, {"shell": shell, "script": script}, [script.rstrip("\n")])
