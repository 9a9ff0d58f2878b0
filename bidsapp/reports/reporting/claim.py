"""CLAIM, as updated in 2024: what a study of AI in imaging should tell, and what a run answers."""

from collections.abc import Callable, Mapping

from bidsapp import __version__
from bidsapp.drawing.wording import joined
from bidsapp.reports.reporting import answers
from bidsapp.reports.reporting.items import Item
from bidsapp.reports.reporting.run_facts import Answer, RunFacts

SOURCE = "Tejani et al. 2024, Radiology: Artificial Intelligence 6:e240300, doi:10.1148/ryai.240300"
COUNT = 44
"""Items of the list of 2024. The published table could not be read: number and order of the items
are from memory, and agree item for item with a public summary that was not compared with it
either. Check them against the source."""

_ASKED = (
    ("Title", "Does title or abstract name the kind of AI?", "the title"),
    (
        "Abstract",
        "Does the abstract give design, methods, results and conclusions?",
        "the abstract",
    ),
    ("Introduction", "What is the background, and which part is the AI to play?", "the background"),
    ("Introduction", "Which aims and hypotheses?", "aims and hypotheses"),
    ("Methods: design", "Were data gathered for this study or taken from before?", "which of them"),
    ("Methods: design", "What is the study for (making, testing, feasibility)?", ""),
    ("Methods: data", "Where do the data come from?", "where and when"),
    ("Methods: data", "Who or what was let in and left out?", "criteria of recruitment"),
    ("Methods: data", "How were images and tables prepared?", ""),
    ("Methods: data", "Which part of the data was used?", ""),
    ("Methods: data", "How were data made anonymous?", "de-identification before BIDS"),
    ("Methods: data", "What was done about missing data?", ""),
    ("Methods: data", "How were images acquired?", "what the sidecars do not say"),
    ("Methods: reference", "How was the truth found out?", "how and when it was assessed"),
    ("Methods: reference", "Why in this way?", "why"),
    ("Methods: reference", "Who found it out, and with which training?", "assessors"),
    ("Methods: reference", "How were the tested people assessed?", "assessors of those tested"),
    ("Methods: reference", "How far do assessors agree?", "agreement of assessors"),
    ("Methods: partitions", "How were data divided?", ""),
    ("Methods: partitions", "At which level are the parts apart (person, scan, site)?", ""),
    ("Methods: testing", "How many people were meant to be tested?", "whether it was planned"),
    ("Methods: model", "What is the model, from input to output?", ""),
    ("Methods: model", "Which software, in which version?", ""),
    ("Methods: model", "What did its weights begin with?", ""),
    ("Methods: training", "How was it trained?", ""),
    ("Methods: training", "How was the final model chosen?", ""),
    ("Methods: training", "Were models joined, and how?", ""),
    ("Methods: evaluation", "Which measures?", "why these measures"),
    ("Methods: evaluation", "How are uncertainty and significance told?", ""),
    ("Methods: evaluation", "How robust is it (sensitivity analyses)?", ""),
    ("Methods: evaluation", "How was it explained?", ""),
    ("Methods: evaluation", "How was it tested on data of its own place?", ""),
    ("Methods: evaluation", "Was it tested on data from elsewhere?", ""),
    ("Methods: evaluation", "If a trial: where is it registered?", "registration"),
    ("Results: data", "How many were included and left out?", ""),
    ("Results: data", "What are the people of each part like?", "treatments, settings"),
    ("Results: model", "How good is it, with uncertainty?", ""),
    ("Results: model", "How good as a test, and how precisely is that known?", ""),
    ("Results: model", "Where does it fail?", "a look at those it got wrong"),
    ("Discussion", "Which limits?", "limits that no file knows"),
    ("Discussion", "What follows for practice?", "the clinical part it may play"),
    ("Other", "Where is the full protocol, or more of the methods?", "the protocol"),
    ("Other", "Can software, model and data be had?", "whether data are shared"),
    ("Other", "Who paid, and what had they to do with it?", "funding"),
)
ITEMS = tuple(
    Item(str(place), section, asks, author)
    for place, (section, asks, author) in enumerate(_ASKED, 1)
)


def _kind(k: RunFacts) -> Answer:
    network = k.recipe.with_variant(k.variant).network
    return (
        f"To name: a deep network ({network.name} {network.depth}, {network.dims}D) of images.",
        ("recipe.yaml: network",),
    )


def _goal(k: RunFacts) -> Answer:
    return f"To make a model and to test it inside one cohort. {k.recipe.summary}.", (
        "recipe.yaml",
    )


def _subset(k: RunFacts) -> Answer:
    section = k.recipe.with_variant(k.variant).representation
    return (
        f"{joined(list(section.channels))} as {section.kind}; {k.excluded}.",
        ("recipe.yaml: representation", "exclusions.tsv"),
    )


