"""Fitted steps for tests: what each has to keep to, one with known numbers, leaks by their name."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from bidsapp.contracts.fitted import FittedStep, OfMaps
from bidsapp.contracts.fitted_offers import AskedStep, fitted_offers, module_of
from bidsapp.recipes import load_recipe
from bidsapp.representation.chain import Chain
from bidsapp.representation.fitted.template_components import maps_on_grid
from bidsapp.representation.image_rows import ImageRows
from bidsapp.spaces.volume import volume

TRAIN, TEST = np.array([1, 4, 5, 6, 8, 9]), np.array([0, 2, 3, 7])
ROLES = {"train": TRAIN, "validation": TRAIN[:0], "test": TEST}
OUTCOME = np.arange(10) % 2
CHANNELS = ("t1w", "log_jacobian")
FURTHER = Path(__file__).parents[1] / "further_steps"

PAPER = load_recipe("attias2025").with_values(
    {
        "mode": "paper",
        "representation.zscore": "dataset",
        "evaluation.best_fold": True,
        "evaluation.fitted_threshold": "test_fold",
        "saliency.folds": "best",
    }
)


def leaks(*names: str) -> tuple[FittedStep, ...]:
    """The steps of these names, as a recipe in paper mode declares them."""
    declared = {step.name: step for step in PAPER.leaks()}
    return tuple(declared[name] for name in names)


def z_score(mean: Sequence[float], sd: Sequence[float]) -> Chain:
    """The z-score of the default recipe as if it had been fitted to these numbers."""
    chain = Chain.of(PAPER.with_values({"representation.zscore": "train_fold"}).representation)
    return chain.with_state({"0.mean": np.array(mean, float), "0.sd": np.array(sd, float)})


SPACE = volume((6, 5, 4), np.diag([3.0, 3, 3, 1]))


@cache
def component_maps() -> Path:
    """A file of two maps on a grid of its own, which goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="nocicast-maps-"))
    atexit.register(shutil.rmtree, folder, True)
    maps = np.random.default_rng(3).normal(size=(12, 10, 8, 2)).astype(np.float32)
    nib.Nifti1Image(maps, np.diag([1.5, 1.5, 1.5, 1])).to_filename(folder / "maps.nii.gz")
    return folder / "maps.nii.gz"


def _settings(name: str) -> dict[str, int | str]:
    """Give what a step is asked for in tests, where its defaults are made for larger images."""
    known: dict[str, dict[str, int | str]] = {
        "group_ica": {"components": 3, "reduction": 5, "starts": 3},
        "outcome_selection": {"count": 1},
        "combat": {"unseen": "pooled", "fewest": 2},
    }
    if name == "template_components":
        return {"maps": str(component_maps())}
    if name == "template_selection":
        return {"maps": str(component_maps()), "count": 1}
    return known.get(name, {})


VOLUMES = {"group_ica": 14, "template_components": 14}
"""Channels of the images of steps that need series."""


def images(seed: int = 0, name: str = "") -> ImageRows:
    """Ten images of two channels, or as many as a step needs, and the site of each."""
    size = (10, VOLUMES.get(name, 2), 6, 5, 4)
    array = np.random.default_rng(seed).normal(3, 2, size).astype(np.float16)
    if name == "template_selection":  # something that can be found in them
        array += (4 * maps_on_grid(component_maps(), SPACE)).astype(np.float16)
    return ImageRows(array, columns={"site": list("aabbaabbab")}, space=SPACE)


def asked(name: str, scope: str) -> AskedStep:
    settings = fitted_offers()[name].settled(_settings(name))
    return AskedStep(f"representation.fitted.{name}.fit", name, scope, settings)


def chain_of(name: str, scope: str) -> Chain:
    """A step alone, unfitted."""
    return Chain((module_of(fitted_offers()[name]).build(asked(name, scope)),))


def fitted(name: str, scope: str) -> Chain:
    return chain_of(name, scope).fit(images(0, name), ROLES, OUTCOME)[0]


def every_step() -> list[tuple[str, str]]:
    """Name and scope of every step that there is."""
    return [(name, scope) for name, offer in fitted_offers().items() for scope in offer.scopes]


def same(one: Chain, other: Chain) -> bool:
    """Whether two chains hold the same bits."""
    a, b = one.state(), other.state()
    return list(a) == list(b) and all(a[k].tobytes() == b[k].tobytes() for k in a)


def given(chain: Chain, rows: ImageRows) -> list[bytes]:
    """All that a network would be given of these images, bit for bit."""
    stored = chain.stored(rows)
    numbers = chain.numbers(stored, np.arange(len(stored)))
    return [stored.whole().tobytes(), *(part.tobytes() for pair in numbers for part in pair)]


