import io

from dbx.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """The line that stands there now."""
        line = ""
        for part in self.getvalue().split("\r"):
            line = part + line[len(part) :]
        return line.rstrip()


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_appears_in_the_first_second() -> None:
    terminal, watch = Terminal(), Watch()
    with Progress(10, "hashing", stream=terminal, now_s=watch) as bar:
        for _ in range(10):
            bar.update()
            watch.now_s += 0.09
    assert terminal.getvalue() == ""


def test_the_bar_shows_the_share_and_is_erased() -> None:
    terminal, watch = Terminal(), Watch()
    with Progress(200, "hashing", stream=terminal, now_s=watch) as bar:
        watch.now_s += 1
        bar.update(50)
        assert terminal.screen().startswith("hashing [##########      ")
        assert terminal.screen().endswith("]  25% 50/200")
        assert len(terminal.screen()) < 80
    assert terminal.screen() == ""


def test_it_is_drawn_ten_times_a_second_at_most() -> None:
    terminal, watch = Terminal(), Watch()
    bar = Progress(10_000, "hashing", stream=terminal, now_s=watch)
    watch.now_s += 1
    for _ in range(10_000):
        watch.now_s += 0.0001
        bar.update()
    assert terminal.getvalue().count("hashing") in (9, 10, 11)


def test_an_unknown_total_is_counted() -> None:
    terminal, watch = Terminal(), Watch()
    bar = Progress(None, "read\x1b", stream=terminal, now_s=watch)
    watch.now_s += 2
    bar.update(7)
    assert terminal.screen() == "read\\u001b 7"


def test_more_than_the_total_is_no_more_than_all() -> None:
    terminal, watch = Terminal(), Watch()
    bar = Progress(10, "x", stream=terminal, now_s=watch)
    watch.now_s += 2
    bar.update(50)
    assert "100% 50/10" in terminal.screen()


def test_no_terminal_and_quiet_get_nothing() -> None:
    watch = Watch()
    file, terminal = io.StringIO(), Terminal()
    bars = [Progress(10, "x", stream=file, now_s=watch), Progress(10, "x", quiet=True, stream=terminal, now_s=watch)]
    watch.now_s += 5
    for bar in bars:
        bar.update(5)
        bar.close()
    assert file.getvalue() == terminal.getvalue() == ""


def test_a_terminal_that_goes_away_does_not_stop_the_work() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    watch = Watch()
    with Progress(10, "x", stream=Gone(), now_s=watch) as bar:
        watch.now_s += 5
        bar.update(5)
        watch.now_s += 5
        bar.update(5)
    assert bar.done == 10