def _anonymous(k: RunFacts) -> Answer:
    """Name what of people the bundle's files hold; the card tells of the hashes alone."""
    configs = f"model/{k.variant}/configs"
    held = {
        f"{configs}/training_images.json": "hashes of training images",
        f"{configs}/training_prints.safetensors": "prints by which training scans are known again",
        f"{configs}/training_cohort.json": "aggregates of five people or more",
    }
    there = {file: what for file, what in held.items() if (k.run.folder / file).exists()}
    text = "Tables and pages name people by their labels in BIDS."
    if there:
        text += f" The bundle holds {joined(there.values())}."
    return text, ("cohort.tsv", *there)


def _acquired(k: RunFacts) -> Answer:
    return (f"By the images' sidecars: {k.scanners}." if k.scanners else ""), ("cohort.tsv",)


def _level(k: RunFacts) -> Answer:
    return answers.splits_level(k), ("splits.tsv", "near_duplicates.tsv")


def _software(k: RunFacts) -> Answer:
    return f"NociCast {__version__}; versions of libraries stand in the methods text.", (
        "logs/CITATION.md",
        f"model/{k.variant}/configs/metadata.json",
    )


def _begins(k: RunFacts) -> Answer:
    start = k.recipe.with_variant(k.variant).network.start_kind
    return f"Initial weights: {start}.", ("recipe.yaml: network", "logs/CITATION.md")


def _trained(k: RunFacts) -> Answer:
    one = k.recipe.with_variant(k.variant).training
    return (
        f"{one.optimizer_name}, {one.loss_name}, {one.epochs} epochs, batches of {one.batch_size}.",
        ("recipe.yaml: training", "history.tsv", "logs/CITATION.md"),
    )


def _chosen(k: RunFacts) -> Answer:
    training = k.recipe.with_variant(k.variant).training
    told = {
        "last": "The network of the last epoch is kept.",
        "inner": "The epoch is chosen on a part of the training fold.",
        "test_fold": "The epoch is chosen on the fold that is scored (LEAK).",
    }
    text = f"{told[training.checkpoint]}{answers.search_answer(k)} {k.findings('tried')}"
    where = answers.SEARCHED if training.search else ()
    return text.strip(), ("recipe.yaml: training", *where)


def _joined(k: RunFacts) -> Answer:
    text = "The model is the mean of its fold models' probabilities."
    if k.run.ensembles:
        text += f" Ensembles of variants: {joined(list(k.run.ensembles))}."
    return text, ("recipe.yaml: ensembles", f"model/{k.variant}/configs/models.json")


def _uncertain(k: RunFacts) -> Answer:
    plan = k.recipe.evaluation
    return (
        f"Intervals of {plan.confidence:.0%}, beside those that allow for training on other "
        f"people; tests: {joined(list(plan.tests)) or 'none'}; comparisons of AUCs are corrected "
        "after Holm.",
        ("metrics.tsv", "logs/CITATION.md"),
    )


def _robust(k: RunFacts) -> Answer:
    others = [name for name in k.run.variants if name != k.variant and name not in k.copies]
    told = f"Variants beside {k.variant}: {joined(others)}." if others else "No other variant."
    same = "; ".join(f"{name} those of {other}" for name, other in k.copies.items())
    if same:
        told += f" No analyses of their own, as their networks and scores are the same: {same}."
    return told, ("metrics.tsv", "scores.tsv", "recipe.yaml: variants")


def _explained(k: RunFacts) -> Answer:
    made = (k.run.folder / "saliency").is_dir()
    method = k.recipe.with_variant(k.variant).saliency.method
    text = f"Maps by {method}, with sanity checks." if made else "No maps were made in this run."
    return text, ("saliency", "recipe.yaml: saliency")


def _as_a_test(k: RunFacts) -> Answer:
    return k.as_a_test, ("metrics.tsv: scope pooled", "figures/confusion.tsv")


def _fails(k: RunFacts) -> Answer:
    return "Every person's held-out probability beside the outcome.", ("scores.tsv", "report.html")


ANSWERS: Mapping[str, Callable[[RunFacts], Answer]] = {
    str(number): say
    for number, say in {
        1: _kind,
        2: answers.ANSWERS["2"],
        6: _goal,
        7: answers.ANSWERS["5a"],
        8: answers.ANSWERS["6b"],
        9: answers.ANSWERS["7"],
        10: _subset,
        11: _anonymous,
        12: answers.ANSWERS["11"],
        13: _acquired,
        14: answers.ANSWERS["8a"],
        19: answers.ANSWERS["12a"],
        20: _level,
        21: answers.ANSWERS["10"],
        22: answers.ANSWERS["12c"],
        23: _software,
        24: _begins,
        25: _trained,
        26: _chosen,
        27: _joined,
        28: answers.ANSWERS["12e"],
        29: _uncertain,
        30: _robust,
        31: _explained,
        32: answers.ANSWERS["12a"],
        33: answers.ANSWERS["27c"],
        35: answers.ANSWERS["20a"],
        36: answers.ANSWERS["20b"],
        37: answers.ANSWERS["23a"],
        38: _as_a_test,
        39: _fails,
        40: answers.ANSWERS["26"],
        42: answers.ANSWERS["18f"],
        43: answers.ANSWERS["22"],
    }.items()
}
"""Number of an item to what answers it; the others are for the authors alone."""