def says_what_it_fits(name: str, scope: str, folder: Path) -> None:
    (told,) = chain_of(name, scope).declares()
    assert told == asked(name, scope).declares()
    assert told.scope == scope
    offer = fitted_offers()[name]
    assert told.leaks == (scope in ("dataset", "test_fold"))
    assert offer.name == name
    assert all((offer.title, offer.verb, offer.found))
    assert asked(name, scope).words
    assert asked(name, scope).on_card.endswith("(LEAK)") == told.leaks


def gives_the_same_bits_in_any_order(name: str, scope: str, folder: Path) -> None:
    first, stored = chain_of(name, scope).fit(images(0, name), ROLES, OUTCOME)
    mixed = ROLES | {"train": TRAIN[::-1], "test": TEST[::-1]}
    second, again = chain_of(name, scope).fit(images(0, name), mixed, OUTCOME)
    assert same(first, second)
    assert stored.whole().tobytes() == again.whole().tobytes()
    assert given(first, images(1, name)) == given(second, images(1, name))


def gives_the_same_bits_from_a_file_on_the_disk(name: str, scope: str, folder: Path) -> None:
    """A cohort larger than memory: a memory map, and files for what is stored."""
    np.save(folder / "cohort.npy", images(0, name).array)
    array = np.load(folder / "cohort.npy", mmap_mode="r")
    mapped = ImageRows(array, columns=images().columns, space=SPACE)
    first, stored = chain_of(name, scope).fit(images(0, name), ROLES, OUTCOME)
    second, again = chain_of(name, scope).fit(mapped, ROLES, OUTCOME, folder)
    assert same(first, second)
    assert stored.whole().tobytes() == again.whole().tobytes()
    assert [path.name for path in folder.iterdir()] == ["cohort.npy"]


def is_not_reached_by_people_held_out(name: str, scope: str, folder: Path) -> None:
    noisy = images(0, name)
    noisy.array[TEST] = np.random.default_rng(9).normal(0, 9, noisy.array[TEST].shape)
    told = 1 - OUTCOME
    if fitted_offers()[name].uses_outcome:
        told[TRAIN] = OUTCOME[TRAIN]
    other = chain_of(name, scope).fit(noisy, ROLES, told)[0]
    reached = not same(fitted(name, scope), other)
    assert reached == (scope == "dataset")


def is_the_same_saved_and_loaded(name: str, scope: str, folder: Path) -> None:
    one = fitted(name, scope)
    one.save(folder / "fitted.safetensors")
    back = chain_of(name, scope).load(folder / "fitted.safetensors")
    assert same(one, back)
    assert given(back, images(1, name)) == given(one, images(1, name))
    assert back.channels(CHANNELS) == one.channels(CHANNELS)
    assert len(back.channels(CHANNELS)) == back.stored(images(1, name)).shape[1]


def streams_what_a_network_is_given(name: str, scope: str, folder: Path) -> None:
    one = fitted(name, scope)
    (step,) = one.steps
    new, rows = images(1, name), np.array([7, 2])
    one_by_one = list(step.transform(new, rows))
    assert all(image.dtype == np.float32 for image in one_by_one)
    assert {len(image) for image in one_by_one} == {len(one.channels(CHANNELS))}
    stored = one.stored(new.picked(rows)).whole().astype(np.float32)
    for low, spread in one.numbers(new.picked(rows), np.arange(2)):
        wide = (2, -1, 1, 1, 1)
        stored = (stored - low.reshape(wide)) / spread.reshape(wide)
    np.testing.assert_allclose(stored, one_by_one, rtol=2e-3, atol=2e-3)


def lays_out_the_map_of_every_channel(name: str, scope: str, folder: Path) -> None:
    one = fitted(name, scope)
    maps = one.group_maps(CHANNELS)
    if isinstance(one.steps[0], OfMaps):
        assert tuple(maps) == one.channels(CHANNELS)
        assert all(values.shape == SPACE.shape and values.any() for values in maps.values())
        again = one.with_state(one.state()).group_maps(CHANNELS)
        assert all((again[key] == values).all() for key, values in maps.items())
    else:
        assert not maps


CHECKS: tuple[Callable[[str, str, Path], None], ...] = (
    says_what_it_fits,
    gives_the_same_bits_in_any_order,
    gives_the_same_bits_from_a_file_on_the_disk,
    is_not_reached_by_people_held_out,
    is_the_same_saved_and_loaded,
    streams_what_a_network_is_given,
    lays_out_the_map_of_every_channel,
)
"""What every fitted step has to keep to: called with its name, its scope and an empty folder."""
