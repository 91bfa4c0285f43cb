"""`dbx` and `python -m dbx`: the outermost frame. Every way out has its exit status, none is a traceback."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_VERSION_QUESTIONS = ("--version", "-V", "version")


def main() -> int:
    """Run the command line in sys.argv; returns the exit status (cli.md "Conventions")."""
    arguments = sys.argv[1:]
    last_words = ""
    try:
        _reopen_closed_streams()
        if len(arguments) == 1 and arguments[0] in _VERSION_QUESTIONS:
            from dbx.version import __version__

            status, last_words = 0, f"dbx {__version__}\n"
        else:
            import gc

            # Importing makes many objects and no garbage: looking for some at the usual 700 costs a tenth of the start.
            gc.set_threshold(50_000, 20, 20)
            from dbx.cli import lateinspect

            lateinspect.postpone()
            from dbx.cli.main import main as run

            status = run(arguments)
    except BaseException as error:
        status = _conclude(error, arguments)
    return _finish_output(last_words, status, arguments)


def run() -> "NoReturn":
    """The installed command: `main`, and out. Everything is flushed and closed by then.

    Python would take every module apart first, which takes longer than most commands do.
    """
    status = main()
    try:
        sys.stderr.flush()
    finally:
        os._exit(status)


def _conclude(error: BaseException, arguments: list[str]) -> int:
    from dbx.cli.report import conclude

    return conclude(error, arguments)


def _finish_output(last_words: str, status: int, arguments: list[str]) -> int:
    # Python would flush at exit as well, but would print a traceback and exit with 120 when that fails.
    try:
        sys.stdout.write(last_words)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        from dbx.cli.report import conclude, output_failure

        return status or conclude(output_failure(error), arguments)
    return status


def _discard_output() -> None:
    """Point descriptor 1 at /dev/null, so that what is still buffered goes nowhere when Python flushes it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _reopen_closed_streams() -> None:
    # After `dbx >&-` the next file that is opened would become descriptor 1, and results would be written into it.
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open until the end


if __name__ == "__main__":
    run()
