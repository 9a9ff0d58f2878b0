"""The model card of a bundle: what it is, from whom, how well it did, what it is not for.

Its headings are those of Mitchell et al., Model cards for model reporting, FAT* 2019; what they
hold follows TRIPOD+AI (BMJ 2024;385:e078378) and CLAIM (Radiol Artif Intell 2024;6:e240300).
"""

from collections.abc import Mapping

import numpy as np

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.space import Space
from bidsapp.networks.model_facts import ModelFacts
from bidsapp.networks.origin import weights_words
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.spec import unit_and_range
from bidsapp.visible import markdown_text

LIMITS = (
    "Tested within one cohort only. People from elsewhere (other scanner, "
    "other age, other injury, other way of asking for pain) can fare worse; test it there first.",
    "What was scored are single fold models, each on the people it had not seen. What is applied "
    "to new people is the mean of all of them, which was not scored.",
    "A probability is calibrated, at best, for a cohort with the same share of positives.",
    "Images must be prepared as said above; an image of failed quality, or whose left and right "
    "are not certain, gets no prediction.",
    "The network reads anatomy, and with it age, sex and scanner; it may predict through them.",
)

CARD = """\
# {name} {version}

{stamps}{summary}

## Model details

- **Predicts**: the probability of {outcome}.
- **Models**: {models}, one per fold; the answer is the mean of their probabilities.
- **Network**: {dims}-dimensional {network}, starting from {weights}; {training}.
- **Made by**: a run of NociCast {software}; recipe in `recipe.yaml`, hardware and versions in
  `configs/metadata.json`.
- **Study**: {reference}
- **Licence**: that of the data it was trained on; ask who owns them.

## Intended use

- **For**: research on the course of pain, in people like those of the cohort below.
- **By**: researchers who have an independent sample to test it in.
- **Not for**: decisions about single people. This is a research result, not a medical device.

To apply it to a BIDS dataset (`PATH/TO/BUNDLE` is the folder that holds `docs` and `models`):

    nocicast BIDS_DIR OUTPUT_DIR participant --model PATH/TO/BUNDLE

## Training data

- **Cohort**: {cohort}; {excluded} left out.{source}
- **Not recorded here**: where and when they were recruited, scanner and sequence, how and by whom
  the outcome was assessed. TRIPOD+AI (items 5 to 9) and CLAIM ask for it: see the study.

## Input

{image} in {place}; {kind} of {shape} voxels with its first voxel at
{origin} mm.

{channels}
{fitted}

NociCast makes all of this from a BIDS dataset.

## Evaluation data

The same participants: {protocol}. {scored}. There is no other
cohort.{tried}

## Results

{results}

{subgroups}

## Limits

{limits}

## Ethical considerations

A forecast of chronic pain can do harm where it is believed more than it deserves, or used to keep
treatment or insurance from people. Single fold models may hold traces of the people that they
were trained on; share them as the consent to the data allows.

{images}
"""

_LISTED = """\
`configs/training_images.json` and the files of the weights list a hash of each source file and of
each prepared image of the cohort, so that people are noticed who are given to the model, or to a
training that begins with it, again. A hash shows no image and no name. But whoever has such a file
of a person can tell from it that this person was in the cohort, and with it that what all of the
cohort have in common is true of that person; not their outcome. Where the consent does not allow
that, make the bundle again with `--anonymous-bundle`."""
_ANONYMOUS = """\
This bundle lists no hashes of the images that it was made with (`--anonymous-bundle`): it cannot be
told from a list whether a person was in the cohort. People of the cohort who are given to the model
again are therefore not noticed, and `in_training` is n/a; their probabilities are too good. As
initial weights its networks are of unknown origin."""

_METRICS = {
    "auc": "AUC (0.5 is chance, 1 is perfect)",
    "auc@retrained": "AUC, interval widened for training on other people",
    "auc@within": "AUC over pairs of the same fold, interval widened likewise",
    "against chance": "What that shows",
    "balanced_accuracy": "Balanced accuracy (0.5 is chance)",
    "sensitivity": "Sensitivity (positives that were recognised)",
    "specificity": "Specificity (negatives that were recognised)",
    "brier": "Brier score (0 is perfect)",
    "precision": "Positive predictive value",
    "negative_predictive_value": "Negative predictive value",
    "calibration_intercept": "Calibration intercept (0 is ideal)",
}


def outcome_text(recipe: Recipe) -> str:
    """Say the outcome as the recipe defines it, in one line."""
    rule, words = _rule(recipe), recipe.outcome.words
    return f"{words} ({rule})" if words else rule


