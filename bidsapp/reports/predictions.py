"""A trained model applied to normalised people: a file each, and a table."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.measure import PASS, WARN, Measure, excluded_by
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import PART
from bidsapp.dataset.description import shortened
from bidsapp.derivatives import OutputNames, write_json, write_text
from bidsapp.derivatives.dictionaries import describe_table
from bidsapp.derivatives.sidecars import read_source_sha256
from bidsapp.reports.answered import answered
from bidsapp.reports.earlier_predictions import (
    forecast,
    forget_maps,
    label_of,
    require_own_name,
)
from bidsapp.reports.person_columns import tell_missing, with_columns
from bidsapp.reports.prediction import read_answer

if TYPE_CHECKING:
    from bidsapp.networks.bundle import Bundle
    from bidsapp.networks.bundle_images import TrainingImage
    from bidsapp.saliency.bundle_maps import BundleMaps

_TABLE = (
    *("participant_id", "session_id", "model", "sha256", "outcome", "positive"),
    *("probability", "probability_sd", "probability_clinical", "probability_with_clinic"),
    *("calibrated", "calibrated_low", "calibrated_high"),
    *("verdict", "in_training", "leak", "no_answer"),
)
# Bundles of earlier versions do not say whom they were made with.
_IN_TRAINING = {True: "true", False: "false", None: "n/a"}
_AT_ONCE = 32
_CLINICAL = ("probability_clinical", "probability_with_clinic")


@dataclass(frozen=True)
class Person:
    """One normalised image that a model is applied to."""

    participant: str
    session: str | None
    names: OutputNames
    quality: dict[str, Any]
    told_part: str = ""
    """Which part it is, where its name has none; rows of tables about that part are its own."""

    @property
    def label(self) -> str:
        """``sub-01 ses-2``, and the part where a scan has parts."""
        return " ".join(filter(None, (*self.key, self.names.part)))

    @property
    def key(self) -> tuple[str, str]:
        """participant_id and session_id with their prefixes; no session is empty."""
        return f"sub-{self.participant}", f"ses-{self.session}" if self.session else ""

    @property
    def unit(self) -> tuple[str, ...]:
        """`key`, and the part where a scan has parts."""
        return (*self.key, self.names.part) if self.names.part else self.key

    @property
    def row(self) -> tuple[str, ...]:
        """Whose row of a table about parts is its own."""
        part = self.names.part or self.told_part
        return (*self.key, part) if part else self.key


def usable(quality: dict[str, Any], measures: Iterable[Measure]) -> bool:
    """Whether a unit may be given to a model: it did not fail, and nothing forbids its use."""
    return quality.get("verdict") in (PASS, WARN) and excluded_by(measures, quality) is None


def predict_people(
    bundle: "Bundle",
    people: Sequence[Person],
    template_mask: Path,
    device: str,
    output_dir: Path,
    maps: "BundleMaps | None" = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Apply a bundle, and write what it says of each person.

    Parameters
    ----------
    bundle
        The trained model.
    people
        All who were normalised; who is not `usable` is named on stderr, and loses a prediction
        of an earlier run.
    template_mask
        The template's brain mask on the images' grid.
    device
        Where to compute.
    output_dir
        The derivatives dataset; ``group/predictions.tsv`` is made anew from all files in it.
    maps
        Writes what moves the answers, where that is asked for.
    columns
        Column that the model reads to the text of each of `people`, empty where there is no value.

    Returns
    -------
    int
        How many were predicted. Whose image is among those that the bundle was made with is
        predicted by the models that were kept from it; where there is none, not at all.

    Raises
    ------
    BadData
        The images lie on another grid than the model reads.
    UsageError
        There are predictions by another model of the same name.
    """
    from bidsapp.networks.predict import predict, stacked
    from bidsapp.representation.sample import CohortRow, read_mask, read_sample

    require_own_name(bundle, output_dir)
    mask = read_mask(template_mask)
    held_out = _held_out(bundle)
    measures = modality_named(bundle.recipe.preparation.modality).measures
    fit: list[tuple[Person, tuple[int, ...] | None]] = []
    places = []
    for place, person in enumerate(people):
        image = _known(bundle, person) if usable(person.quality, measures) else None
        why = _why_not(person, image, measures)
        if why:
            _leave_out(person, _file(bundle, person), why)
            forget_maps(person.names, bundle)
            continue
        fit.append((person, image.unseen_by if image else None))
        places.append(place)
    told = columns or {}
    known_of = {name: [texts[place] for place in places] for name, texts in told.items()}
    tell_missing(bundle, [person.label for person, _ in fit], known_of)
    for start in range(0, len(fit), _AT_ONCE):
        some = fit[start : start + _AT_ONCE]
        samples = []
        for person, _ in some:
            images = person.names.channel_files()
            session = f"ses-{person.session}" if person.session else ""
            row = CohortRow(f"sub-{person.participant}", session, images)
            sample, window = read_sample(row, bundle.recipe.representation, mask)
            bundle.require(window)
            samples.append(sample)
        here = {name: texts[start : start + _AT_ONCE] for name, texts in known_of.items()}
        whole = stacked(bundle, samples)
        answers = predict(bundle, whole, device, columns=here)
        for place, (person, unseen_by) in enumerate(some):
            per_model = answers.per_model[place].tolist()
            content = _content(bundle, person, per_model, unseen_by, held_out)
            content |= with_columns(bundle, here, place, per_model, unseen_by)
            content |= answered(
                bundle, person.label, person.quality, answers, whole, place, unseen_by
            )
            content |= _in_training(bundle, unseen_by is not None)
            forget_maps(person.names, bundle, others_only=True)
            write_json(_file(bundle, person), content)
        if maps:
            used = [unseen for _, unseen in some]
            maps.write(whole, [one.names for one, _ in some], used, here)
    known = [person.label for person, unseen_by in fit if unseen_by is not None]
    if known:
        _tell_known(bundle, known, len(fit))
    unknown = _in_training(bundle, False).get("in_training_unknown")
    if unknown and len(known) < len(fit):
        print(f"in_training is n/a of {len(fit) - len(known)} of these: {unknown}", file=sys.stderr)
    write_table(output_dir)
    return len(fit)


