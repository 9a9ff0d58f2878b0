"""The group level, read top to bottom."""

from bidsapp.errors import UsageError
from bidsapp.options import RunOptions


def run_group_level(options: RunOptions) -> int:
    """Say that this level is not in this version."""
    raise UsageError(
        "The group level is not part of this version yet; the participant level of "
        f"{options.bids_dir} can be run now."
    )
