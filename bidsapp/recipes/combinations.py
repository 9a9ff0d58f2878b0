"""Values of a recipe that are each fine and cannot be had together."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bidsapp.contracts.fitted import refusals
from bidsapp.contracts.fitted_offers import fitted_offers
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.network import NetworkOffer, network_offers
from bidsapp.recipes.known_names import (
    BASELINES_ON_FEATURES,
    BASELINES_ON_PREDICTORS,
    PLANE_AXIS,
)
from bidsapp.recipes.messages import one_of
from bidsapp.recipes.section import Problem, Section

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

FLAT = ("slice", "sphere")
"""Kinds of representation that give a network pictures."""


def impossible(recipe: "Recipe") -> Iterator[Problem]:
    """Dotted keys that contradict others, each with the reason."""
    for name in type(recipe).model_fields:
        section = getattr(recipe, name)
        if isinstance(section, Section):
            for key, text in section.misplaced():
                yield f"{name}.{key}", text
    yield from _inputs(recipe)
    yield from _outcome(recipe)
    yield from _tables(recipe)
    yield from _grid(recipe)
    yield from _fitted(recipe)
    yield from _network(recipe)
    yield from _protocol(recipe)
    yield from _evaluation(recipe)
    yield from _saliency(recipe)
    if recipe.mode == "strict":
        yield from refusals(recipe.steps_of_sections())


def _inputs(recipe: "Recipe") -> Iterator[Problem]:
    inputs, modality = recipe.inputs, modality_named(recipe.preparation.modality)
    sources = {source.name: source for source in modality.sources}
    main = modality.sources[0]
    for key, given, own in (
        ("datatype", inputs.datatype, main.datatype),
        ("suffix", inputs.suffix, main.suffix),
    ):
        if given is not None and given != own:
            which = f"as preparation.modality {modality.name} reads it"
            yield f"inputs.{key}", f"should be {own!r}, {which}, got {given!r}"
    channels = modality.channels_for(recipe.preparation.plain())
    for name in recipe.representation.channels:
        if name not in channels:
            yield "representation.channels", _not_made(name, recipe) or one_of(name, channels)
        elif channels[name].series and len(recipe.representation.channels) > 1:
            yield (
                "representation.channels",
                f"{name} is a series, of which every volume is a channel; name it alone",
            )
    for name in inputs.filters:
        if name not in sources:
            yield f"inputs.filters.{name}", f"source {one_of(name, sources)}"


_SHOWN = 4


def _not_made(channel: str, recipe: "Recipe") -> str:
    """Say which setting a channel is not made with; empty where it is none that is known."""
    settings = recipe.preparation.plain()
    for product in modality_named(recipe.preparation.modality).products:
        if product.channel is None or product.channel.name != channel:
            continue
        for key, among in (product.only or {}).items():
            if key in settings and settings[key] not in among:
                given, needed = (_yaml(value) for value in (settings[key], among[0]))
                others = _doing_without(recipe, key, settings[key])
                alone = f", or add --variants NAME: {others} do without" if others else ""
                return (
                    f"{channel!r} is not made with preparation.{key}: {given}; set {needed}, or "
                    f"name channels that do without{alone}"
                )
    return ""


def _doing_without(recipe: "Recipe", key: str, value: object) -> str:
    """Name the first variants whose channels are all made with a setting."""
    made = modality_named(recipe.preparation.modality).channels_for(
        recipe.preparation.plain() | {key: value}
    )
    named = {name: own.get("representation.channels") for name, own in recipe.variants.items()}
    first = [own.get("network.start.variant") for own in recipe.variants.values()]
    found = [
        name
        for name, channels in named.items()
        if isinstance(channels, list | tuple)
        and channels
        and all(channel in made for channel in channels)
        and name not in first
    ]
    return ", ".join(found[:_SHOWN]) + ", …" * (len(found) > _SHOWN)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _outcome(recipe: "Recipe") -> Iterator[Problem]:
    outcome = recipe.outcome
    if outcome.expression is not None:
        for key in ("column", "positive", "negative"):
            if getattr(outcome, key) is not None:
                yield f"outcome.{key}", "give either column and positive or expression, not both"
    elif outcome.column is not None and outcome.positive is None:
        yield "outcome.positive", f"required: which values of {outcome.column} are positive"
    elif outcome.column is None and outcome.positive is not None:
        yield "outcome.column", "required with positive: the column that holds these values"
    elif outcome.column is None and outcome.negative is not None:
        yield "outcome.column", "required with negative: the column that holds these values"
    for key in ("rows", "order"):
        if getattr(outcome, key) is not None and outcome.expression is None:
            yield f"outcome.{key}", "goes with outcome.expression only"
    named: dict[str, str] = {}
    for key in ("positive", "negative", "missing"):
        for value in getattr(outcome, key) or ():
            if named.setdefault(str(value), key) != key:
                yield f"outcome.{key}", f"{value} is named under outcome.{named[str(value)]} too"


def _tables(recipe: "Recipe") -> Iterator[Problem]:
    for text in recipe.tables.missing:
        if not text.rpartition("=")[0].strip():
            yield (
                "tables.missing",
                f"{text!r}: expected COLUMN=VALUE, as in age=999; COLUMN= where none is missing",
            )


def _grid(recipe: "Recipe") -> Iterator[Problem]:
    known, representation = recipe.preparation.grid(), recipe.representation
    if known is None:
        return
    shape, grid = known
    plane, slices, pad = representation.plane, representation.slices, representation.pad
    if plane and slices and slices > shape[PLANE_AXIS[plane]]:
        most = shape[PLANE_AXIS[plane]]
        yield "representation.slices", f"{slices} is more than the {most} {plane} slices of {grid}"
    if pad and any(wanted < size for wanted, size in zip(pad, shape, strict=True)):
        yield "representation.pad", f"{list(pad)} is smaller than {grid}"
    offer = network_offers().get(recipe.network.name)
    least, smallest = offer.least if offer else 0, min(pad or shape)
    if not plane and not recipe.network.resize and smallest < least:
        yield (
            "network.name",
            f"{recipe.network.name} needs images of at least {least} voxels along each axis, and "
            f"{grid}, has {smallest} along one; choose a smaller preparation.resolution, or set "
            f"network.resize: {least}",
        )


def _fitted(recipe: "Recipe") -> Iterator[Problem]:
    section, offers = recipe.representation, fitted_offers()
    given = [name for name, values in section.fitted.items() if values is not None]
    for name, values in section.fitted.items():
        if name not in offers:
            yield "representation.fitted", f"step {one_of(name, offers)}"
            continue
        for key, text in offers[name].problems(values or {}):
            yield f"representation.fitted.{name}.{key}", text
        if offers[name].series and values is not None and not _series(recipe):
            yield (
                f"representation.fitted.{name}",
                "takes series of volumes, and representation.channels names maps; use it with "
                "preparation.modality: bold",
            )
        before = given[: given.index(name)] if name in given else []
        made = any(offers[one].series for one in before if one in offers)
        if offers[name].maps and values is not None and not made and _of_series(recipe):
            yield (
                f"representation.fitted.{name}",
                "compares people voxel by voxel, and representation.channels names a series; put "
                "group_ica or template_components before it",
            )
    if section.zscore == "none" and section.zscore_voxels is not None:
        yield (
            "representation.zscore_voxels",
            f"{section.zscore_voxels} says nothing with representation.zscore: none; leave one out",
        )
    if section.zscore != "none" and section.fitted.get("zscore") is not None:
        yield (
            "representation.fitted.zscore",
            f"the z-score is asked for twice; leave it out here, or set representation.zscore: "
            f"none (it is {section.zscore})",
        )


def _of_series(recipe: "Recipe") -> bool:
    """Whether a channel is a series."""
    known = modality_named(recipe.preparation.modality).channels()
    return any(known[name].series for name in recipe.representation.channels if name in known)


def _series(recipe: "Recipe") -> bool:
    """Whether networks are given series; where a channel is not known, that is told elsewhere."""
    known = modality_named(recipe.preparation.modality).channels()
    return _of_series(recipe) or not any(n in known for n in recipe.representation.channels)


def _network(recipe: "Recipe") -> Iterator[Problem]:
    network = recipe.network
    offers = network_offers()
    if network.name not in offers:
        yield "network.name", one_of(network.name, offers)
        return
    offer = offers[network.name]
    for key, given, there in (
        ("depth", network.depth, offer.depths),
        ("dims", network.dims, offer.dims),
    ):
        if given not in there:
            choices = ", ".join(map(str, there))
            yield f"network.{key}", f"{network.name} offers {choices}, got {given}"
            return
    if recipe.representation.kind in FLAT and network.dims != 2:
        yield (
            "network.dims",
            f"representation.kind {recipe.representation.kind} is a picture; use 2",
        )
        return
    yield from _options(recipe, offer, offers)
    yield from _published(recipe, offer)


def _published(recipe: "Recipe", offer: NetworkOffer) -> Iterator[Problem]:
    """List why published weights cannot serve."""
    network = recipe.network
    kind = network.start_kind
    if kind not in ("medicalnet", "imagenet"):
        return
    whose = {"medicalnet": "MedicalNet", "imagenet": "ImageNet"}[kind]
    depths = offer.starts.get(kind, ())
    if network.depth not in depths:
        there = f" of depth {network.depth}" if depths else ""
        yield "network.start", f"there are no {whose} weights for {network.name}{there}; use random"
        return
    dims = {"medicalnet": 3, "imagenet": 2}[kind]
    if network.dims != dims:
        yield "network.start", f"{whose}'s weights go with network.dims: {dims}; use random"
    own = offer.medicalnet_shortcut.get(network.depth) if kind == "medicalnet" else "B"
    if "shortcut" in offer.options and network.resolved_shortcut != own:
        yield (
            "network.shortcut",
            f"{whose}'s weights for depth {network.depth} have shortcut {own}, "
            f"got {network.shortcut}",
        )
    if network.shortcut_bias:
        yield "network.shortcut_bias", f"{whose}'s weights have none"
    if kind == "medicalnet" and len(recipe.representation.channels) > 1:
        channels = ", ".join(recipe.representation.channels)
        yield (
            "network.start",
            f"MedicalNet's weights take one channel and representation.channels has {channels}; "
            "use random",
        )


def _options(
    recipe: "Recipe", offer: NetworkOffer, offers: Mapping[str, NetworkOffer]
) -> Iterator[Problem]:
    network, training = recipe.network, recipe.training
    for key in sorted({key for other in offers.values() for key in other.options}):
        default = type(network).model_fields[key].default
        if key not in offer.options and getattr(network, key) != default:
            yield f"network.{key}", f"{network.name} has no such option; leave it out"
    if network.frozen > len(offer.stages):
        most = len(offer.stages)
        yield "network.frozen", f"{network.name} has {most} stages, got {network.frozen}"
    stage = recipe.saliency.stage if recipe.saliency else None
    if stage is not None and stage >= len(offer.stages):
        most = len(offer.stages) - 1
        yield "saliency.stage", f"{network.name} has {most} stages after its stem, got {stage}"
    if (network.outputs == 2) != (training.loss == "cross_entropy"):
        needed = "cross_entropy" if network.outputs == 2 else "bce"
        yield "training.loss", f"network.outputs: {network.outputs} goes with {needed}"
    for key, where in (("momentum", ("rmsprop", "sgd")), ("decay", ("rmsprop",))):
        default = type(training).model_fields[key].default
        if getattr(training, key) != default and training.optimizer not in where:
            yield f"training.{key}", f"{training.optimizer} has no such option"
    if training.epsilon is not None and training.optimizer == "sgd":
        yield "training.epsilon", "sgd has no such option"


def _protocol(recipe: "Recipe") -> Iterator[Problem]:
    protocol, training = recipe.protocol, recipe.training
    kind = protocol.kind
    if kind == "repeated_kfold" and (protocol.repeats or 1) < 2:
        yield "protocol.repeats", "required with kind repeated_kfold: at least 2"
    if kind == "leave_one_group_out" and protocol.groups is None:
        yield "protocol.groups", f"required with kind {kind}: the column of the group"
    if kind == "nested" and protocol.inner.folds is None:
        yield "protocol.inner.folds", "required with kind nested"
    if kind != "nested" and protocol.inner.folds is not None:
        yield "protocol.inner.folds", f"goes with kind nested only; kind is {kind}"
    if kind == "nested" and protocol.inner.size is not None:
        yield "protocol.inner.size", "kind nested validates on inner folds; leave size out"
    if protocol.inner.size is None and protocol.inner.folds is None:
        needed = "a validation split inside the training fold: set protocol.inner.size"
        if training.early_stopping is not None:
            yield "training.early_stopping", f"needs {needed}"
        if training.checkpoint == "inner":
            yield "training.checkpoint", f"inner needs {needed}"
        if recipe.evaluation.fitted_threshold == "inner":
            yield "evaluation.fitted_threshold", f"inner needs {needed}"


def _evaluation(recipe: "Recipe") -> Iterator[Problem]:
    evaluation = recipe.evaluation
    on_columns = [name for name in evaluation.baselines if name in BASELINES_ON_PREDICTORS]
    if on_columns and not evaluation.predictors:
        yield "evaluation.predictors", f"required by the baselines {', '.join(on_columns)}"
    on_features = [name for name in evaluation.baselines if name in BASELINES_ON_FEATURES]
    modality = modality_named(recipe.preparation.modality)
    if on_features and not modality.handcrafted_words:
        yield (
            "evaluation.baselines",
            f"{modality.title} has no handcrafted features; leave out {', '.join(on_features)}",
        )
    if evaluation.placement and not modality.placed_words:
        yield "evaluation.placement", f"nothing is placed by hand in {modality.title}; leave it out"
    if "site" in evaluation.baselines and evaluation.site is None:
        yield "evaluation.site", "required by the baseline site: its column"
    if "permutation" in evaluation.tests and evaluation.permutations == 0:
        yield "evaluation.permutations", "0, and evaluation.tests asks for permutation"


def _saliency(recipe: "Recipe") -> Iterator[Problem]:
    if recipe.saliency.scale == "minmax" and not recipe.saliency.absolute:
        yield (
            "saliency.scale",
            "minmax needs saliency.absolute: true; of a signed map it would lift 0 to somewhere "
            "between 0 and 1",
        )
    modality = modality_named(recipe.preparation.modality)
    if recipe.saliency.on_surface and not modality.carries:
        yield "saliency.on_surface", f"{modality.title} has no surfaces that maps are carried onto"
    if recipe.saliency.guided and _of_series(recipe):
        yield (
            "saliency.guided",
            "averages images under the maps, and representation.channels names a series, whose "
            "volumes by themselves say nothing of a person; leave it out",
        )
