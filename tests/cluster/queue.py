"""What the queue of a cluster holds, watched while something runs."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


def queued() -> list[str]:
    """Names of the jobs in the queue that are this user's."""
    command = ["squeue", "-h", "-o", "%j", f"--user={os.getuid()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


@contextmanager
def watched() -> Iterator[set[str]]:
    """Gather the names of jobs that are in the queue while the block runs."""
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.3):
            seen.update(queued())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def wait_until(condition: object, seconds: float) -> bool:
    """Whether a condition, asked again and again, came true in that time."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.3)
    return False
