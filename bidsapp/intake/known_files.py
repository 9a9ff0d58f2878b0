"""Files of weights and templates by their hashes: nothing else is loaded in their place."""

import hashlib
from pathlib import Path

from bidsapp.errors import BadData, NoInput


def require_known(path: Path, sha256: str, package: str) -> None:
    """Raise BadData where a file is not, byte for byte, the one that this version is tested with.

    Parameters
    ----------
    path
        Of the file.
    sha256
        In hexadecimal digits.
    package
        Distribution that brings the file, with its version.

    Raises
    ------
    BadData
        It is another file.
    NoInput
        It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise NoInput(
            f"{path} cannot be read ({error.strerror}). It belongs to {package}: install it again, "
            "with -c constraints.txt."
        ) from error
    if found != sha256:
        raise BadData(
            f"{path} is not the file that belongs to {package} (SHA-256 {found[:12]}…, expected "
            f"{sha256[:12]}…), so it is not loaded: install it again, with -c constraints.txt."
        )
