"""The words on what networks are given, what they are and how they are trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.contracts.network import network_offers
from bidsapp.drawing.wording import counted, joined, many
from bidsapp.networks.origin import weights_words
from bidsapp.recipes import Recipe
from bidsapp.recipes.learning import Training
from bidsapp.recipes.network import Network
from bidsapp.reports.run.group_run import GroupRun

_WHOLE = {
    "volume": "the whole volume of",
    "slice": "one slice each of",
    "sphere": "maps over a sphere of",
}
_MOST_SETTINGS = 5
"""Chosen settings that the methods text names; all of them are in a table."""
_SCHEDULES = {
    "constant": "kept constant",
    "one_cycle": "following a one-cycle schedule [@smith2019]",
    "cosine": "falling along a cosine",
}


def model_paragraph(run: GroupRun) -> str:
    """Say what each network is given and how it is built."""
    recipes = {name: run.recipe.with_variant(name) for name in run.variants}
    networks: dict[str, list[str]] = {}
    for name, one in recipes.items():
        started = run.initial_weights(name) or {"kind": one.network.start_kind}
        networks.setdefault(_network(one.network, started), []).append(name)
    text = f"{_inputs(recipes)} {_sentence('They were', networks)}"
    for name in run.ensembles:
        ensemble = run.recipe.ensembles[name]
        rule = {
            "mean": "the mean of the probabilities",
            "vote": "the majority vote at the fixed threshold",
        }
        text += f" The ensemble {name} is {rule[ensemble.rule]} of {joined(ensemble.of)}."
    return text


def _inputs(recipes: dict[str, Recipe]) -> str:
    """Say what networks are given; variants that differ by the plane alone share a sentence."""
    alike: dict[str, dict[str, list[str]]] = {}
    for name, recipe in recipes.items():
        plane = recipe.representation.plane or ""
        alike.setdefault(_input(recipe), {}).setdefault(plane, []).append(name)
    sentences = []
    for text, planes in alike.items():
        names = [name for group in planes.values() for name in group]
        who = "The networks were" if len(alike) == 1 else f"Networks {joined(names)} were"
        if len(planes) > 1:
            which = joined(f"{plane} ({joined(group)})" for plane, group in planes.items())
            sentences.append(f"{who} given {text.format(plane='')}, in one plane each: {which}.")
        else:
            sentences.append(f"{who} given {text.format(plane=f'{next(iter(planes))} ')}.")
    return " ".join(sentences)


def training_paragraph(run: GroupRun) -> str:
    """Say how the weights were fitted, and with what software."""
    recipes = {name: run.recipe.with_variant(name) for name in run.variants}
    how = _of_each(recipes, lambda one: _training(one.training))
    found = f"{_sentence('Training was by', how)}{_searches(run, recipes)}{_epochs(run)}"
    return f"{found} {_software(run)}".strip()


def _searches(run: GroupRun, recipes: dict[str, Recipe]) -> str:
    """Say which values a search chose, how, and in how many folds."""
    table = run.table("tables/search_settings.tsv")
    sentences = []
    for name, recipe in recipes.items():
        search = recipe.training.search
        if search is None:
            continue
        whose = f" of {name}" if len(recipes) > 1 else ""
        verb = "were" if len(search.grid) > 1 else "was"
        text = f" In place of the above, {joined(list(search.grid))}{whose} {verb} {search.words}"
        own = table[(table["variant"] == name) & (table["chosen"] != "0")] if len(table) else table
        told = [
            f"{row['values']} in {row['chosen']} of {many(int(row['folds']), 'fold')}"
            for row in own.to_dict("records")
        ]
        if told:
            rest = len(told) - _MOST_SETTINGS
            told = told[:_MOST_SETTINGS] + ([f"{many(rest, 'other')} in the rest"] * (rest > 0))
            text += f": {'; '.join(told)}"
        again = (
            ""
            if search.fit == "dataset"
            else (" Each fold's network was then trained anew on its whole training fold.")
        )
        sentences.append(f"{text}.{again}")
    return "".join(sentences)


def _of_each(recipes: dict[str, Recipe], say: Callable[[Recipe], str]) -> dict[str, list[str]]:
    """Text to the variants that it holds for."""
    found: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        found.setdefault(say(recipe), []).append(name)
    return found


def _sentence(beginning: str, texts: dict[str, list[str]]) -> str:
    if len(texts) == 1:
        return f"{beginning} {next(iter(texts))}."
    parts = [f"{text} ({joined(names)})" for text, names in texts.items()]
    return f"{beginning} {'; '.join(parts)}."


def _input(recipe: Recipe) -> str:
    """Say what a network is given; ``{plane}`` where the plane of its slices goes."""
    section = recipe.representation
    channels = joined(channel_named(name).words for name in section.channels)
    as_channels = " as channels" if len(section.channels) > 1 else ""
    if section.kind == "slab":
        what = f"the {section.slices} middle {{plane}}slices of {channels}{as_channels}"
    else:
        what = f"{_WHOLE[section.kind]} {channels}{as_channels}"
    grey = [one.title for one in map(channel_named, section.channels) if one.arbitrary]
    if section.scaling == "robust" and grey:
        what += (
            f", the {joined(grey)} intensities of each brain scaled by its own median and "
            "interquartile range"
        )
    return ", ".join([what, *(step.words for step in section.asked())])


def _network(section: Network, began_with: Mapping[str, Any]) -> str:
    name = network_offers()[section.name].title.format(depth=section.depth)
    details = []
    if "stem_stride" in network_offers()[section.name].options:
        details.append(f"first convolution of stride {section.stem_stride}")
        details.append(f"{'with' if section.stem_pool else 'without'} max-pooling after it")
        if section.dilation:
            details.append("dilated instead of strided in the last two stages")
        details.append(f"shortcut {section.resolved_shortcut}")
    built = f" ({', '.join(details)})" if details else ""
    weights = weights_words(began_with, cited=" [@chen2019]")
    kind = "two-dimensional" if section.dims == 2 else "three-dimensional"
    outputs = "one output" if section.outputs == 1 else "one output for each class"
    kept = ""
    if section.frozen:
        kept = f", the first {many(section.frozen, 'stage')} kept as they began"
    beside = ""
    if section.covariates:
        told = joined(list(section.covariates))
        beside = (
            f", whose last layer was also given {told} (filled and scaled in the training fold)"
        )
    return f"{kind} {name} networks{built} with {outputs}{beside}, starting from {weights}{kept}"


def _training(section: Training) -> str:
    rates = (
        f"learning rate {section.lr.head:g}"
        if section.lr.head == section.lr.backbone
        else f"learning rates {section.lr.head:g} for the last layer and "
        f"{section.lr.backbone:g} for all others"
    )
    weight = (
        f", positives weighted {section.positive_weight:g}-fold"
        if section.positive_weight != 1
        else ""
    )
    text = (
        f"{_optimizer(section)} ({rates}, {_SCHEDULES[section.schedule]}; weight decay "
        f"{section.weight_decay:g}) on {section.loss_name}{weight}, in batches of "
        f"{section.batch_size}{_parts(section)}, for "
        f"{'at most ' if section.early_stopping else ''}{many(section.epochs, 'epoch')}"
    )
    if section.early_stopping:
        text += (
            f", stopped where the loss of the inner validation split had not fallen for "
            f"{many(section.early_stopping.patience, 'epoch')}"
        )
    kept = {
        "last": "the weights of the last epoch were kept",
        "inner": "the weights of the best epoch on the inner validation split were kept",
        "test_fold": "the weights of the best epoch on the held-out fold were kept",
    }
    return f"{text}; {kept[section.checkpoint]}, and {_augmentation(section)}"


def _optimizer(section: Training) -> str:
    told = {"adamw": " [@loshchilov2019]", "rmsprop": f" (decay {section.decay:g})"}
    name = section.optimizer_name + told.get(section.optimizer, "")
    if section.momentum:
        name += f" with momentum {section.momentum:g}"
    if section.epsilon is not None:
        name += f" with epsilon {section.epsilon:g}"
    return name


def _parts(section: Training) -> str:
    if section.at_once is None or section.at_once >= section.batch_size:
        return ""
    return f" whose gradients were added up over parts of at most {section.at_once}"


def _augmentation(section: Training) -> str:
    given = section.augmentation
    parts = []
    if given.flip:
        parts.append(f"left-right flips (probability {given.flip:g})")
    if given.rotation:
        parts.append(f"rotations of up to {given.rotation:g}°")
    if given.scaling:
        parts.append(f"changes of size of up to {100 * given.scaling:g}%")
    if given.noise:
        parts.append(f"Gaussian noise (SD {given.noise:g} of the standardised input)")
    return f"images were augmented by {joined(parts)}" if parts else "images were not augmented"


def _epochs(run: GroupRun) -> str:
    """Say how long training lasted where it could be stopped."""
    stopping = [
        name
        for name in run.variants
        if run.recipe.with_variant(name).training.early_stopping is not None
    ]
    history = run.table("history.tsv")
    if not stopping or not len(history):
        return ""
    rows = history[history["variant"].isin(stopping)]
    lengths = rows["epoch"].astype(int).groupby([rows["variant"], rows["repeat"], rows["fold"]])
    last = lengths.max()
    return f" Training lasted {last.min()} to {last.max()} epochs."


def _software(run: GroupRun) -> str:
    environments = [
        environment
        for metadata in run.metadata.values()
        for environment in metadata.get("trained_with", [])
    ]
    if not environments:
        return ""

    def each(key: str) -> str:
        return counted([str(one.get("versions", {}).get(key)) for one in environments], "fold")

    devices = _counted_texts([str(one.get("device", "unknown")) for one in environments])
    precisions = _counted_texts([str(one.get("precision", "unknown")) for one in environments])
    seeds = counted(
        [run.recipe.with_variant(name).training.seed for name in run.variants], "variant"
    )
    return (
        f"Networks were trained with PyTorch {each('torch')} [@paszke2019] and MONAI "
        f"{each('monai')} [@cardoso2022] ({devices}, {precisions} arithmetic, random seed {seeds})."
    )


def _counted_texts(values: Sequence[str]) -> str:
    return counted(values, "fold")
