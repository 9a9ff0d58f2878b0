"""What is left of a unit's steps in the work folder: taken away when it is done, or torn."""

import shutil
from pathlib import Path

_PLACES = ("all", "jobs")


def forget_unit(base: Path, name: str) -> None:
    """Remove the steps of a unit, which is done.

    Parameters
    ----------
    base
        Work place of the participant level.
    name
        Of the unit's workflow.
    """
    for place in _PLACES:
        shutil.rmtree(base / place / name, ignore_errors=True)
    (base / "jobs" / "all" / f"{name}.pklz").unlink(missing_ok=True)


def forget_torn(base: Path, name: str) -> None:
    """Remove the steps of a unit where a file of them is empty, so that they are done anew.

    A machine that loses power, or a disk that fails, leaves files that were just written without
    their content. nipype takes such a step for done, cannot read it, and would fail each time.
    """
    files = (path for place in _PLACES for path in (base / place / name).rglob("*"))
    if any(p.suffix != ".json" and p.is_file() and not p.stat().st_size for p in files):
        forget_unit(base, name)
