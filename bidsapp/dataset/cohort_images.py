"""The images of a cohort: found, fit to be used, read once for their hashes, none of them twice."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.contracts.prepared import APP
from bidsapp.dataset.description import shortened
from bidsapp.dataset.normalized import NormalizedImage, NormalizedSearch, UnitKey, Wanted
from bidsapp.dataset.own_output import find_own
from bidsapp.dataset.scans import voxel_hash
from bidsapp.dataset.unchanged import state_of
from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.intake.gifti import ENDING, read_gifti
from bidsapp.intake.images import open_image

_USABLE = ("pass", "warn", "")  # empty: derivatives of others, which are not judged


def find_images(
    output_dir: Path,
    derivatives: Mapping[str, Path],
    wanted: Wanted,
    channels: Sequence[str] = (),
) -> tuple[dict[UnitKey, NormalizedImage], dict[UnitKey, tuple[str, str]], list[str]]:
    """Find everybody's images in derivatives of others and in our own, and who has none to use.

    Parameters
    ----------
    output_dir
        Our own, where images are that no derivatives have.
    derivatives
        Name to folder of what other pipelines made.
    wanted
        What is looked for.
    channels
        That the networks take: it is said which of them a derivative dataset lacks.

    Returns
    -------
    images, unusable
        Unit to its images, or to reason and detail.
    notes
        What a person should know about where they come from.
    """
    searches = [
        wanted.modality.found_elsewhere(name, root, wanted) for name, root in derivatives.items()
    ]
    searches.append(find_own(output_dir, wanted))
    images: dict[UnitKey, NormalizedImage] = {}
    unusable: dict[UnitKey, tuple[str, str]] = {}
    for search in searches:
        for key, image in search.images.items():
            images.setdefault(key, image)
        for key, why in search.unusable.items():
            unusable.setdefault(key, why)
    for key, sentences in _passed_over(searches, {**unusable, **images}).items():
        unusable[key] = lacking(wanted, output_dir, *sentences)
    if not images and not unusable:
        spaces = ", ".join(sorted(searches[-1].spaces))
        raise NoInput(
            f"{output_dir} holds no {wanted.modality.prepared} {wanted.kind} with {wanted.place}"
            f"{f' (it has {spaces})' if spaces else ''}; run the participant level first, or name "
            "a derivative dataset with -d NAME=PATH."
        )
    notes = []
    sources = Counter(image.dataset for image in images.values())
    if len(sources) > 1:
        counts = ", ".join(f"{n} from {s or output_dir}" for s, n in sorted(sources.items()))
        notes.append(f"Images of different pipelines are mixed: {counts}.")
    for name in derivatives:
        there = {c for i in images.values() if i.dataset == name for c in i.channels}
        for channel, told in wanted.modality.channels().items():
            if there and channel in channels and channel not in there:
                notes.append(f"{name} has no {told.title} maps: the channel {channel} needs them.")
    return images, unusable, notes


def lacking(wanted: Wanted, output_dir: Path, *told: str) -> tuple[str, str]:
    """Give reason and detail for a scan that nothing was prepared of; `told` comes first."""
    place = f"with {wanted.place} " if wanted.place else ""
    return (
        f"no {wanted.modality.prepared} image",
        "; ".join(filter(None, (*told, f"none {place}in {output_dir}"))),
    )


def _passed_over(
    searches: Sequence[NormalizedSearch], known: Collection[UnitKey]
) -> dict[UnitKey, list[str]]:
    """Gather what folders have of scans of which none has what is wanted."""
    sessions = defaultdict[str, set[str]](set)
    for person, session, *_ in known:
        sessions[person].add(session)
    found = defaultdict[UnitKey, list[str]](list)
    for search in searches:
        for key, told in search.passed_over.items():
            # folders need not agree on whether a person's only visit has a label
            there = sessions[key[0]]
            if not (there & {key[1], ""} or (there and not key[1])):
                found[key].append(told)
    return found


def unfit(image: NormalizedImage, channels: Sequence[str]) -> tuple[str, str] | None:
    """Say for what reason an image cannot be used; None where it can."""
    if image.quality == "fail":
        return "failed quality", "; ".join(image.quality_reasons) or "verdict of the sidecar"
    if image.quality not in _USABLE:
        detail = f"{image.image}: verdict {image.quality!r} in its sidecar, not pass, warn or fail"
        return "no quality verdict", f"{detail}; run the participant level again"
    absent = next((name for name in channels if name not in image.channels), None)
    if absent is not None:
        return f"no {channel_named(absent).title}", f"none beside {image.image}"
    return None


def hashed(
    kept: Sequence[tuple[NormalizedImage, str | None, int | None]],
    excluded: dict[UnitKey, tuple[str, str]],
    channels: Sequence[str],
    threads: int,
) -> tuple[list[tuple[object, ...]], list[NormalizedImage]]:
    """Rows of the cohort with the images' hashes; what cannot be read joins `excluded`.

    So does whose mask or further channel is damaged, where it will be used.
    """

    def hash_of(seen: NormalizedImage) -> str | NociCastError:
        try:
            for path, _ in seen.states[1:]:
                (read_gifti if path.suffix == ENDING else open_image)(path)
            return voxel_hash(seen.image)
        except (BadData, NoInput) as error:
            return error

    scans = [_seen(scan, channels) for scan, _, _ in kept]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        hashes = list(pool.map(hash_of, scans))
    rows: list[tuple[object, ...]] = []
    files = []
    for scan, (_, group, outcome), sha256 in zip(scans, kept, hashes, strict=True):
        if isinstance(sha256, NociCastError):
            excluded[scan.unit] = ("image not readable", str(sha256))
            continue
        person, session = scan.key
        who = (person, session or None, scan.part or None)
        rows.append((*who, group, outcome, scan.uri, sha256, scan.quality or None))
        files.append(scan)
    return rows, files


def _seen(scan: NormalizedImage, channels: Sequence[str]) -> NormalizedImage:
    """Note how the files that will be used are before any is read, the main one first."""
    used = [scan.channels[name] for name in channels if name in scan.channels]
    files = dict.fromkeys(filter(None, (scan.image, scan.mask, *used)))
    return replace(scan, states=tuple((path, state_of(path)) for path in files))


def check_made_alike(scans: Sequence[NormalizedImage], prepared: str) -> None:
    """Refuse images of this app that were made with different settings: the network would see."""
    ways = Counter(scan.made_with for scan in scans if scan.made_with)
    if len(ways) > 1:
        listed = "; ".join(f"{n} with {way}" for way, n in ways.most_common())
        raise BadData(
            f"cohort: the images were {prepared} in {len(ways)} ways ({listed}). Run the "
            "participant level again for all of them with the same options."
        )


def version_notes(scans: Sequence[NormalizedImage]) -> list[str]:
    """Say which versions of this app prepared a cohort, where they are several.

    Versions may be mixed: what gives other voxels has another number of its steps (`chain`), which
    `check_made_alike` compares.
    """
    own = [scan.settings for scan in scans if scan.made_with]
    found = Counter(str(one.get("version", "of no stated version")) for one in own)
    if len(found) < 2:
        return []
    listed = ", ".join(f"{APP} {version} ({n})" for version, n in sorted(found.items()))
    same = "Their settings are the same"
    if all("chain" in one for one in own):
        same += ", and so are their steps (chain)."
    else:
        same += "; whether their steps are, such images do not record."
    return [f"The images were prepared by several versions: {listed}. {same}"]


def refuse_copies(table: pd.DataFrame, files: Sequence[NormalizedImage], wanted: Wanted) -> None:
    """Refuse one image under two names."""
    for _, same in table.groupby("sha256"):
        if len(same) > 1:
            raise BadData(
                f"cohort: the same image under {len(same)} names: "
                f"{shortened(list(same['image']))}. Remove all but one: a copy in another fold "
                "would leak."
            )
    sources = [file.source_sha256 for file in files]
    for source, same in table.groupby(sources):
        # parts of one scan come from one file; they are never on two sides of a split
        if source and len(same[["participant_id", "session_id"]].drop_duplicates()) > 1:
            raise BadData(
                f"cohort: the same {wanted.kind} file under {len(same)} names (SourceSHA256 in the "
                f"sidecars is one): {shortened(list(same['image']))}. Remove all but one: a copy "
                "in another fold would leak."
            )