def _known(bundle: "Bundle", person: Person) -> "TrainingImage | None":
    """Find a person's image among those that the bundle was made with."""
    from bidsapp.dataset.scans import voxel_hash
    from bidsapp.networks.bundle_images import find_image

    if not bundle.images:
        return None
    voxels = voxel_hash(person.names.path(person.names.main.key))
    return find_image(bundle.images, voxels, read_source_sha256(person.names))


def _why_not(person: Person, image: "TrainingImage | None", measures: Sequence[Measure]) -> str:
    """Say why there can be no prediction of a person; empty where there can."""
    excluded = excluded_by(measures, person.quality)
    if excluded is not None:
        return f"quality: {excluded[0]}"
    if not usable(person.quality, measures):
        return f"quality: {person.quality.get('verdict', 'not judged')}"
    if image is not None and not image.unseen_by:
        return "every model of the bundle was trained on this image"
    return ""


def _tell_known(bundle: "Bundle", labels: list[str], count: int) -> None:
    print(
        f"{len(labels)} of these {count} are in the cohort that {bundle.name} was trained on "
        f"({shortened(labels)}): each is predicted by the models alone that were kept from that "
        "person, and in_training is true. A new scan of such a person would not be noticed.",
        file=sys.stderr,
    )


def _file(bundle: "Bundle", person: Person) -> Path:
    names = person.names
    return names.folder / names.native(label_of(bundle), "predictions", ".json")


def _leave_out(person: Person, file: Path, why: str) -> None:
    """Say of whom there is no prediction, and why."""
    print(f"{person.label}: no prediction: {why}", file=sys.stderr)
    file.unlink(missing_ok=True)


