"""A user who may not read everything, also where the tests run as root."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def folder_of_all() -> Path:
    """Folder for temporary files that everybody may use: TMPDIR may be its owner's alone."""
    for name in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        folder = Path(name)
        reached = all(one.stat().st_mode & 0o001 for one in [folder, *folder.parents])
        if reached and folder.stat().st_mode & 0o002:
            return folder
    raise OSError(f"{tempfile.gettempdir()}, /tmp and /var/tmp are closed to other users")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody can get to, as pytest's own cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="test-", dir=folder_of_all()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def as_anybody() -> Iterator[None]:
    """Lose root's right to read everything, where one has it.

    What is imported inside may not be readable: import it before.
    """
    user, own = os.geteuid(), tempfile.tempdir
    tempfile.tempdir = str(folder_of_all())
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        tempfile.tempdir = own
