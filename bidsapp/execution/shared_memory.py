"""Locks between the processes of a run, which the system keeps in /dev/shm."""

import multiprocessing
import os

from bidsapp.errors import CannotCreateOutput


def check_shared_memory() -> None:
    """Require that processes can share locks, before any work begins.

    Raises
    ------
    CannotCreateOutput
        ``/dev/shm`` is full, cannot be written, or is not there.
    """
    try:
        multiprocessing.get_context("forkserver").Lock()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotCreateOutput(
            f"/dev/shm cannot be used ({reason}): the processes of a run keep their locks there. "
            "Docker: add --tmpfs /dev/shm, or --shm-size 64m; Apptainer: add --bind /dev/shm; "
            "where it is full (df /dev/shm), remove what others left. Without it, --nipype-plugin "
            "Linear does one step after the other."
        ) from error
