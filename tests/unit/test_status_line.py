"""The line at the foot of a terminal, and the quiet where there is none."""

import io
import time
from collections.abc import Callable

import pytest

from bidsapp.execution.status import StatusLine, readable, telling


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


def test_a_log_hears_when_each_piece_begins_and_ends_without_control_characters() -> None:
    stream = Stream(terminal=False)
    ten(stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[0/10] sub-1: begun"
    assert lines[1] == "[1/10] sub-1: pass"
    assert lines[7] == "[4/10] sub-4: warn (about 6 min left)"
    assert len(lines) == 10
    assert stream.getvalue().isprintable() is False  # line ends, and nothing else
    assert {c for c in stream.getvalue() if not c.isprintable()} == {"\n"}


def test_a_log_hears_of_long_work_with_its_share_and_the_time_left() -> None:
    stream, clock, done = Stream(terminal=False), Clock(), {}
    line = StatusLine(4, "folds", stream=stream, clock=clock, share=done.get, beat_s=1e9)
    line.started("base, repeat 0, fold 0")
    line.started("base, repeat 0, fold 1")
    for seconds, share in ((30, 0.1), (60, 0.2), (120, 0.4)):
        clock.now, done["base, repeat 0, fold 0"] = seconds, share
        line.beat(60)
    done.clear()  # the training is over and its scores are made: nothing goes back
    clock.now = 180
    line.beat(60)
    line.close()
    assert stream.getvalue().splitlines()[2:] == [
        # 30 s after the last line nothing is due
        "[5 %] 0 of 4 folds done; running base, repeat 0, fold 0 (20 %), base, repeat 0, fold 1; "
        "about 19 min left",
        "[10 %] 0 of 4 folds done; running base, repeat 0, fold 0 (40 %), base, repeat 0, fold 1; "
        "about 18 min left",
        "[10 %] 0 of 4 folds done; running base, repeat 0, fold 0 (40 %), base, repeat 0, fold 1; "
        "about 27 min left",
    ]


def test_a_log_is_told_by_itself_until_the_work_is_over() -> None:
    stream = Stream(terminal=False)
    with StatusLine(1, "folds", stream=stream, beat_s=0.02) as line:
        line.started("a")
        wait_for(lambda: stream.getvalue().count("0 of 1 folds done; running a") >= 2)
    told = stream.getvalue()
    time.sleep(0.1)
    assert stream.getvalue() == told
    with telling("evaluation", beat_s=0.02, stream=stream):
        wait_for(lambda: "evaluation: 1 s so far" in stream.getvalue())
    terminal = Stream(terminal=True)
    with (
        StatusLine(1, "folds", stream=terminal, draw=False, beat_s=0.02),
        telling("evaluation", beat_s=0.02, stream=terminal),
    ):
        time.sleep(0.1)
    assert terminal.getvalue() == ""


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something is so; on a busy machine that takes its time."""
    for _ in range(2000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


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
