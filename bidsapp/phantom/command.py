"""The command line that all phantoms share: a new folder, how many people, a seed."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bidsapp.errors import NociCastError


def phantom_parser(
    module: str, description: str | None, participants: int
) -> argparse.ArgumentParser:
    """Begin the command line of ``python -m MODULE FOLDER``.

    Parameters
    ----------
    module
        Its name.
    description
        The module's docstring.
    participants
        How many by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("folder", type=Path, help="folder to write; must be empty or new")
    parser.add_argument(
        "--participants", type=int, default=participants, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is random (default: 0)"
    )
    return parser


def make_and_tell(make: Callable[[], object], told: str) -> int:
    """Make a phantom; gives the exit code.

    Parameters
    ----------
    make
        Writes it.
    told
        Printed once it is there.
    """
    try:
        make()
    except NociCastError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    print(told)
    return 0
