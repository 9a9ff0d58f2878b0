"""What a modality reads, and the files of one scan that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """A kind of file that a modality reads.

    The first source of a modality is the main one: every participant and session that has it is
    a scan, or several, where it has one of each of several parts (`Scan.part`). Files of the other
    sources are looked up for each scan, and belong to it by participant, session and the entities
    of `same`, and by the part where parts are told apart.

    Attributes
    ----------
    name
        Its name in code, and the key of its filters in ``--bids-filter-file``.
    datatype, suffix
        BIDS folder and end of the name.
    entities
        Filters as a filter file writes them, under pybids' names; a person's filters win.
    extensions
        Ends of file names: images, or ``.tsv`` for a table, ``.json``.
    many
        Whether all files that are left are taken, in the order of their names (echoes, runs);
        else more than one is refused with the filter that would choose.
    metadata
        Whether what the JSON files of its images say is read: a scan is refused for which one of
        them, by BIDS's inheritance, cannot be. A file that is not there is none of them.
    required
        Whether a scan without it is refused.
    same
        Entities in which its files agree with the main source's, where those have them.
    any_session
        Whether a file of another session, or of none, serves where the scan's own session has
        none.
    derivatives
        Whether it lies in a derivative dataset (``-d NAME=PATH``, or a folder of
        ``<bids_dir>/derivatives``) and not in the dataset itself.
    anywhere
        Whether it may lie in the dataset itself or in a derivative dataset.
    without
        How to do without it, for whoever lacks it; empty where nothing can be done.
    several
        How to have all files taken where one is needed and there are more; empty where it cannot be
        done.
    """

    name: str
    datatype: str
    suffix: str
    entities: Mapping[str, Any] = field(default_factory=dict)
    extensions: tuple[str, ...] = (".nii.gz", ".nii")
    many: bool = False
    required: bool = True
    metadata: bool = False
    same: tuple[str, ...] = ()
    any_session: bool = False
    derivatives: bool = False
    anywhere: bool = False
    without: str = ""
    several: str = ""


@dataclass(frozen=True)
class SourceFile:
    """A file of a source.

    Attributes
    ----------
    path, relative_path
        Where it is, and its POSIX path inside its dataset (for BIDS URIs).
    entities
        Entities of the file name, zero-padding kept; with datatype, suffix and extension.
    reason
        One phrase: how it was chosen.
    dataset
        Name of its derivative dataset; empty for the dataset itself.
    picked
        Whether it was picked among other images of its kind, visit and part, which another run can
        pick.
    """

    path: Path
    relative_path: str
    entities: Mapping[str, str]
    reason: str = ""
    dataset: str = ""
    picked: bool = False

    @property
    def root(self) -> Path:
        """Folder of its dataset."""
        return self.path.parents[len(Path(self.relative_path).parts) - 1]

    @property
    def address(self) -> str:
        """BIDS URI of the file, by which sidecars name it."""
        return f"bids:{self.dataset or 'raw'}:{self.relative_path}"


@dataclass(frozen=True)
class Scan:
    """The files of one participant and session that are prepared together.

    Attributes
    ----------
    participant, session
        Labels without their prefix; session is None where the files have none.
    files
        Name of a source to its files: one, several where it takes many, none where it is optional
        and not there. The main source stands first.
    part
        Which part of the person all of them are of, where the visit has a scan of each of several
        parts (two knees); else empty.
    """

    participant: str
    session: str | None
    files: Mapping[str, tuple[SourceFile, ...]]
    part: str = ""

    @property
    def main(self) -> SourceFile:
        """The first file of the main source."""
        return next(iter(self.files.values()))[0]

    def path(self, source: str) -> Path | None:
        """Where the first file of a source is; None where it has none."""
        found = self.files.get(source, ())
        return found[0].path if found else None
