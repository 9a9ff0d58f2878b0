"""A model of bones explained for a new person: the map lies on that person's own bone."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.derivatives import OutputNames
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.networks.bundle import Bundle
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.registry import build_network
from bidsapp.reports.earlier_predictions import forget_maps
from bidsapp.reports.prediction import saliency_views, surface_maps
from bidsapp.representation.chain import Chain
from bidsapp.saliency.bundle_maps import BundleMaps
from bidsapp.spaces.gifti import write_mesh
from bidsapp.spaces.sphere import Sphere
from tests.unit.spaces_table import ellipsoid
from tests.unit.synthetic_cohort import small_recipe

SPHERE = Sphere((32, 32), label="tibia")


@pytest.fixture
def bone(tmp_path: Path) -> OutputNames:
    """Names of a knee whose tibia is an ellipsoid."""
    products = modality_named("knee").products_for({"bones": ["tibia"]})
    names = OutputNames(
        tmp_path / "out", {"subject": "01"}, {"space": "sphere", "part": ""}, products
    )
    names.folder.mkdir(parents=True)
    mesh = ellipsoid((20.0, 22.0, 24.0), 2)
    write_mesh(names.folder / f"{names.stem}_desc-tibia_mesh.surf.gii", mesh.vertices, mesh.faces)
    grid = grid_of(ANATOMY["tibia"], *SPHERE.shape)
    told = {
        "Centre": [0, 0, 0],
        "Directions": np.asarray(grid.axes).tolist(),
        "Shape": list(SPHERE.shape),
        "Latitudes": list(SPHERE.latitudes),
    }
    sidecar = names.folder / f"{names.stem}_space-sphere_desc-tibiathickness_statmap.json"
    sidecar.write_text(json.dumps({"Grid": told}))
    return names


@pytest.fixture
def maps(tmp_path: Path) -> BundleMaps:
    """One network of pictures of a tibia."""
    import safetensors.torch

    recipe = small_recipe(
        preparation={"modality": "knee", "bones": ["tibia"]},
        representation={
            "kind": "sphere",
            "plane": None,
            "slices": None,
            "channels": ["tibia_thickness"],
            "zscore": "none",
        },
        network={"dims": 2},
        saliency={"method": "gradient"},
    )
    network = build_network(recipe.network, 1, seed=0, shape=SPHERE.shape)
    safetensors.torch.save_file(dict(network.state_dict()), tmp_path / "a.safetensors")
    models = (FoldModel(0, 0, tmp_path / "a.safetensors", Chain()),)
    about: dict[str, Any] = {"metadata": {}}
    bundle = Bundle(
        *(tmp_path, "knees-base", "1.0.0", "ab", "cd", recipe, SPHERE),
        *(("tibia_thickness",), models),
        **about,
    )
    return BundleMaps(bundle, "cpu")


def test_values_lie_on_the_points_of_the_persons_own_bone(
    bone: OutputNames, maps: BundleMaps
) -> None:
    picture = np.random.default_rng(0).random((1, 1, *SPHERE.shape), np.float32)
    maps.write(picture, [bone], [None])
    (found,) = bone.folder.glob("*kneesbase*_statmap.*gii")
    assert found.name == f"{bone.stem}_desc-{maps.desc}_statmap.shape.gii"
    values = nib.GiftiImage.load(found).agg_data()
    surface = nib.GiftiImage.load(bone.folder / f"{bone.stem}_desc-tibia_mesh.surf.gii")
    assert len(values) == len(surface.agg_data("pointset"))
    assert np.ptp(values) > 0
    told = json.loads(found.with_name(found.name.replace(".shape.gii", ".json")).read_text())
    assert told["Surface"].endswith("_desc-tibia_mesh.surf.gii")
    # no image by that name, and no other surface beside a person's files
    assert not [*bone.folder.glob("*kneesbase*.nii.gz"), *bone.folder.glob("sphere*")]


def test_the_page_names_the_file_and_a_new_answer_takes_it_away(
    bone: OutputNames, maps: BundleMaps
) -> None:
    picture = np.random.default_rng(0).random((1, 1, *SPHERE.shape), np.float32)
    maps.write(picture, [bone], [None])
    answer = bone.folder / f"{bone.stem}_desc-kneesbase_predictions.json"
    (name,) = surface_maps(bone, answer, maps.bundle.identity)
    assert (bone.folder / name).is_file()
    assert saliency_views(bone, answer, maps.bundle.identity) == []
    forget_maps(bone, maps.bundle)
    assert not [*bone.folder.glob("*kneesbase*")]
