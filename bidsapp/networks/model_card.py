"""The model card of a bundle: what it is, from whom, how well it did, what it is not for."""

from typing import TYPE_CHECKING

from bidsapp.recipes.schema import Recipe
from bidsapp.representation.spec import CHANNELS
from bidsapp.representation.window import Window

if TYPE_CHECKING:
    from bidsapp.networks.bundle_write import ModelFacts

CARD = """\
# {name} {version}

{stamps}{summary}

- **Predicts**: the probability of {outcome}.
- **Cohort**: {participants} participants ({scans} scans), {positive} positive ({share}).{source}
- **Models**: {models}, one per fold; the answer is the mean of their probabilities.
- **Network**: {network}, starting from {weights} weights.

## Held-out result

In participants that the models had not seen (cross-validation in this cohort; no other cohort):

{results}

The mean over folds of models that each saw most of the cohort is not what was scored here, and
people from elsewhere (other scanner, other age, other pain) can fare worse.

## Input

T1w image in {template}, {resolution} mm; {kind} of {shape} voxels with its first voxel at
{origin} mm. Channels: {channels}. Z-score: {zscore}. NociCast makes all of this from a BIDS
dataset:

    nocicast BIDS_DIR OUTPUT_DIR participant --model {name}

## Not for

Decisions about single people. This is a research result, not a medical device. A probability
is calibrated, at best, for a cohort with the same share of positives as this one.
"""


def outcome_text(recipe: Recipe) -> str:
    """Say the outcome as the recipe defines it, in one line."""
    outcome = recipe.outcome
    if outcome.expression:
        return outcome.expression
    if outcome.column is None:
        return "the outcome of the run"
    return f"{outcome.column} = {' or '.join(str(value) for value in outcome.positive or ())}"


def model_card(recipe: Recipe, window: Window, models: int, facts: "ModelFacts") -> str:
    """Write a model card in Markdown."""
    network = recipe.network
    origin = ", ".join(f"{value:g}" for value in window.affine[:3, 3])
    return CARD.format(
        name=facts.name,
        version=facts.version,
        stamps="".join(f"**{stamp}**\n\n" for stamp in facts.stamps),
        summary=recipe.summary,
        outcome=outcome_text(recipe),
        participants=facts.participants,
        scans=facts.scans,
        positive=facts.positive,
        share=f"{facts.positive / max(facts.participants, 1):.0%}",
        source=f" {facts.data_source}" if facts.data_source else "",
        models=models,
        network=f"{network.name} {network.depth}",
        weights=network.weights,
        results="\n".join(f"- {metric}: {text}" for metric, text in facts.held_out.items())
        or "- not evaluated",
        template=recipe.normalization.template,
        resolution=recipe.normalization.resolution,
        kind=recipe.representation.kind,
        shape="×".join(map(str, window.shape)),
        origin=f"({origin})",
        channels="; ".join(
            f"{name} ({CHANNELS[name].unit})" for name in recipe.representation.channels
        ),
        zscore=recipe.representation.zscore,
    )
