"""The files of a scan: one main image, and what else its modality reads, found by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bidsapp.contracts.parts import ToldParts
from bidsapp.contracts.scan import Scan, Source, SourceFile
from bidsapp.dataset.ambiguity import advise
from bidsapp.dataset.bidsignore import NAME as BIDSIGNORE
from bidsapp.dataset.description import shortened
from bidsapp.dataset.filters import OPTION, check_bids_filters, describe
from bidsapp.dataset.images import ImageChoice, select_images
from bidsapp.dataset.refusals import Refusal, nothing_left
from bidsapp.dataset.source_files import (
    SourceCandidate,
    belonging,
    datasets_of,
    files_of,
    source_file,
)
from bidsapp.dataset.told_parts import ByPart
from bidsapp.errors import NociCastError, NoInput, NothingSelected, UsageError
from bidsapp.intake.pointers import pointer_at
from bidsapp.intake.regular import require_regular
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
    for source in sources:
        if source.metadata:
            scans, refused = _with_metadata(scans, source)
            refusals += refused
    if not scans:
        raise nothing_left(main.suffix, refusals)
    return ScanSelection(
        tuple(scans),
        tuple(sorted(refusals, key=lambda one: (one.participant, one.session or "", one.part))),
        selection.ignored,
    )


def _with_metadata(scans: Sequence[Scan], source: Source) -> tuple[list[Scan], list[Refusal]]:
    """Refuse scans for whose files of a source a JSON file cannot be read."""
    from bidsapp.dataset.scanners import refuse_unread

    by_root: dict[Path, list[Path]] = {}
    for file in (file for scan in scans for file in scan.files.get(source.name, ())):
        by_root.setdefault(file.root, []).append(file.path)
    wrong: dict[Path, NociCastError] = {}
    for root, images in by_root.items():
        wrong |= refuse_unread(root, images, source.suffix)
    kept: list[Scan] = []
    refused: list[Refusal] = []
    for scan in scans:
        files = scan.files.get(source.name, ())
        first = next((wrong[one.path] for one in files if one.path in wrong), None)
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
        SourceFile(path, relative, entities, choice.reason, picked=choice.picked)
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
    roots = datasets_of(source, options)
    there: dict[str, list[SourceCandidate]] = {}
    lost: dict[str, str] = {}
    for label in dict.fromkeys(scan.participant for scan in scans):
        try:
            there[label] = list(files_of(label, source, roots))
        except NoInput as error:
            lost[label] = str(error)
    every = [belonging(scan, source, there.get(scan.participant, ()), filters) for scan in scans]
    found: list[list[SourceCandidate]] = []
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
            source_file(file, files, there.get(scan.participant, ()), scan) for file in files
        )
        kept.append(replace(scan, files={**scan.files, source.name: taken}))
    return kept, refused


def _why_not(
    scan: Scan,
    source: Source,
    files: Sequence[SourceCandidate],
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
