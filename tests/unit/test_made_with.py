"""Images that were made otherwise than a recipe says: refused, or taken as they were made."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bidsapp.contracts.modality import Modality, modality_named, modality_packages
from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.made_with import as_made, differences, made_by, require_made_with
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.errors import BadData
from bidsapp.recipes import Recipe, load_recipe
from bidsapp.recipes.preparation import Preparation, of_its_modality

SECTIONS = [
    pytest.param(name, shape, id=f"{name}-{shape.__name__}")
    for name in modality_packages()
    for shape in modality_named(name).every_settings
]


def scans(settings: dict[str, Any], count: int = 3, dataset: str = "") -> tuple[Any, ...]:
    """Images of some people whose sidecars tell these settings."""
    return tuple(
        NormalizedImage(
            *(
                f"sub-{k}",
                "",
                Path(f"sub-{k}_T1w.nii.gz"),
                None,
                {},
                dataset,
                f"sub-{k}_T1w.nii.gz",
            ),
            settings=settings,
        )
        for k in range(count)
    )


def cohort(files: tuple[Any, ...], **beside: Cohort) -> Cohort:
    """A cohort of these images."""
    people = pd.DataFrame({"participant_id": [one.participant_id for one in files]})
    return Cohort(people, pd.DataFrame(), files, (), beside=beside)


def made_with(section: Preparation) -> dict[str, Any]:
    """What sidecars say where the participant level was given this section."""
    return section.model_dump(mode="json") | {"version": "0.1.0"}


@pytest.mark.parametrize(("name", "shape"), SECTIONS)
def test_images_that_were_made_as_the_recipe_says_differ_in_nothing(
    name: str, shape: type[Preparation]
) -> None:
    section = of_its_modality(shape().model_dump(mode="json") | {"modality": name})
    assert differences(section, scans(made_with(section))) == []
    assert differences(section, scans({})) == []  # what tells nothing is not another thing


@pytest.mark.parametrize(("name", "shape"), SECTIONS)
def test_every_other_setting_is_refused_or_taken_or_free(
    name: str, shape: type[Preparation]
) -> None:
    modality: Modality[Any] = modality_named(name)
    section = of_its_modality(shape().model_dump(mode="json") | {"modality": name})
    for key in set(shape.model_fields) - {"modality"}:
        files = scans(made_with(section) | {key: "something else"})
        people = cohort(files)
        if key in modality.taken or key in modality.free:
            require_made_with(section, people)
        else:
            with pytest.raises(BadData, match=rf"preparation\.{key} is .*\(3, such as sub-0_T1w"):
                require_made_with(section, people)
            with pytest.raises(BadData, match="as the model"):
                require_made_with(section, people, "Prepare them as the model asks.")
        assert bool(differences(section, files)) is (key not in modality.free)


def test_what_other_software_made_is_brought_to_the_form_of_the_recipe() -> None:
    section = load_recipe("t1w").preparation
    files = scans({"intensity": "none", "speed": "fast"}, dataset="prep")
    require_made_with(section, cohort(files))
    assert [one.key for one in differences(section, files)] == ["speed"]
    assert made_by(cohort(files)) == ("prep",)
    assert made_by(cohort((*scans({"version": "0.1.0"}), *files))) == ("nocicast 0.1.0", "prep")


def test_a_run_keeps_the_speed_of_its_images_whatever_its_recipe_says() -> None:
    recipe = load_recipe("t1w", ["preparation.seed=5"])
    variants, _ = recipe.selected()
    people = cohort(scans({"speed": "fast", "seed": 0, "intensity": "minmax"}))
    found, notes = as_made(recipe, variants, people)
    for name in (found.base, *variants):
        told = found.with_variant(name).preparation.plain()
        assert (told["speed"], told["seed"]) == ("fast", 0)
    assert len(notes) == 2
    assert "the images were made with fast; this run keeps that" in notes[0]
    assert as_made(found, variants, people) == (found, [])
    same = recipe.model_dump(exclude={"preparation"})
    assert found.model_dump(exclude={"preparation"}) == same


def two_preparations() -> Recipe:
    """A recipe whose variant native is given other images than the rest."""
    native = {"preparation.space": "native", "representation.channels": ["head"]}
    return load_recipe("t1w").with_values({"variants.native": native})


@pytest.mark.parametrize("whose", ["first", "second", "both"])
def test_variants_with_images_of_their_own_keep_what_those_were_made_with(whose: str) -> None:
    recipe = two_preparations()
    fast, usual = {"speed": "fast"}, {"speed": "default"}
    own = cohort(scans(usual if whose == "second" else fast))
    native = cohort(scans(usual if whose == "first" else fast))
    people = replace(own, beside={"native": native})
    found, notes = as_made(recipe, ["axial", "native"], people)
    told = {
        name: found.with_variant(name).preparation.plain()["speed"] for name in ("axial", "native")
    }
    assert told == {
        "axial": "default" if whose == "second" else "fast",
        "native": "default" if whose == "first" else "fast",
    }
    assert len(notes) == (2 if whose == "both" else 1)


def test_a_variant_that_names_its_speed_keeps_that_of_its_images_too() -> None:
    recipe = load_recipe("t1w").with_values({"variants.coronal.preparation.speed": "precise"})
    found, _ = as_made(recipe, ["axial", "coronal"], cohort(scans({"speed": "fast"})))
    assert found.with_variant("coronal").preparation.plain()["speed"] == "fast"