def _content(
    bundle: "Bundle",
    person: Person,
    every: list[float],
    unseen_by: tuple[int, ...] | None,
    held_out: str,
) -> dict[str, Any]:
    import statistics

    used = range(len(every)) if unseen_by is None else unseen_by
    per_model = [every[k] for k in used]
    several = len(per_model) > 1
    return {
        **forecast(bundle),
        "probability": _answer(bundle, per_model),
        "probability_sd": statistics.stdev(per_model) if several else None,
        "per_model": per_model,
        "models_used": [bundle.models[k].weights.stem for k in used],
        "model": bundle.identity | {"held_out": held_out, "leaks": list(bundle.leaks)},
        "quality": person.quality,
        **({"part": person.names.part} if person.names.part else {}),
        "Sources": [person.names.uri + person.names[person.names.main.key]],
    }


def _answer(bundle: "Bundle", per_model: list[float]) -> float:
    import statistics

    mean = statistics.fmean(per_model)
    recalibration = bundle.about.recalibration
    return mean if recalibration is None else float(recalibration.apply(mean))


def _in_training(bundle: "Bundle", known: bool) -> dict[str, Any]:
    """Say whether a person was trained on: yes, no, or null with the reason why nobody knows."""
    if known:
        return {"in_training": True}
    if bundle.images is None:
        return {"in_training": None, "in_training_unknown": "the bundle lists no training images"}
    nameless = sum(not image.source for image in bundle.images)
    if not nameless:
        return {"in_training": False}
    why = (
        f"{nameless} of the {len(bundle.images)} scans that the bundle was trained on were "
        "prepared by other software and have no hash of their source file, so that this image "
        "cannot be told from them"
    )
    return {"in_training": None, "in_training_unknown": why}


def _held_out(bundle: "Bundle") -> str:
    from bidsapp.evaluation.chance import LEADING

    results = bundle.metadata.get("held_out", bundle.metadata.get("eval_metrics", {}))
    if not isinstance(results, dict):
        return ""
    value = next((results[name] for name in LEADING if results.get(name)), None)
    judged = f", {results['against chance']}" if results.get("against chance") else ""
    return f"AUC {value}{judged}" if value else ""


def write_table(output_dir: Path) -> Path:
    """Make ``group/predictions.tsv`` from every predictions file of the output folder.

    Jobs that run side by side each write the whole table, so that the last one has all.
    """
    files = sorted(output_dir.glob("sub-*/**/sub-*_predictions.json"))
    answers = {file: read_answer(file) for file in files}
    parts = any(content.get("part") for content in answers.values())
    rows = ["\t".join((*_TABLE[:2], *[PART] * parts, *_TABLE[2:]))]
    for file, content in answers.items():
        entities = dict(part.split("-", 1) for part in file.name.split("_")[:-1])
        spread = content["probability_sd"]
        worth = content.get("calibrated") or {}
        rows.append(
            "\t".join(
                (
                    f"sub-{entities['sub']}",
                    f"ses-{entities['ses']}" if "ses" in entities else "n/a",
                    *[_cell(content.get("part") or "n/a")] * parts,
                    content["model"]["name"],
                    content["model"]["sha256"],
                    _cell(content["outcome"]),
                    _cell(" or ".join(map(str, content["positive"]))),
                    f"{content['probability']:.6g}",
                    "n/a" if spread is None else f"{spread:.6g}",
                    *(_number(content.get(name)) for name in _CLINICAL),
                    *(_number(worth.get(name)) for name in ("probability", "ci_low", "ci_high")),
                    content["quality"]["verdict"],
                    _IN_TRAINING[content.get("in_training")],
                    _cell("; ".join(map(str, content["model"].get("leaks") or ("n/a",)))),
                    _cell(content.get("no_answer") or "n/a"),
                )
            )
        )
    path = output_dir / "group" / "predictions.tsv"
    write_text(path, "\n".join(rows) + "\n")
    describe_table(path, "predictions")
    return path


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6g}"


def _cell(text: str) -> str:
    """One line without tabs."""
    return " ".join(str(text).split())
