"""Maps of images that are 0 beyond their tissue are judged where there is tissue."""

import numpy as np
import pytest

from bidsapp.evaluation.chance import Forecast
from bidsapp.recipes import apply_values, load_recipe
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import RANDOM_ORDERS, FoldChecks
from bidsapp.saliency.perturbation import SHARES
from bidsapp.saliency.plain_images import judged_mask
from bidsapp.saliency.sanity import EDGES_MM, Evidence, judge
from bidsapp.saliency.verdict import Findings
from tests.benchmarks.map_claims import World, cohort_of, plates

WORLD = plates()
EVERYWHERE = np.ones(WORLD.shape, bool)
CHANNELS = ("tibia_thickness", "tibia_shape")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> CohortArray:
    """Thickness that is 0 beyond two plates, and a shape that is there all over."""
    rng = np.random.default_rng(0)
    thick = cohort_of(WORLD, 12, 1.5, rng).images.reshape(12, *WORLD.shape)
    thick[0] = np.where(np.arange(WORLD.shape[0])[:, None] < 24, 0, thick[0])  # half of it is worn
    shape = 30 + rng.normal(size=thick.shape)
    path = tmp_path_factory.mktemp("images") / "cohort.npy"
    np.save(path, np.stack([thick, shape], axis=1).astype(np.float16))
    names = tuple(f"sub-{i}" for i in range(12))
    return CohortArray(path, names, ("",) * 12, CHANNELS, WORLD.space, "key")


def test_tissue_is_where_half_of_the_images_have_it_in_each_such_channel(
    images: CohortArray,
) -> None:
    recipe = load_recipe("morales2021")
    np.testing.assert_array_equal(judged_mask(images, EVERYWHERE, recipe), WORLD.tissue)
    half = EVERYWHERE.copy()
    half[:20] = False
    np.testing.assert_array_equal(judged_mask(images, half, recipe), WORLD.tissue & half)
    worn = judged_mask(images, EVERYWHERE, recipe, np.array([0]))
    assert 0.3 < worn.sum() / WORLD.tissue.sum() < 0.7


def test_images_that_are_there_everywhere_are_judged_everywhere(images: CohortArray) -> None:
    brains = apply_values(load_recipe("attias2025"), {})
    assert judged_mask(images, EVERYWHERE, brains) is EVERYWHERE
    shape = CohortArray(
        *(images.path, images.participants, images.sessions, ("tibia_shape", "femur_shape")),
        *(images.space, "key"),
    )
    assert judged_mask(shape, EVERYWHERE, load_recipe("morales2021")) is EVERYWHERE


def judged(world: World, images: CohortArray, own: np.ndarray, inside: np.ndarray) -> Findings:
    """What the checks say of a map."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(1, *world.shape))
    found = 0.1 * rng.standard_normal((2, 1 + RANDOM_ORDERS, 2))
    curves = np.zeros((2, 1 + RANDOM_ORDERS, 2, len(SHARES)))
    folds = [FoldChecks(3, own, ("conv1",), drawn, found, curves) for _ in range(2)]
    good = Forecast(0.9, 0.7, 1.0, 12)
    outcome = np.arange(12) % 2
    evidence = Evidence(folds, None, good, images, outcome, inside, world.fwhm, world.space)
    return judge(evidence)


def verdicts(world: World, images: CohortArray, own: np.ndarray, inside: np.ndarray) -> list[str]:
    """What the check of edges says, channel by channel."""
    rows = judged(world, images, own, inside).rows
    return [row["result"] for row in rows if row["check"] == "edges"]


def test_a_spot_in_tissue_is_no_edge_and_edges_are(images: CohortArray) -> None:
    inside = judged_mask(images, EVERYWHERE, load_recipe("morales2021"))
    spot = WORLD.place.astype(float)
    edges = WORLD.space.edges(images.open()[1, 0].astype(float), EDGES_MM)
    # Over the whole sphere either lies where tissue is, and so do the edges of its image.
    assert verdicts(WORLD, images, spot + 0.1 * WORLD.tissue, EVERYWHERE)[0] == "fail"
    assert verdicts(WORLD, images, spot + 0.1 * WORLD.tissue, inside)[0] == "pass"
    for where in (EVERYWHERE, inside):
        assert verdicts(WORLD, images, edges, where)[0] == "fail"


def test_what_is_said_of_maps_over_a_sphere_knows_no_voxel_and_no_brain(
    images: CohortArray,
) -> None:
    for inside in (WORLD.tissue, ~EVERYWHERE):
        found = judged(WORLD, images, WORLD.place.astype(float), inside).plain()
        said = " ".join(found["sentences"])
        assert "pixel" in said
        assert "voxel" not in said
        assert "brain" not in said
