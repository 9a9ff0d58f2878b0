"""SIGTERM ends the process in words of the app alone, also where an exception gets nowhere."""

import subprocess
import sys

from bidsapp.execution.termination import STOPPED

_SWALLOWED = """
import multiprocessing, os, signal, time
from bidsapp.execution.termination import Terminated, ended_in_time
lock = multiprocessing.get_context("forkserver").Lock()
with ended_in_time(grace_s=0.1):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    except Terminated:  # as a callback of a library would
        pass
    time.sleep(20)
"""


def test_a_process_that_has_to_be_ended_gives_back_its_semaphores_in_silence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SWALLOWED], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (75, STOPPED)
