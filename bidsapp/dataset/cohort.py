"""The cohort: who is in it with which image and outcome, and who is not, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bidsapp.contracts.unit import PART, with_part
from bidsapp.dataset.carried import carried_columns, carry, column_notes
from bidsapp.dataset.classes import OutcomeRule, check_both_classes
from bidsapp.dataset.cohort_images import (
    check_made_alike,
    find_images,
    hashed,
    lacking,
    refuse_copies,
    unfit,
    version_notes,
)
from bidsapp.dataset.covariates import DATE, OWN
from bidsapp.dataset.groups import groups_of
from bidsapp.dataset.losses import loss_notes
from bidsapp.dataset.matching import KnownParts
from bidsapp.dataset.normalized import NormalizedImage, UnitKey, Wanted
from bidsapp.dataset.outcome import NO_OUTCOME, find_outcomes, outcome_missing, outcome_notes
from bidsapp.dataset.part_columns import told_by_parts
from bidsapp.dataset.part_notes import part_notes
from bidsapp.dataset.people import has_scan, labels_of, people_of
from bidsapp.dataset.scan_dates import scan_dates, undated
from bidsapp.dataset.scanners import sidecar_columns
from bidsapp.dataset.scans import unreadable_scans
from bidsapp.dataset.user_columns import Columns

COLUMNS = tuple(name for name in OWN if name not in (PART, DATE))
"""What is always there, in this order; parts stand behind sessions where scans have them."""
_OF_ALL = tuple(name for name in OWN if name != DATE)
EXCLUSION_COLUMNS = ("participant_id", "session_id", "reason", "detail")


@dataclass(frozen=True)
class Cohort:
    """Who takes part.

    Attributes
    ----------
    table
        One row per scan, sorted: `COLUMNS`, then covariates as text, numbers written plainly, under
        the names of `covariates.stored_name`. ``outcome`` is int 0 or 1; what is missing is None.
        ``image`` is a path inside the output folder or a BIDS URI.
    exclusions
        One row per scan or participant that is not in the table: `EXCLUSION_COLUMNS`.
    files
        The image files of each row of `table`, in its order.
    notes
        What a person should know about how the cohort came about.
    negative
        Values of the outcome's column that count as negative; empty where it is an expression.
    beside
        Variant to the cohort with its images, where these are of another preparation; see `beside`.
    lost
        Scans that could be used and whose outcome is missing: unit, ``reason``, covariates.
    """

    table: pd.DataFrame
    exclusions: pd.DataFrame
    files: tuple[NormalizedImage, ...]
    notes: tuple[str, ...]
    negative: tuple[str, ...] = ()
    beside: Mapping[str, "Cohort"] = field(default_factory=dict)
    lost: pd.DataFrame = field(default_factory=pd.DataFrame)


def build_cohort(
    bids_dir: Path,
    output_dir: Path,
    outcome: OutcomeRule,
    *,
    wanted: Wanted,
    channels: Sequence[str] = (),
    group_column: str | None = None,
    lone_groups: bool = True,
    covariates: Sequence[str] | None = None,
    asked: Sequence[str] = (),
    of_parts: Sequence[str] = (),
    missing_values: Sequence[str] = (),
    same_as_outcome: Sequence[str] = (),
    derivatives: Mapping[str, Path] | None = None,
    participant_label: Sequence[str] = (),
    session_label: Sequence[str] = (),
    dated: Mapping[str, bool] | None = None,
    threads: int = 1,
) -> Cohort:
    """Bring together images, outcomes, groups and covariates.

    Parameters
    ----------
    bids_dir
        The raw dataset, for its tables and its list of participants.
    output_dir
        This app's output, for the normalised images.
    outcome
        Column with positive values, or expression.
    wanted
        Which prepared units: modality and labels of their names.
    channels
        What the network is given: whoever lacks one is left out.
    group_column
        Family or site column whose values stay together in splits; the participant by default.
    lone_groups
        Whether a person without a value there is a group of their own; else they are left out.
    covariates
        Columns to carry along; by default all that the outcome is not made of.
    asked
        Columns that are carried too, under the very names by which they are asked for, such as
        ``pain@1`` or ``participants.age``; those that do not exist are passed over.
    of_parts
        Those that are taken from the part of a scan where no table has them; see `told_by_parts`.
    missing_values
        ``COLUMN=VALUE``: what stands for a missing value; see `Columns`.
    same_as_outcome
        Columns that say the outcome in other words; they are left out as its own are.
    derivatives
        Dataset name to folder. Whoever has an image there is taken from there (the first dataset
        wins), and from `output_dir` otherwise.
    participant_label, session_label
        Labels to keep, without prefix; empty keeps all.
    dated
        Options of `scan_dates` where people are divided by the date of their scan: whoever has
        none is left out; None where dates do not matter.
    threads
        How many images are read at once for their hashes.

    Raises
    ------
    UsageError
        A column or label does not exist (those that do are listed), the outcome is a covariate.
    NoInput
        There is no normalised image at all.
    BadData
        Nobody is left, one class only, the same image under two names, or a label of a table
        could be that of several people.
    """
    raw = wanted.modality.sources[0]
    columns = Columns.read(bids_dir, missing_values, outcome_missing(outcome))
    # Every name is looked up before any image is.
    made = find_outcomes(outcome, columns, [])
    made_of = made.columns
    columns.use(made.row_columns)
    groups_of(columns, group_column, [])
    names = carried_columns(columns, covariates, asked, [*made_of, *same_as_outcome])
    images, unusable, notes = find_images(output_dir, derivatives or {}, wanted, channels)
    imaged = [(unit[0], unit[1]) for unit in (*images, *unusable)]
    rows_of = [*(image.row for image in images.values()), *unusable]
    labels = {row[2] for row in rows_of if len(row) > 2}
    known = KnownParts(labels, wanted.modality.read_part)
    columns, matched = columns.matched(*labels_of(bids_dir, imaged), known)
    # a table whose labels stay unclear is told of, and its columns are not carried
    names = [name for name in names if columns.has(name) or name in (covariates or ())]
    notes += matched
    people = people_of(bids_dir, columns, imaged, participant_label)
    sessions = {f"ses-{label}" for label in session_label}

    def in_run(key: UnitKey) -> bool:
        return key[0] in people and (not sessions or key[1] in sessions)

    excluded = {key: why for key, why in unusable.items() if in_run(key) and key not in images}
    missing = people - {key[0] for key in (*images, *excluded) if in_run(key)}
    closed = unreadable_scans(bids_dir, missing, raw.datatype)
    lost = {person: why for (person, _), why in closed.items()}
    kind = (raw.datatype, raw.suffix)
    unscanned = {p for p in missing - lost.keys() if not has_scan(bids_dir, p, *kind)}
    for person in missing:
        none = f"the dataset holds no {raw.suffix} of this participant"
        why = lost.get(person, none if person in unscanned else "")
        excluded[(person, "")] = lacking(wanted, output_dir, why)

    scans = [images[key] for key in sorted(images) if in_run(key)]
    keys = [scan.row for scan in scans]
    when = dict[UnitKey, str | None]()
    if dated is not None:
        days = scan_dates(bids_dir, scans, raw.suffix, **dated)
        when = {scan.unit: day for scan, day in zip(scans, days, strict=True)}
    found = find_outcomes(outcome, columns, keys)
    groups, about_groups = groups_of(columns, group_column, keys, lone=lone_groups)
    kept = []
    for place, scan in enumerate(scans):
        reason = unfit(scan, channels) or _without_rows(columns, scan.participant_id)
        if reason is None and groups[place] is None:
            reason = ("no group", f"no value, or several, in {group_column}")
        if reason is None and dated is not None and when[scan.unit] is None:
            reason = ("no scan date", undated(bids_dir))
        reason = reason or found.reasons.get(place)
        if reason is None:
            kept.append((scan, groups[place], found.values[place]))
        else:
            excluded[scan.unit] = reason
    check_made_alike([scan for scan, _, _ in kept], wanted.modality.prepared)
    rows, files = hashed(kept, excluded, channels, threads)
    notes += version_notes(files)

    parts = any(len(unit) > 2 for unit in (*images, *excluded))
    listed = [
        (*(text or None for text in (*unit, "")[: 3 if parts else 2]), *why)
        for unit, why in sorted(excluded.items())
    ]
    named = pd.Index(with_part(EXCLUSION_COLUMNS, [PART] * parts))
    exclusions = pd.DataFrame(listed, columns=named, dtype=object)
    table = pd.DataFrame(rows, columns=pd.Index(_OF_ALL), dtype=object)
    if dated is not None:
        table[DATE] = [when[file.unit] for file in files]
    if not any(file.part for file in files):
        table = table.drop(columns=PART)
    if files:
        refuse_copies(table, files, wanted)
    check_both_classes(table, exclusions)
    table["outcome"] = table["outcome"].astype(int)
    keys_of_files = [file.key for file in files]
    carried = carry(columns, names, [file.row for file in files])
    parts_of = [file.part or file.told_part for file in files]
    carried, told = told_by_parts(
        *(wanted.modality, of_parts, carried, parts_of), [file.participant_id for file in files]
    )
    notes += told
    scanners = sidecar_columns(
        bids_dir, keys_of_files, raw.datatype, raw.suffix, [file.source for file in files], notes
    )
    inside = {file.unit for file in files}
    places = [place for place, scan in enumerate(scans) if scan.unit in inside]
    with_outcome = {person for name in made_of for person in columns.people_with(name)}
    with_outcome |= found.people
    counting = (people - unscanned) | (people & with_outcome)
    notes += [*outcome_notes(found, places), *about_groups]
    notes += part_notes(columns, [*made_of, *found.row_columns], rows_of)
    notes += [f"This table is left out: {why}" for why in columns.left_out()]
    notes += column_notes(columns, names)
    notes += loss_notes(excluded, {unit[0] for unit in inside}, counting)
    whole = pd.concat([table, carried, scanners], axis=1)
    gone = _lost(columns, names, excluded)
    return Cohort(whole, exclusions, tuple(files), tuple(notes), found.negative, lost=gone)


def _lost(
    columns: Columns, names: Sequence[str], excluded: Mapping[UnitKey, tuple[str, str]]
) -> pd.DataFrame:
    """Give the covariates of those who are left out for want of an outcome alone."""
    units = [unit for unit, (reason, _) in sorted(excluded.items()) if reason == NO_OUTCOME]
    if not units:
        return pd.DataFrame()
    who = [(unit[0], unit[1] or None, NO_OUTCOME) for unit in units]
    table = pd.DataFrame(who, columns=pd.Index(["participant_id", "session_id", "reason"]))
    return pd.concat([table, carry(columns, names, units)], axis=1)


def _without_rows(columns: Columns, person: str) -> tuple[str, str] | None:
    if person in columns.participants():
        return None
    similar = columns.similar_participant(person)
    hint = f"; they have {similar}: rename one" if similar else ""
    return "participant without rows", f"in no table of the dataset{hint}"
