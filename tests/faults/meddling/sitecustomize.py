"""Disturb a run at a chosen moment: a hook of the interpreter counts what it does to its files.

Python imports this by itself where the folder is on PYTHONPATH, in the app and in each of its
workers. ``NOCICAST_MEDDLE`` holds JSON::

    {"within": [folders], "journal": file, "rules": [{"match": regular expression over the paths,
     "at": how manieth of them, "deed": see below, ...}], "clock": {"when": s, "by": s}}

Counted is every opening for writing, renaming, removing and making of files and folders within the
folders, over all processes of the run, and, where the rule says ``"read": true``, every opening for
reading; where it says ``"worker": true``, only in processes that work for the run's first.
``journal`` takes a line for each, and for every attempt to reach another machine
(``socket``). Deeds: ``kill`` the process group, as a node that fails;
``lose`` this process, as the kernel does for want of memory; ``term`` the run's first process,
``term_all`` its workers too, as a cluster does that signals every process of a job;
``fill`` the disk of `place`; ``vanish`` and ``replace`` (by `other`) the file; ``shell`` runs
`command`. With ``delay`` a deed is done so many seconds later, in the midst of what follows.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"}
_SOCKETS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def fill(place: str) -> None:
    """Take all room that a disk has left, with a file that `free` finds."""
    with open(Path(place) / FILLER, "wb") as stream:
        size = 1 << 20
        while size:
            try:
                stream.write(bytes(size))
                stream.flush()
            except OSError:
                size //= 2


FILLER = "filler-of-the-tests"


class Meddler:
    """Count what is done to files, and do what the rules say."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._within = tuple(told["within"])
        self._rules = [(re.compile(rule["match"]), rule) for rule in told.get("rules", ())]
        base = told["journal"]
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._journal = os.open(base, flags)
        self._counts = [os.open(f"{base}.{i}", flags) for i in range(len(self._rules))]
        self._busy = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        # an address in text is a socket of this machine, as helpers talk to one another by
        if event in _SOCKETS and not (event[-7:] == "connect" and isinstance(arguments[1], str)):
            os.write(self._journal, f"socket\t{event} {arguments[1:]}\n".encode())
        if event != "open" and event not in _CHANGES:
            return
        if getattr(self._busy, "at", False):
            return
        self._busy.at = True
        try:
            self._seen(event, arguments)
        finally:
            self._busy.at = False

    def _seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        reading = event == "open" and not (
            isinstance(arguments[2], int) and arguments[2] & _WRITING
        )
        ends = arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]
        paths = [os.fsdecode(one) for one in ends if isinstance(one, (str, bytes))]
        text = " ".join(paths)
        if not any(path.startswith(self._within) for path in paths):
            return
        if not reading:
            os.write(self._journal, f"{event}\t{text}\n".encode(errors="replace"))
        for (pattern, rule), counter in zip(self._rules, self._counts, strict=True):
            if rule.get("worker") and os.getpid() == os.getpgrp():
                continue
            if reading == rule.get("read", False) and pattern.search(text):
                fcntl.lockf(counter, fcntl.LOCK_EX)
                os.write(counter, b".")
                count = os.fstat(counter).st_size
                fcntl.lockf(counter, fcntl.LOCK_UN)
                if count == rule["at"]:
                    self._do(rule, paths)

    def _do(self, rule: dict[str, Any], paths: list[str]) -> None:
        def deed() -> None:
            self._busy.at = True
            if rule["deed"] == "kill":
                os.killpg(os.getpgrp(), signal.SIGKILL)
            elif rule["deed"] == "lose":
                os.kill(os.getpid(), signal.SIGKILL)
            elif rule["deed"] == "term":
                os.kill(os.getpgrp(), signal.SIGTERM)
            elif rule["deed"] == "term_all":
                os.killpg(os.getpgrp(), signal.SIGTERM)
            elif rule["deed"] == "fill":
                fill(rule["place"])
            elif rule["deed"] == "vanish":
                os.unlink(paths[0])
            elif rule["deed"] == "replace":
                shutil.copyfile(rule["other"], f"{paths[0]}.new")
                os.replace(f"{paths[0]}.new", paths[0])
            elif rule["deed"] == "shell":
                subprocess.run(rule["command"], shell=True, check=False)
            else:
                raise ValueError(rule["deed"])

        if rule.get("delay"):
            threading.Timer(rule["delay"], deed).start()
        else:
            deed()


def turn_back(when: float, by: float) -> None:
    """Let the clock of this process go back by so many seconds at a moment."""
    true = time.time

    def false() -> float:
        now = true()
        return now - by if now > when else now

    time.time = false


if "NOCICAST_MEDDLE" in os.environ:
    _told = json.loads(os.environ["NOCICAST_MEDDLE"])
    sys.addaudithook(Meddler(_told))
    if "clock" in _told:
        turn_back(**_told["clock"])
