"""Files of weights in torch's format, a zip archive: every checksum in it is checked.

torch itself passes over them: it is built without miniz's test of CRC-32.
"""

import zipfile
from pathlib import Path

from bidsapp.errors import BadData
from bidsapp.intake.regular import open_regular


def check_archive(path: Path) -> None:
    """Read a file of weights to its end and compare all its checksums.

    Files of torch before 1.6 are no archives and have none: they pass.

    Parameters
    ----------
    path
        What ``torch.save`` wrote.

    Raises
    ------
    BadData
        A checksum, a name or a length in the archive is wrong.
    OSError
        The file cannot be read, or is no regular file.
    """
    with open_regular(path) as stream:
        if stream.read(2) != b"PK":
            return
        try:
            with zipfile.ZipFile(stream) as archive:
                bad = archive.testzip()
        except Exception as error:  # zipfile raises many types for what is damaged
            raise BadData(
                f"{path} is damaged or cut short ({error}); download or copy it again."
            ) from error
    if bad is not None:
        raise BadData(
            f"{path} is damaged: the checksum of {bad} in it is wrong; download or copy it again."
        )
