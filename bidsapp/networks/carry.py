"""``python -m bidsapp.networks.carry "ADDRESS ..."``: fetch MedicalNet's files for an image."""

import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from bidsapp.derivatives import atomic_path
from bidsapp.errors import NociCastError
from bidsapp.networks.weights import CARRIED, WHERE_TO_GET

_TIMEOUT_S = 120


def main(arguments: Sequence[str]) -> int:
    """Fetch files of weights into the folder that ``NOCICAST_WEIGHTS`` names.

    Parameters
    ----------
    arguments
        Addresses of ``resnet_<depth>_23dataset.pth``; each argument one or several that blanks
        separate.

    Returns
    -------
    int
        0, also where a file cannot be had, which is said; 64 where no folder is named.
    """
    place = os.environ.get(CARRIED)
    if not place:
        print(f"{CARRIED} must name a folder.", file=sys.stderr)
        return 64
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    addresses = " ".join(arguments).split()
    for address in addresses:
        target = folder / Path(urlparse(address).path).name
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
                content = answer.read()
            with atomic_path(target) as temporary:
                temporary.write_bytes(content)
            print(f"carried: {target}")
        except (OSError, ValueError, NociCastError) as error:
            print(f"NOT carried: {address} ({error}). {WHERE_TO_GET}", file=sys.stderr)
    if not addresses:
        print("No MedicalNet weights are carried; name a file of them with --weights.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
