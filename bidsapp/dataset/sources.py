"""The files of a scan: one main image, and what else its modality reads, found by their names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bidsapp.contracts.parts import ToldParts
from bidsapp.contracts.product import LONG_NAMES
from bidsapp.contracts.scan import Scan, Source, SourceFile
from bidsapp.dataset.ambiguity import advise
from bidsapp.dataset.bidsignore import NAME as BIDSIGNORE
from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.description import shortened
from bidsapp.dataset.filters import OPTION, check_bids_filters, describe, passes
from bidsapp.dataset.images import ImageChoice, Refusal, nothing_left, select_images
from bidsapp.dataset.query import MAGNITUDE
from bidsapp.dataset.scans import EXTENSIONS, names_in, session_folders
from bidsapp.dataset.told_parts import ByPart
from bidsapp.errors import NociCastError, NoInput, NothingSelected, UsageError
from bidsapp.intake.pointers import pointer_at
from bidsapp.intake.regular import is_text, require_regular
from bidsapp.options import RunOptions

Filters = Mapping[str, Mapping[str, Any]]
Why = tuple[str, type[NociCastError]]
"""Why a scan is refused, and the error that has the exit code."""


@dataclass(frozen=True)
class ScanSelection:
    """Scans to work on, and refusals; each sorted by participant and session.

    `ignored` are images of the main kind that the dataset's ``.bidsignore`` lists: paths inside it.
    """

    scans: tuple[Scan, ...]
    refusals: tuple[Refusal, ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    """A file of a source that is no main one."""

    participant: str
    session: str | None
    path: Path
    relative_path: str
    entities: dict[str, str]
    dataset: str

    @property
    def name(self) -> str:
        return self.path.name


def select_scans(
    options: RunOptions,
    sources: Sequence[Source],
    filters: Filters | None = None,
    told: ToldParts | None = None,
) -> ScanSelection:
    """Pick the files of every participant and session, and part where images tell parts.

    Parameters
    ----------
    options
        Uses ``bids_dir``, ``output_dir``, ``participant_label``, ``session_label``,
        ``bids_filters``, ``bids_database_dir`` and ``derivatives``.
    sources
        Of the modality, the main one first: whoever has that one is a scan.
    filters
        The recipe's, by the name of a source; a person's filters win.
    told
        How images of different parts of one session are told apart; see `Modality.told_parts`.

    Returns
    -------
    ScanSelection
        With at least one scan. A scan that lacks a required source, or has several files where
        one is needed, is refused, with the filter that would choose.

    Raises
    ------
    NoInput, InvalidDataset, NothingSelected, UsageError
        As `select_images`; nobody has all that is required.
    """
    named = [source.name for source in sources]
    check_bids_filters(options.bids_filters, also=named)
    check_bids_filters(filters or {}, "inputs.filters", also=named)
    given = {source.name: _filters(source, filters or {}, options) for source in sources}
    if options.derivatives and not any(source.derivatives or source.anywhere for source in sources):
        raise UsageError(
            f"-d {next(iter(options.derivatives))}: scans are prepared from {options.bids_dir} "
            "alone, also for --model, which judges how each was prepared; give -d at the group "
            "level (with --model, on people whose outcome is known), or leave it out."
        )
    main, others = sources[0], sources[1:]
    inputs = _inputs(main, given[main.name])
    selection = select_images(options, inputs, many=main.many, told=told, also=named)
    scans = [_scan(main, choice) for choice in selection.choices]
    by_part = ByPart.of(scans, told) if told else None
    refusals = list(selection.refusals)
    for source in others:
        scans, refused = _with_source(scans, source, given[source.name], options, by_part)
        refusals += refused
    if main.metadata:
        scans, refused = _with_metadata(scans, main, options.bids_dir)
        refusals += refused
    if not scans:
        raise nothing_left(main.suffix, refusals)
    return ScanSelection(
        tuple(scans),
        tuple(sorted(refusals, key=lambda one: (one.participant, one.session or "", one.part))),
        selection.ignored,
    )


def _with_metadata(
    scans: Sequence[Scan], main: Source, root: Path
) -> tuple[list[Scan], list[Refusal]]:
    """Refuse scans for whose images a JSON file cannot be read."""
    from bidsapp.dataset.scanners import refuse_unread

    images = [file.path for scan in scans for file in scan.files[main.name]]
    wrong = refuse_unread(root, images, main.suffix)
    kept: list[Scan] = []
    refused: list[Refusal] = []
    for scan in scans:
        first = next((wrong[one.path] for one in scan.files[main.name] if one.path in wrong), None)
        if first is None:
            kept.append(scan)
        else:
            who = (scan.participant, scan.session)
            refused.append(Refusal(*who, str(first), type(first), scan.part))
    return kept, refused


def _filters(source: Source, recipe: Filters, options: RunOptions) -> dict[str, Any]:
    return {
        **source.entities,
        **recipe.get(source.name, {}),
        **options.bids_filters.get(source.name, {}),
    }


def _inputs(main: Source, filters: Mapping[str, Any]) -> Any:
    return SimpleNamespace(
        name=main.name,
        datatype=main.datatype,
        suffix=main.suffix,
        entities=dict(filters),
        several=main.several,
    )


def _scan(main: Source, choice: ImageChoice) -> Scan:
    files = tuple(
        SourceFile(path, relative, entities, choice.reason)
        for path, relative, entities in choice.all_files
    )
    return Scan(choice.participant, choice.session, {main.name: files}, choice.part)


def _with_source(
    scans: Sequence[Scan],
    source: Source,
    filters: Mapping[str, Any],
    options: RunOptions,
    by_part: ByPart | None,
) -> tuple[list[Scan], list[Refusal]]:
    """Give every scan its files of one more source; refuse those that cannot have them."""
    roots = _datasets(source, options)
    there: dict[str, list[_File]] = {}
    lost: dict[str, str] = {}
    for label in dict.fromkeys(scan.participant for scan in scans):
        try:
            there[label] = list(_files(label, source, roots))
        except NoInput as error:
            lost[label] = str(error)
    every = [_belonging(scan, source, there.get(scan.participant, ()), filters) for scan in scans]
    found: list[list[_File]] = []
    wrong: dict[int, NociCastError] = {}
    for place, (scan, files) in enumerate(zip(scans, every, strict=True)):
        try:
            found.append(by_part.kept(scan, files) if by_part else files)
        except NociCastError as error:
            wrong[place] = error
            found.append([])
    groups = [files for files in found if files]
    given = options.bids_filters.get(source.name, {})
    advice = {} if source.many else advise(groups, source.name, given)
    kept: list[Scan] = []
    refused: list[Refusal] = []
    for place, (scan, files) in enumerate(zip(scans, found, strict=True)):
        why: Why | None
        if scan.participant in lost:
            why = lost[scan.participant], NoInput
        elif place in wrong:
            why = str(wrong[place]), type(wrong[place])
        else:
            why = _why_not(scan, source, files, filters, roots, advice)
            if why is not None and not files and every[place] and by_part:
                names = shortened([file.name for file in every[place]])
                why = f"{why[0]}; there is {names}: {by_part.told.how}", why[1]
        if why is not None:
            refused.append(Refusal(scan.participant, scan.session, *why, scan.part))
            continue
        taken = tuple(
            SourceFile(file.path, file.relative_path, file.entities, dataset=file.dataset)
            for file in files
        )
        kept.append(replace(scan, files={**scan.files, source.name: taken}))
    return kept, refused


def _datasets(source: Source, options: RunOptions) -> dict[str, Path]:
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


def _files(participant: str, source: Source, roots: Mapping[str, Path]) -> Iterator[_File]:
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
                    yield _File(participant, where, path, relative, entities, dataset)


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


def _belonging(
    scan: Scan, source: Source, files: Sequence[_File], filters: Mapping[str, Any]
) -> list[_File]:
    """Keep of a participant's files those that belong to a scan and pass the filters."""
    entities = scan.main.entities
    # as of main images, phase and real or imaginary parts are taken only where they are asked for
    images = set(source.extensions) <= set(EXTENSIONS) and not source.derivatives
    wanted = {**({"part": list(MAGNITUDE)} if images else {}), **filters}
    fit = [
        file
        for file in files
        if all(_alike(file.entities.get(one), entities.get(one)) for one in source.same)
        and passes(file.entities, wanted)
    ]
    own = [file for file in fit if file.session == scan.session]
    return own or (fit if source.any_session else [])


