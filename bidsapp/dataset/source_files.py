"""The files that a participant has of a source, and which of them belong to a scan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.contracts.product import LONG_NAMES
from bidsapp.contracts.scan import Scan, Source, SourceFile
from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.filters import passes, same_label
from bidsapp.dataset.query import MAGNITUDE
from bidsapp.dataset.scans import EXTENSIONS, names_in, session_folders
from bidsapp.intake.regular import is_text
from bidsapp.options import RunOptions


@dataclass(frozen=True)
class SourceCandidate:
    """A file of a source that is no main one."""

    participant: str
    session: str | None
    path: Path
    relative_path: str
    entities: dict[str, str]
    dataset: str

    @property
    def name(self) -> str:
        """Without its folder."""
        return self.path.name


def datasets_of(source: Source, options: RunOptions) -> dict[str, Path]:
    """Name and folder of every dataset in which a source can lie; an empty name is the dataset."""
    own = {} if source.derivatives else {"": options.bids_dir}
    if not source.derivatives and not source.anywhere:
        return own
    if options.derivatives:
        return own | dict(options.derivatives)
    inside = options.bids_dir / "derivatives"
    folders = {name: inside / name for name in names_in(inside)}
    output = options.output_dir.resolve()
    return own | {
        name: folder
        for name, folder in folders.items()
        if (folder / "dataset_description.json").is_file() and folder.resolve() != output
    }


def files_of(
    participant: str, source: Source, roots: Mapping[str, Path]
) -> Iterator[SourceCandidate]:
    """Every file of a source that a participant has, in the order of datasets and names."""
    endings = tuple(f"_{source.suffix}{extension}" for extension in source.extensions)
    for dataset, root in roots.items():
        ignore = read_bidsignore(root)
        person = root / f"sub-{participant}"
        for folder in session_folders(person):
            session = None if folder == person else folder.name.removeprefix("ses-")
            for name in names_in(folder / source.datatype):
                path = folder / source.datatype / name
                relative = path.relative_to(root).as_posix()
                if not name.endswith(endings) or name.startswith(".") or not is_text(name):
                    continue
                if not ignore.ignores(relative):
                    entities = _entities(name, source)
                    where = session or entities.get("session")
                    yield SourceCandidate(participant, where, path, relative, entities, dataset)


def _entities(name: str, source: Source) -> dict[str, str]:
    """Entities of a file name under pybids' names, those of derivatives too."""
    stem, extension = name, ""
    for ending in source.extensions:
        if name.endswith(ending) and len(ending) > len(extension):
            stem, extension = name.removesuffix(ending), ending
    pairs = (part.partition("-")[::2] for part in stem.split("_") if "-" in part)
    found = {LONG_NAMES.get(key, key): value for key, value in pairs}
    return found | {
        "suffix": source.suffix,
        "datatype": source.datatype,
        "extension": extension,
    }


def belonging(
    scan: Scan, source: Source, files: Sequence[SourceCandidate], filters: Mapping[str, Any]
) -> list[SourceCandidate]:
    """Keep of a participant's files those that belong to a scan and pass the filters."""
    entities = scan.main.entities
    # as of main images, phase and real or imaginary parts are taken only where they are asked for
    images = set(source.extensions) <= set(EXTENSIONS) and not source.derivatives
    wanted = {**({"part": list(MAGNITUDE)} if images else {}), **filters}
    fit = [
        file
        for file in files
        if all(same_label(file.entities.get(one), entities.get(one)) for one in source.same)
        and passes(file.entities, wanted)
    ]
    own = [file for file in fit if file.session == scan.session]
    return own or (fit if source.any_session else [])


def source_file(
    file: SourceCandidate,
    files: Sequence[SourceCandidate],
    there: Sequence[SourceCandidate],
    scan: Scan,
) -> SourceFile:
    """Give one of the files that are taken; say whether its visit has others of the kind."""
    others = (one for one in there if one not in files and one.session == file.session)
    whole = {"part": list(MAGNITUDE)}
    picked = not scan.part and any(passes(one.entities, whole) for one in others)
    return SourceFile(
        file.path, file.relative_path, file.entities, dataset=file.dataset, picked=picked
    )
