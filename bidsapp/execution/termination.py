"""SIGTERM, which batch systems and containers send before they kill: end at once, in words."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import util
from types import FrameType

from bidsapp.errors import TemporaryFailure

# Docker kills 10 s after the signal, Slurm 30 s.
GRACE_S = 7.0
_GIVING_BACK_S = 1.0
STOPPED = (
    "nocicast: stopped by the signal TERM, which batch systems send at a limit of time and "
    "containers when they are stopped. What is finished is kept. To go on, give the same command "
    "again, with more time if it was a limit."
)


class Terminated(KeyboardInterrupt):
    """SIGTERM came; like Ctrl-C it is no error that anybody handles on the way."""


@contextmanager
def ended_in_time(grace_s: float = GRACE_S) -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, and end the process where that gets nowhere.

    An exception that is raised within a callback or a destructor is lost, and a library may take
    long to give up: after `grace_s` seconds the process ends all the same, which harms nothing, as
    files appear whole or not at all. Whoever called goes on with the signals that were set.
    """
    ends: list[threading.Timer] = []

    def terminated(number: int, frame: FrameType | None) -> None:
        if not ends:  # the second signal would cut short what the first set off
            ends.append(threading.Timer(grace_s, _end))
            ends[0].daemon = True
            ends[0].start()
            raise Terminated

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        for timer in ends:
            timer.cancel()
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _end() -> None:
    print(STOPPED, file=sys.stderr, flush=True)
    # else the system's helper for semaphores finds them lost, and says so in words of its own
    give_back = util._run_finalizers  # type: ignore[attr-defined]
    giving_back = threading.Thread(target=give_back, args=(0,), daemon=True)
    giving_back.start()
    giving_back.join(_GIVING_BACK_S)
    os._exit(TemporaryFailure.exit_code)
