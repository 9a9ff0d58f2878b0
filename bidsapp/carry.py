"""``python -m bidsapp.carry templates|weights "NAME ..."``: what a container image carries."""

import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from bidsapp.derivatives import atomic_path
from bidsapp.errors import NociCastError
from bidsapp.networks.weights import CARRIED, WHERE_TO_GET
from bidsapp.templates import catalogue
from bidsapp.templates.embedded import DEFAULT, lay_embedded
from bidsapp.templates.resolve import resolve_template

_TIMEOUT_S = 120


def carry_templates(arguments: Sequence[str]) -> int:
    """Lay the embedded template into TEMPLATEFLOW_HOME, and fetch those that are named.

    Parameters
    ----------
    arguments
        Names of templates, each argument one or several that blanks separate.

    Returns
    -------
    int
        0, also where a template cannot be had, which is said; the exit code of what went wrong
        where the embedded one cannot be laid.
    """
    home = catalogue.templateflow_home()
    try:
        print(f"carried: {lay_embedded(home)}")
    except NociCastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name in " ".join(arguments).split():
        if name == DEFAULT:
            continue
        try:
            print(f"carried: {resolve_template(name, home=None).t1w}")
        except NociCastError as error:
            print(f"NOT carried: template {name}. {error}", file=sys.stderr)
    return 0


def carry_weights(arguments: Sequence[str]) -> int:
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


_KINDS = {"templates": carry_templates, "weights": carry_weights}


def main(arguments: Sequence[str]) -> int:
    """Carry templates or weights, as the first argument says; 64 where it says neither."""
    if not arguments or arguments[0] not in _KINDS:
        print('Usage: python -m bidsapp.carry templates|weights "NAME ..."', file=sys.stderr)
        return 64
    return _KINDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
