"""One kind of image and its filters, looked up in the index."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.filters import to_pybids
from bidsapp.dataset.layout import REBUILD, close_layout, file_entities, open_layout
from bidsapp.dataset.scans import EXTENSIONS, image_files
from bidsapp.errors import UsageError
from bidsapp.options import RunOptions

# Phase, real and imaginary images are no anatomy; a filter on `part` can still ask for them.
MAGNITUDE = (None, "mag")


class Inputs(Protocol):
    """What a recipe says about its images; more filters may be in a mapping ``entities``."""

    @property
    def datatype(self) -> str:
        """Folder name, such as ``anat``."""

    @property
    def suffix(self) -> str:
        """Last part of the file name, such as ``T1w``."""


@dataclass(frozen=True)
class Found:
    """One image of the wanted kind.

    Its entities, whether it passes the filters, and whether ``.bidsignore`` lists it.
    """

    participant: str
    session: str | None
    relative_path: str
    entities: dict[str, str]
    passes: bool
    ignored: bool = False

    @property
    def name(self) -> str:
        """File name."""
        return PurePosixPath(self.relative_path).name


@dataclass(frozen=True)
class Query:
    """Filters for one kind of image, as values of JSON; `name` is the query's in filter files.

    `many` says whether all images are wanted that pass, and not only one; `several` how to have
    all, where one is.
    """

    name: str
    datatype: str
    suffix: Any
    filters: dict[str, Any]
    regex: bool
    many: bool = False
    several: str = ""

    @property
    def kind(self) -> str:
        """Name of such an image for a person, such as ``T1w``."""
        return self.suffix if isinstance(self.suffix, str) else "|".join(map(str, self.suffix))


def query_name(inputs: Inputs) -> str:
    """Name of the query of such images in filter files."""
    return getattr(inputs, "name", "") or inputs.suffix.lower()


def make_query(
    inputs: Inputs, bids_filters: Mapping[str, Mapping[str, Any]], *, many: bool = False
) -> Query:
    """Merge the recipe's inputs with the person's filters, which win."""
    name = query_name(inputs)
    merged: dict[str, Any] = {"datatype": inputs.datatype, "suffix": inputs.suffix}
    merged.update(getattr(inputs, "entities", None) or {})
    merged.update(bids_filters.get(name, {}))
    datatype, suffix = merged.pop("datatype"), merged.pop("suffix")
    if not isinstance(datatype, str):
        raise UsageError(f"filter {name}.datatype must be one folder name, such as anat.")
    if suffix is None:
        raise UsageError(f"filter {name}.suffix must be a suffix, such as T1w.")
    regex = bool(merged.pop("regex_search", False))
    several = getattr(inputs, "several", "")
    return Query(name, datatype, suffix, merged, regex, many, several)


def find_images(
    options: RunOptions,
    query: Query,
    participants: Sequence[str],
    unreadable: Collection[tuple[str, str]] = (),
) -> dict[str, list[Found]]:
    """All images of the query's kind by participant, those that its filters leave out too.

    What is `unreadable`, participant and session (empty for all of the participant), is left out.

    Raises
    ------
    UsageError
        A database lacks images that are in the dataset, or read their names otherwise.
    """
    ignore = read_bidsignore(options.bids_dir)
    lost = [f"sub-{label}" + (f"/ses-{ses}" if ses else "") for label, ses in unreadable]
    layout = open_layout(
        options.bids_dir, participants, query.datatype, options.bids_database_dir, lost
    )
    root = layout.root
    try:
        paths = _paths(layout, query.datatype, query.suffix, {}, False)
        filters = {"part": MAGNITUDE, **query.filters}
        passing = set(_paths(layout, query.datatype, query.suffix, filters, query.regex))
        found: dict[str, list[Found]] = defaultdict(list)
        for path in paths:
            relative = Path(os.path.relpath(path, root)).as_posix()
            entities = file_entities(layout, relative)
            participant, session = _folders(relative)
            session = session or entities.get("session")
            found[participant].append(
                Found(
                    participant,
                    session,
                    relative,
                    entities,
                    path in passing,
                    ignore.ignores(relative),
                )
            )
        one = layout.get_file(paths[0]).get_entities(metadata=False) if paths else {}
        here = file_entities(layout, os.path.relpath(paths[0], root)) if paths else {}
    finally:
        close_layout(layout)
    if options.bids_database_dir is not None:
        # pybids reads names in the whole path, so a database of others may call all sub-<folder>.
        if one.get("subject") != here.get("subject"):
            raise UsageError(
                f"--bids-database-dir {options.bids_database_dir} has participant "
                f"{one.get('subject')} for {paths[0]}; {REBUILD}."
            )
        known = {*found, *(label for label, _ in unreadable)}
        _require_all(options, query, [label for label in participants if label not in known])
    return found


def _folders(relative: str) -> tuple[str, str | None]:
    """Labels of the folders: a copy in ``sub-01_old`` is not one more image of participant 01."""
    parts = relative.split("/")
    session = parts[1].removeprefix("ses-") if parts[1].startswith("ses-") else None
    return parts[0].removeprefix("sub-"), session


def _paths(
    layout: Any, datatype: str, suffix: Any, filters: Mapping[str, Any], regex: bool
) -> list[str]:
    """Ask pybids; the kind is matched whole even where the filters are regular expressions."""
    wanted = {"datatype": datatype, "suffix": suffix, "extension": list(EXTENSIONS), **filters}
    if regex:
        for key in ("datatype", "suffix"):
            values = wanted[key] if isinstance(wanted[key], list) else [wanted[key]]
            wanted[key] = [rf"^{re.escape(str(value))}$" for value in values]
    wanted = {key: to_pybids(value) for key, value in wanted.items()}
    # The names were checked; "allow" serves entities that no file of this dataset has.
    return layout.get(return_type="filename", regex_search=regex, invalid_filters="allow", **wanted)


def _require_all(options: RunOptions, query: Query, absent: Sequence[str]) -> None:
    """Refuse a database that does not know images which are plainly there."""
    suffixes = query.suffix if isinstance(query.suffix, list) else [query.suffix]
    for label in absent:
        for path in image_files(options.bids_dir, label, query.datatype, suffixes):
            raise UsageError(
                f"--bids-database-dir {options.bids_database_dir} does not know "
                f"{path.relative_to(options.bids_dir)}: it is older than the dataset or was made "
                f"with other settings; {REBUILD}."
            )
