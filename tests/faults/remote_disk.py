"""A disk as each host of a cluster sees it over NFS: what another host did shows seconds later.

Run as ``python -m tests.faults.remote_disk SERVER MOUNTPOINT SECONDS`` (mfusepy and libfuse); each
mount is one host's view of the folder SERVER. As by nfs(5): what was once asked about a name, that
it is not there included, and the listing of a folder hold for so many seconds; a host sees its own
changes at once, and what it opens is asked for anew (close-to-open). More cruelly than NFS, a name
that another host made is not seen at all before it is so many seconds old. Locks, ``flock`` and
``lockf``, hold over all hosts. A file that another host removed while it is open here ends in
ESTALE.
"""

import errno
import fcntl
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import mfusepy

Given = TypeVar("Given")
_OFD = {fcntl.F_GETLK: 36, fcntl.F_SETLK: 37, fcntl.F_SETLKW: 38}  # owned by the open file
_LOCK = "hhqqi"


class Host(mfusepy.Operations):
    """One host's view of a folder.

    Parameters
    ----------
    server
        The folder.
    seconds
        How long what is known of a name holds.
    """

    use_ns = True

    def __init__(self, server: str, seconds: float) -> None:
        self._server, self._seconds = server, seconds
        self._known: dict[str, tuple[float, Any]] = {}
        self._met: set[tuple[int, int]] = set()  # files that this host made or has seen
        self._guard = threading.Lock()

    def _at(self, path: str) -> str:
        return self._server + path

    def _kept(self, key: str, ask: Callable[[], Given]) -> Given:
        """What was answered before, if that is not long ago; errors are answers."""
        now = time.monotonic()
        with self._guard:
            when, answer = self._known.get(key, (-1e9, None))
        if now - when > self._seconds:
            try:
                answer = ask()
            except OSError as error:
                answer = error
            with self._guard:
                self._known[key] = now, answer
        if isinstance(answer, OSError):
            raise OSError(answer.errno, os.strerror(answer.errno or 0))
        return answer

    def _changed(self, *paths: str) -> None:
        """Forget what was known of names that this host has changed, and of their folders."""
        with self._guard:
            for path in paths:
                for key in (path, f"ls {os.path.dirname(path) or '/'}", os.path.dirname(path)):
                    self._known.pop(key or "/", None)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Where the server says that a name is there already, what was known is forgotten."""
        try:
            yield
        except FileExistsError:
            self._mine(path)
            self._changed(path)
            raise
        self._mine(path)
        self._changed(path)

    def _mine(self, path: str) -> None:
        found = os.lstat(self._at(path))
        self._met.add((found.st_dev, found.st_ino))

    def _seen(self, path: str) -> os.stat_result:
        """Ask the server; what another host has made just now is not there."""
        found = os.lstat(self._at(path))
        met = (found.st_dev, found.st_ino)
        if met not in self._met and path != "/":
            if time.time() - found.st_ctime < self._seconds:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._met.add(met)
        return found

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.fstat(fh) if fh is not None else self._kept(path, lambda: self._seen(path))
        told = {name: getattr(found, f"st_{name}") for name in ("mode", "nlink", "uid", "gid")}
        told |= {"size": found.st_size, "ino": found.st_ino, "blocks": found.st_blocks}
        times = {name: getattr(found, f"st_{name}_ns") for name in ("atime", "mtime", "ctime")}
        return {f"st_{name}": value for name, value in (told | times).items()}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        def ask() -> list[str]:
            names = []
            for name in os.listdir(self._at(path)):
                try:
                    self._kept(os.path.join(path, name), lambda n=name: self._seen(f"{path}/{n}"))
                except FileNotFoundError:
                    continue
                names.append(name)
            return names

        yield from (".", "..", *self._kept(f"ls {path}", ask))

    def access(self, path: str, amode: int) -> int:
        if not os.access(self._at(path), amode):
            raise mfusepy.FuseOSError(errno.EACCES)
        return 0

    def open(self, path: str, flags: int) -> int:
        handle = os.open(self._at(path), flags & ~(os.O_CREAT | os.O_EXCL))
        self._mine(path)
        self._changed(path)
        with self._guard:
            self._known[path] = time.monotonic(), os.fstat(handle)
        return handle

    def create(self, path: str, mode: int, flags: int = os.O_CREAT | os.O_RDWR) -> int:
        with self._told(path):
            return os.open(self._at(path), flags | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        if not os.fstat(fh).st_nlink:
            raise mfusepy.FuseOSError(errno.ESTALE)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._changed(path)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._at(path) if fh is None else fh, length)
        self._changed(path)
        return 0

    def flush(self, path: str, fh: int) -> int:
        self._changed(path)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        os.fsync(fh)
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        with self._told(path):
            os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        self._changed(path)
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._at(path))
        self._changed(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._mine(old)
        os.rename(self._at(old), self._at(new))
        with self._guard:  # and all that lies below
            for key in [k for k in self._known if k.removeprefix("ls ").startswith((old, new))]:
                del self._known[key]
        self._changed(old, new)
        return 0

    def link(self, target: str, source: str) -> int:
        with self._told(target):
            os.link(self._at(source), self._at(target))
        self._changed(source)
        return 0

    def symlink(self, target: str, source: str) -> int:
        with self._told(target):
            os.symlink(source, self._at(target))
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._at(path), mode)
        self._changed(path)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._at(path), uid, gid, follow_symlinks=False)
        self._changed(path)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._at(path), ns=times, follow_symlinks=False)
        self._changed(path)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        names = ("bavail", "bfree", "blocks", "bsize", "frsize", "files", "ffree", "namemax")
        return {f"f_{name}": getattr(found, f"f_{name}") for name in names}

    def flock(self, path: str, fh: int, op: int) -> int:
        fcntl.flock(fh, op)
        return 0

    def lock(self, path: str, fh: int, cmd: int, lock: Any) -> int:
        asked = lock.contents
        words = (asked.l_type, asked.l_whence, asked.l_start, asked.l_len, 0)
        told = fcntl.fcntl(fh, _OFD[cmd], struct.pack(_LOCK, *words))
        if cmd == fcntl.F_GETLK:
            asked.l_type = struct.unpack(_LOCK, told)[0]
        return 0


if __name__ == "__main__":
    _, served, mounted, delay = sys.argv
    mfusepy.FUSE(
        Host(os.path.realpath(served), float(delay)),
        mounted,
        foreground=True,
        attr_timeout=0.0,
        entry_timeout=0.0,
        negative_timeout=0.0,
        ac_attr_timeout=0.0,
        fsname="nfs-like",
    )