def _alike(one: str | None, other: str | None) -> bool:
    """Compare labels; zeros before a number mean nothing."""
    if one is not None and other is not None and one.isdigit() and other.isdigit():
        return int(one) == int(other)
    return one == other


def _why_not(
    scan: Scan,
    source: Source,
    files: Sequence[_File],
    filters: Mapping[str, Any],
    roots: Mapping[str, Path],
    advice: Mapping[str, str],
) -> Why | None:
    kind = f"{source.suffix} ({source.name})" if source.suffix != source.name else source.suffix
    if not files:
        return (
            (_missing(scan, source, kind, filters, roots), NothingSelected)
            if (source.required)
            else None
        )
    if len(files) > 1 and not source.many:
        names = shortened([f"{file.dataset}:{file.name}".lstrip(":") for file in files])
        datasets = sorted({file.dataset for file in files})
        how = advice.get(files[0].relative_path, "")
        if len(datasets) > 1:
            how = (
                f"leave one, or list the other in {BIDSIGNORE}"
                if "" in datasets
                else f"name the one dataset that is to be read, with -d {datasets[0]}=PATH"
            )
        return f"{len(files)} {kind} files where one is needed: {names}; {how}", UsageError
    for file in files:
        pointer = pointer_at(file.path)
        if pointer is not None:
            return f"{file.relative_path} {pointer.advice}", NoInput
        try:
            require_regular(file.path)
        except OSError as error:
            return f"{file.relative_path}: {error.strerror or error}", NoInput
    return None


def _missing(
    scan: Scan,
    source: Source,
    kind: str,
    filters: Mapping[str, Any],
    roots: Mapping[str, Path],
) -> str:
    """Say which file a scan lacks, and where it was looked for."""
    where = _who(scan.participant, scan.session).replace(" ", "/")
    endings = " or ".join(source.extensions)
    asked = describe(filters)
    by = f" with {asked}" if asked else ""
    if source.derivatives and not roots:
        return (
            f"no {kind}: no derivative dataset is there; give -d NAME=PATH, the folder of the one "
            "that holds it"
        )
    listed = f" of {shortened(list(roots))}" if source.derivatives else ""
    same = [one for one in source.same if one in scan.main.entities]
    like = f" like {scan.main.path.name} in {', '.join(same)}" if same else ""
    return (
        f"no {kind} ({endings}){by}{like} in {where}/{source.datatype}{listed}; add it, or choose "
        f"it with {OPTION} if it goes by other labels (files that {BIDSIGNORE} lists do not count)"
        + (f"; {source.without}" if source.without else "")
    )


def _who(participant: str, session: str | None) -> str:
    return f"sub-{participant}" + (f" ses-{session}" if session else "")