def _rule(recipe: Recipe) -> str:
    outcome = recipe.outcome
    if outcome.expression:
        return outcome.expression
    if outcome.column is None:
        return "the outcome of the run"
    positive, negative = (
        " or ".join(str(value) for value in values or ())
        for values in (outcome.positive, outcome.negative)
    )
    return f"{outcome.column} = {positive}{f' (as against {negative})' if negative else ''}"


def model_card(
    recipe: Recipe, space: Space, models: int, facts: ModelFacts, *, anonymous: bool = False
) -> str:
    """Write a model card in Markdown.

    Parameters
    ----------
    recipe
        The resolved recipe of the variant.
    space
        The space that the networks read.
    models
        How many there are.
    facts
        What is said of the model.
    anonymous
        Whether the bundle holds no hashes of the images that it was made with.
    """
    import bidsapp

    network, training = recipe.network, recipe.training
    first = np.zeros(space.shape, bool)
    first.flat[0] = True
    origin = ", ".join(f"{value:g}" for value in space.points(first)[0])
    plain = {
        "name": facts.name,
        "version": facts.version,
        "summary": f"Variant {recipe.base} of the recipe {recipe.name}.",
        "outcome": outcome_text(recipe),
        "models": models,
        "dims": {2: "two", 3: "three"}[network.dims],
        "network": f"{network.name} {network.depth}",
        "weights": weights_words(facts.weights or {"kind": network.start_kind}),
        "training": f"{training.optimizer_name} on {training.loss_name}, at most "
        f"{training.epochs} epochs in batches of {training.batch_size}"
        + (
            f"; in place of these, {', '.join(training.search.grid)} {training.search.words} "
            "(configs/models.json has what each network was trained with)"
            if training.search
            else ""
        ),
        "software": bidsapp.__version__,
        "reference": f"recipe after {recipe.reference}" if recipe.reference else "not published",
        "cohort": _cohort(facts),
        "excluded": facts.excluded,
        "image": modality_named(recipe.preparation.modality).image,
        "place": recipe.preparation.place(),
        "kind": recipe.representation.kind,
        "shape": "×".join(map(str, space.shape)),
        "origin": f"({origin})",
        "protocol": facts.protocol or "how they were held out is not recorded",
        "scored": facts.scored or "Who was scored is not recorded",
    }
    return CARD.format(
        **{key: markdown_text(str(text)) for key, text in plain.items()},
        stamps="".join(f"**{markdown_text(stamp)}**\n\n" for stamp in facts.stamps),
        source=f"\n  Source: {markdown_text(facts.data_source)}." if facts.data_source else "",
        channels="\n".join(
            [
                f"- Channel {name}: {unit_and_range(name, recipe.representation.scaling)[0]}"
                for name in recipe.representation.channels
            ]
            + [
                f"- Column {markdown_text(name)} of the dataset's tables, beside the image"
                for name in recipe.columns_beside
            ]
        ),
        fitted="\n".join(
            f"- {markdown_text(step.on_card)}." for step in recipe.representation.asked()
        )
        or "- Nothing is fitted to images.",
        tried=f" {markdown_text(facts.tried)}" if facts.tried else "",
        results=_table("Held-out result", {_named(k): text for k, text in facts.held_out.items()})
        or "Not evaluated.",
        subgroups=_table("Subgroup (held-out AUC)", facts.subgroups)
        or "No subgroups were evaluated: nothing is known of differences between groups.",
        images=_ANONYMOUS if anonymous else _LISTED,
        limits="\n".join(f"- {markdown_text(text)}" for text in (*facts.doubts, *LIMITS)),
    )


def _named(metric: str) -> str:
    """Words of a metric, with the share of positives that it is for."""
    name, _, scope = metric.partition(", prevalence=")
    words = _METRICS.get(name, name)
    return f"{words} where {float(scope):.1%} are positive" if scope else words


def _cohort(facts: ModelFacts) -> str:
    """Say how many there are, and how many are positive of what."""
    whole = facts.scans if facts.by_scan else facts.participants
    positive = f"{facts.positive} positive ({facts.positive / max(whole, 1):.0%})"
    if not facts.by_scan:
        return f"{facts.participants} participants ({facts.scans} scans), {positive}"
    return (
        f"{facts.scans} scans of {facts.participants} participants, {positive}, "
        f"{whole - facts.positive} negative; the outcome is one of the scan, and differs between "
        "scans of a person"
    )


def _table(heading: str, rows: Mapping[str, str]) -> str:
    """Write a table of two columns; empty without rows."""
    if not rows:
        return ""
    lines = [f"| {heading} | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {_cell(k)} | {_cell(v)} |" for k, v in rows.items())])


def _cell(text: str) -> str:
    return markdown_text(text)
