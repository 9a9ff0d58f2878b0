"""A process that is watched: what it opens, runs, writes, how long and how large it gets."""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 10  # of the processor: a busy machine takes its time
WAITS = 60  # of the clock, for what only waits
BYTES = 2 * 2**30
_RUNS = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "pickle.find_class",
    "code.__new__",
}
_WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod"}


class Forbidden(BaseException):
    """Input made the process do what no input may; no handler of errors takes it."""


class TooLong(BaseException):
    """A single file took more than `SECONDS`, or waited for `WAITS`."""


def limit_memory() -> None:
    """Let the process grow by `BYTES` from here."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, now + BYTES))


@contextmanager
def in_time() -> Iterator[None]:
    """Raise `TooLong` where what is inside does not end in time."""

    def over(number: int, frame: FrameType | None) -> None:
        raise TooLong

    limits = (
        (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
        (signal.ITIMER_REAL, signal.SIGALRM, WAITS),
    )
    for timer, word, seconds in limits:
        signal.signal(word, over)
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, _, _ in limits:
            signal.setitimer(timer, 0)


class Watch:
    """Refuse sockets, programs, unpickled classes, and writing outside of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.on = False
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _RUNS or event.startswith("socket."):
            self._refuse(event, arguments)
        if event == "open":
            path, mode, flags = arguments
            writing = isinstance(mode, str) and set(mode) & set("wax+")
            writing = writing or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if writing and not isinstance(path, int) and not self._inside(path):
                self._refuse(event, arguments)
        elif event in _WRITES and not self._inside(arguments[0]):
            self._refuse(event, arguments)

    def _inside(self, path: Any) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return real.startswith((f"{self.folder}/", "/dev/null")) or real == self.folder

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.on = False
        raise Forbidden(f"{event} {arguments!r:.200}")
