"""Where maps of necks lie: by trained networks, and by networks that were never trained.

Run from the repository root: ``python -m tests.benchmarks.neck_maps FOLDER``. Synthetic necks, of
which a narrowed foramen alone tells the groups apart, go through both levels of the app into
FOLDER; what is there is kept, so that another command (more draws) goes on. The networks of the
folds then explain the people whom they held out, by each method that the study names, and so do
networks of the same kind whose weights were only drawn.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from scipy.ndimage import map_coordinates
from sklearn.metrics import roc_auc_score

from bidsapp.derivatives.finished import finished_images
from bidsapp.execution.compute import threads
from bidsapp.modalities.spine.phantom import write_phantom
from bidsapp.modalities.spine.region import common_frame
from bidsapp.networks.bundle import Bundle, load_bundle
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.image_rows import ImageRows
from bidsapp.saliency.attribute import Lens, attribute
from bidsapp.saliency.methods import METHODS
from bidsapp.saliency.sanity import MOST_ALIKE
from bidsapp.saliency.similarity import rank_correlation
from bidsapp.spaces import Slice, read_space
from tests.unit.saliency_stacks import top_share_inside

TOP = 0.05
DIFFERS = 0.25
"""A cell belongs to the foramen of the group where it does in this share of people."""
BATCH = 32
STAGES = {"resnet": {"7 x 7": 3, "4 x 4": 4}, "efficientnetv2": {"7 x 7": 5, "4 x 4": 6}}
"""Of each network, the stage whose picture has so many cells."""


@dataclass(frozen=True)
class Necks:
    """Prepared pictures of synthetic necks.

    Attributes
    ----------
    people
        Labels, ``sub-01``.
    pictures
        (people, 1, size, size) float16, as networks are given them.
    foramina
        (people, size, size) bool: where a narrow foramen differs from a wide one.
    """

    people: tuple[str, ...]
    pictures: np.ndarray
    foramina: np.ndarray

    @property
    def foramen(self) -> np.ndarray:
        """Where foramina of the group differ, (size, size) bool."""
        return np.asarray(self.foramina.mean(axis=0) >= DIFFERS)


@dataclass(frozen=True)
class Place:
    """Where maps of one kind of network lie.

    Attributes
    ----------
    group
        Share of the strongest 5 % of the mean map's pixels that lie in the group's foramen.
    own
        The same of each person's map and own foramen, averaged over people.
    mean
        The mean map, smoothed, (pixels,).
    """

    group: float
    own: float
    mean: np.ndarray


def foramen_in(bids: Path, who: str, space: Slice) -> np.ndarray:
    """Where a narrow foramen differs from a wide one, in the picture of a person."""
    mask = nib.Nifti1Image.load(next((bids / "derivatives/truth" / who).rglob("*_mask.nii.gz")))
    u, v = np.meshgrid(*map(np.arange, space.shape), indexing="ij")
    cells = np.stack([u, v, 0 * u, 0 * u + 1]).reshape(4, -1)
    at = (np.linalg.inv(mask.affine) @ space.affine @ cells)[:3]
    return map_coordinates(np.asarray(mask.dataobj, float), at, order=1).reshape(space.shape) > 0.5


def read_necks(bids: Path, out: Path) -> Necks:
    """Read what the participant level made of synthetic necks, with the truth beside them."""
    people, pictures, foramina = [], [], []
    for one in finished_images(out):
        space = read_space(one.sidecar["Space"])
        assert isinstance(space, Slice)
        people.append(one.participant)
        pictures.append(
            np.asarray(nib.Nifti1Image.load(one.names.path("picture")).dataobj)[None, ..., 0]
        )
        foramina.append(foramen_in(bids, one.participant, space))
    return Necks(tuple(people), np.array(pictures, np.float16), np.array(foramina))


def place_of(maps: np.ndarray, foramina: np.ndarray, foramen: np.ndarray, fwhm_mm: float) -> Place:
    """Tell where maps lie.

    Parameters
    ----------
    maps
        (people, size, size), signed.
    foramina
        Of the same people, bool.
    foramen
        Of the group, (size, size) bool.
    fwhm_mm
        Of the smoothing.
    """
    everywhere = np.ones(foramen.shape, bool)
    smooth = common_frame(len(foramen)).smoother(everywhere, fwhm_mm)

    def share(values: np.ndarray, region: np.ndarray) -> float:
        return top_share_inside(values.reshape(region.shape), region, everywhere, TOP)

    mean = smooth(maps.mean(axis=0).ravel())
    own = [share(smooth(one.ravel()), region) for one, region in zip(maps, foramina, strict=True)]
    return Place(share(mean, foramen), float(np.mean(own)), mean)


def methods_of(network: str) -> dict[str, Saliency]:
    """Give the methods that the study names, for a network, as its recipe has them."""
    recipe = load_recipe("wang2023")
    smooth = {"smoothing_fwhm_mm": recipe.saliency.smoothing_fwhm_mm}
    patch = recipe.with_variant("occlusion").saliency.patch_mm
    asked = {"gradient": {"method": "gradient"}}
    for cells, stage in STAGES[network].items():
        asked[f"grad_cam {cells}"] = {"method": "grad_cam", "stage": stage}
    asked["occlusion"] = {"method": "occlusion", "patch_mm": patch}
    return {name: Saliency.model_validate(one | smooth) for name, one in asked.items()}


def true_positives(bundle: Bundle, scores: pd.DataFrame, necks: Necks) -> list[np.ndarray]:
    """Of each model, the rows of the people whom it held out and rightly called positive."""
    hit = (scores["outcome"] == 1) & (scores["probability"] >= bundle.recipe.evaluation.threshold)
    at = {who: row for row, who in enumerate(necks.people)}
    found = []
    for model in bundle.models:
        own = hit & (scores["fold"] == model.fold) & (scores["repeat"] == model.repeat)
        found.append(np.array([at[who] for who in scores["participant_id"][own]], int))
    return found


def explained(
    networks: Sequence[torch.nn.Module],
    bundle: Bundle,
    rows: Sequence[np.ndarray],
    necks: Necks,
    settings: Saliency,
) -> np.ndarray:
    """Explain the answers of each network for its rows, one after the other: (rows, size, size)."""
    maps = []
    for network, model, own in zip(networks, bundle.models, rows, strict=True):
        lens = Lens(settings, model.fitted, bundle.space.spacing, torch.device("cpu"), BATCH)
        images, names = ImageRows(necks.pictures[own]), [necks.people[row] for row in own]
        maps.append(attribute(network.eval(), images, names, lens).sum(axis=1))
    return np.concatenate(maps)


def places(
    bundle: Bundle, scores: pd.DataFrame, necks: Necks, draws: int, methods: Mapping[str, Saliency]
) -> Iterator[tuple[str, Place, list[Place]]]:
    """Give method by method where maps of trained and of untrained networks lie.

    Parameters
    ----------
    bundle
        The networks of all folds.
    scores
        Rows of scores.tsv of that variant, from the same folds.
    necks
        Everybody.
    draws
        How often weights are drawn, a quarter as often for methods that are dear; those of a draw
        are the same for all folds.
    methods
        Name to settings.
    """
    rows = true_positives(bundle, scores, necks)
    foramina = necks.foramina[np.concatenate(rows)]
    trained = [bundle.network(model) for model in bundle.models]
    size = necks.pictures.shape[2:]
    for name, settings in methods.items():
        found = []
        dear = not METHODS[settings.method].cheap
        for seed in (None, *range(max(draws // 4, 1) if dear else draws)):
            networks = trained
            if seed is not None:
                networks = [build_network(bundle.recipe.network, 1, seed, size)] * len(trained)
            maps = explained(networks, bundle, rows, necks, settings)
            found.append(place_of(maps, foramina, necks.foramen, settings.smoothing_fwhm_mm))
        yield name, found[0], found[1:]


def line_of(name: str, trained: Place, untrained: Sequence[Place]) -> str:
    """Write a line of the table."""
    cells = [f"{name:16}", f"{trained.group:7.2f}", f"{trained.own:6.2f}"]
    if untrained:
        groups, owns = ([getattr(one, key) for one in untrained] for key in ("group", "own"))
        alike = [rank_correlation(trained.mean, one.mean) for one in untrained]
        many = sum(abs(value) > MOST_ALIKE for value in alike)
        cells += [
            f"{np.mean(groups):7.2f} ({min(groups):.2f} to {max(groups):.2f})",
            f"{np.mean(owns):6.2f}",
            f"{many:5d} of {len(alike)} ({min(alike):.2f} to {max(alike):.2f})",
        ]
    return " ".join(cells)


def run_app(folder: Path, level: str, *words: str) -> None:
    """Run a level of the app; what it says is shown where it fails.

    Raises
    ------
    SystemExit
        It ended with another code than 0.
    """
    command = [sys.executable, "-m", "bidsapp", str(folder / "necks"), str(folder / "out"), level]
    fixed = ["--recipe", "wang2023", "--skip-bids-validation", "-w", str(folder / "work")]
    done = subprocess.run([*command, *fixed, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(2)


def main() -> int:
    """Make, prepare and train what is not there yet, and print where maps lie."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.neck_maps")
    parser.add_argument("folder", type=Path, help="where necks and results are kept")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--variant", default="compact", help="of wang2023: what is trained")
    parser.add_argument("--draws", type=int, default=12, help="networks without training")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipe")
    given = parser.parse_args()
    folder = given.folder
    if not (folder / "necks").is_dir():
        write_phantom(folder / "necks", given.people)
    run_app(folder, "participant")
    quick = ("evaluation.placement=0", "evaluation.baselines=[majority]", *given.set)
    chosen = ("--variants", given.variant, "--run-label", given.variant, "--no-saliency")
    run_app(folder, "group", *chosen, "--device", "cpu", "--set", *quick)
    run = folder / "out/group" / given.variant
    bundle = load_bundle(run / "model" / given.variant)
    scores = pd.read_csv(run / "scores.tsv", sep="\t")
    necks = read_necks(folder / "necks", folder / "out")
    auc = roc_auc_score(scores["outcome"], scores["probability"])
    network = bundle.recipe.network.name
    rows = true_positives(bundle, scores, necks)
    print(
        f"{given.variant}: {network}, {len(bundle.models)} folds, AUC {auc:.2f}; maps of "
        f"{sum(map(len, rows))} true positives of {len(necks.people)} people; foramina differ on "
        f"{necks.foramen.mean():.2f} of the group's picture, {necks.foramina.mean():.2f} of a "
        "person's"
    )
    print("Share of the strongest 5 % of pixels there; of untrained networks mean and range over")
    print("draws of weights, and of how many the mean map is like the trained one:")
    print("method             group    own   untrained: group      own   |Spearman| above .5")
    with threads(1):
        for name, trained, untrained in places(
            bundle, scores, necks, given.draws, methods_of(network)
        ):
            print(line_of(name, trained, untrained), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
