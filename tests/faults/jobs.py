"""The app's jobs that faults are tried on: what each reads, how it is started, its phases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsapp.phantom.dataset import make_phantom
from tests.faults.disturbed import Phase
from tests.integration.group_studies import group_arguments, make_study
from tests.integration.test_validation import OUTCOME, new_people

MODEL = Path("out", "group", "small", "model", "base")


@dataclass(frozen=True)
class Job:
    """A command of the app.

    Attributes
    ----------
    name
        Of the job.
    make
        Writes what it reads into a folder, given that of the finished group run.
    arguments
        Command line, given the folder and that of the finished group run.
    phases
        Parts of the run in the order in which they come, known by the files that they handle.
    takes_bundle
        Whether it applies the model of the group run.
    """

    name: str
    make: Callable[[Path, Path], None]
    arguments: Callable[[Path, Path], Sequence[object]]
    phases: tuple[Phase, ...]
    takes_bundle: bool = False


def _study(root: Path, _: Path) -> None:
    make_study(root, people=12)


def _group(root: Path, _: Path) -> Sequence[object]:
    maps = ("--set", "saliency.permutations=20", "saliency.shuffled_folds=1")
    few = (*maps, "--permutations", 1, "--variants", "base")
    return group_arguments(root, *few, maps=True)


def _heads(root: Path, _: Path) -> None:
    make_phantom(root / "bids", participants=2, resolution_mm=4)


def _participant(root: Path, _: Path) -> Sequence[object]:
    fixed = ("--nprocs", 1, "--skip-bids-validation", "--speed", "fast", "--device", "cpu")
    return (root / "bids", root / "out", "participant", *fixed)


def _elsewhere(root: Path, _: Path) -> None:
    new_people(root)


def _validation(root: Path, trained: Path) -> Sequence[object]:
    fixed = ("--device", "cpu", "--nprocs", 1, "--run-label", "elsewhere")
    return (root / "bids", root / "out", "group", "--model", trained / MODEL, *fixed, *OUTCOME)


def _prediction(root: Path, trained: Path) -> Sequence[object]:
    fixed = ("--nprocs", 1, "--skip-bids-validation", "--device", "cpu", "--model", trained / MODEL)
    return (root / "bids", root / "out", "participant", *fixed)


GROUP = Job(
    "group",
    _study,
    _group,
    (
        Phase("cohort and splits", r"out/group/small/\S*(recipe|cohort|exclusions|splits)\."),
        Phase("arrays", r"/arrays/"),
        Phase("training", r"work/\S*/folds/"),
        Phase("scores", r"small/\S*(scores|history)\.tsv"),
        Phase("evaluation", r"small/\S*(metrics|tables|findings|curves)"),
        Phase("models", r"out/group/small/model"),
        Phase("maps of people", r"(saliency|explained|maps)\S*/sub-|sub-\S*statmap"),
        Phase("maps of the group", r"out/group/small/saliency/(?!\S*sub-)"),
        Phase("permutations", r"permuted"),
        Phase("reports", r"(report\.html|figures|CITATION|tripod)"),
    ),
)
PARTICIPANT = Job(
    "participant",
    _heads,
    _participant,
    (
        Phase("begin", r"dataset_description|bidsignore|nocicast_work/(template|conformed)"),
        Phase("steps", r"work/\S*/all/"),
        Phase("files of a person", r"out/(?!work)\S*sub-\d+"),
        Phase("pages", r"out/(?!work)\S*(quality|sub-\d+)\.html|logs"),
    ),
)
VALIDATION = Job(
    "validation",
    _elsewhere,
    _validation,
    (
        Phase("state", r"elsewhere/\S*(cohort|exclusions|scores)\."),
        Phase("evaluation", r"elsewhere/\S*(metrics|tables|findings)"),
        Phase("reports", r"(report\.html|figures|CITATION|tripod)"),
    ),
    takes_bundle=True,
)
PREDICTION = Job(
    "prediction",
    _heads,
    _prediction,
    (
        Phase("files of a person", r"out/(?!work)\S*sub-\d+"),
        Phase("predictions", r"out/(?!work)\S*predictions"),
        Phase("pages", r"out/(?!work)\S*\.html"),
    ),
    takes_bundle=True,
)
JOBS = (PARTICIPANT, GROUP, PREDICTION, VALIDATION)
