"""The line at the foot of a terminal, and the quiet where there is none."""

import io

import pytest

from bidsapp.execution.status import StatusLine, readable


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ten(stream: Stream, **changes: bool) -> None:
    """Ten images of 60 s each, the fourth of which is doubtful."""
    clock = Clock()
    line = StatusLine(10, "images", stream=stream, clock=clock, **changes)
    for number in range(1, 6):
        line.started(f"sub-{number}", "registration")
        clock.now += 60
        line.finished(f"sub-{number}", "warn" if number == 4 else "pass", trouble=number == 4)
    line.clear()


def test_a_terminal_shows_what_is_done_what_runs_and_the_time_left() -> None:
    stream = Stream(terminal=True)
    ten(stream)
    drawn = [part for part in stream.getvalue().split("\r\x1b[2K") if part]
    assert drawn[0] == "0 of 10 images done · running sub-1 registration"
    assert "3 of 10 images done · about 7 min left" in drawn
    assert any("4 of 10 images done · running sub-5 registration" in part for part in drawn)
    assert "[4/10] sub-4: warn\n" in drawn
    assert stream.getvalue().endswith("\r\x1b[2K")  # nothing is left of it


def test_a_log_holds_what_needs_eyes_and_no_control_characters() -> None:
    stream = Stream(terminal=False)
    ten(stream)
    assert stream.getvalue() == "[4/10] sub-4: warn (about 6 min left)\n"


def test_verbose_tells_of_everything() -> None:
    stream = Stream(terminal=False)
    ten(stream, every=True)
    assert len(stream.getvalue().splitlines()) == 5


def test_beside_bars_of_others_no_line_is_drawn() -> None:
    stream = Stream(terminal=True)
    ten(stream, draw=False)
    assert "\r" not in stream.getvalue()
    assert "[5/10] sub-5: pass (about 5 min left)" in stream.getvalue()


def test_many_at_once_stay_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Stream(terminal=True)
    line = StatusLine(99, "images", stream=stream)
    for number in range(40):
        line.started(f"sub-{number:030d}")
    assert all(len(part) < 60 for part in stream.getvalue().split("\r\x1b[2K"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (95, "2 min"), (3600, "60 min"), (12000, "3 h 20 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert readable(seconds) == text
