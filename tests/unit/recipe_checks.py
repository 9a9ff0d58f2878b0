"""What every recipe that comes with the app has to keep to, in each of its variants."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bidsapp.contracts.fitted import stamp_text
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.network import network_offers
from bidsapp.drawing.references import study_reference
from bidsapp.errors import UsageError
from bidsapp.recipes import apply_values, dump_recipe, list_recipes, load_recipe
from bidsapp.recipes.schema import Recipe


@cache
def loaded(name: str) -> Recipe:
    return load_recipe(name)


def variants(name: str) -> Iterator[Recipe]:
    return (loaded(name).with_variant(variant) for variant in loaded(name).variant_names)


def read_again(recipe: Recipe) -> Recipe:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "again.yaml"
        path.write_text(dump_recipe(recipe), encoding="utf-8")
        return load_recipe(path)


def is_listed_under_its_name_with_its_summary(name: str) -> None:
    assert loaded(name).name == name
    assert list_recipes()[name] == loaded(name).summary


def is_the_same_recipe_written_and_read_again(name: str) -> None:
    assert read_again(loaded(name)) == loaded(name)
    for alone in variants(name):
        assert read_again(alone) == alone
        assert alone.variant_names == (alone.base,)
        assert alone.with_variant(alone.base) == alone


def has_in_each_variant_what_the_variant_says(name: str) -> None:
    for variant in loaded(name).variant_names:
        alone = loaded(name).with_variant(variant)
        for key, value in loaded(name).variants.get(variant, {}).items():
            found, parts = alone, key.split(".")
            while parts:
                whole = ".".join(parts)  # keys of a grid that is searched have dots in them
                if isinstance(found, dict) and whole in found:
                    found, parts = found[whole], []
                    continue
                part = parts.pop(0)
                found = found[part] if isinstance(found, dict) else getattr(found, part)
            assert found == (tuple(value) if isinstance(value, list) else value)


def leaks_only_in_mode_paper_and_says_so(name: str) -> None:
    assert loaded(name).mode == "strict"
    for alone in variants(name):
        assert bool(alone.leaks()) == (alone.mode == "paper")
        assert all(stamp_text([step]).startswith("LEAK") for step in alone.leaks())


def trains_by_itself_nothing_that_leaks(name: str) -> None:
    run, _ = loaded(name).selected()
    assert all(loaded(name).with_variant(variant).mode == "strict" for variant in run)


def asks_its_modality_for_channels_that_are_made(name: str) -> None:
    for alone in variants(name):
        modality = modality_named(alone.preparation.modality)
        made = modality.channels_for(alone.preparation.plain())
        assert set(alone.representation.channels) <= set(made)


def asks_its_network_for_what_it_offers(name: str) -> None:
    for alone in variants(name):
        offer = network_offers()[alone.network.name]
        assert alone.network.depth in offer.depths
        assert alone.network.dims in offer.dims


def cites_the_study_that_it_is_made_after_so_that_it_is_found(name: str) -> None:
    address = loaded(name).reference
    assert (address is None) == (not name[-4:].isdigit())
    if address is not None:
        fields = study_reference(name, address).fields
        assert fields["author"].casefold().startswith(name[:-4])
        assert fields["year"] == name[-4:]
        assert "doi" in fields or fields["url"].startswith("https://")


def refuses_a_key_that_there_is_not(name: str) -> None:
    for key in ("trainig.epochs", "training.epoch"):
        with pytest.raises(UsageError, match=key.partition(".")[0]):
            apply_values(loaded(name), {key: 3})


CHECKS: tuple[Callable[[str], None], ...] = (
    is_listed_under_its_name_with_its_summary,
    is_the_same_recipe_written_and_read_again,
    has_in_each_variant_what_the_variant_says,
    leaks_only_in_mode_paper_and_says_so,
    trains_by_itself_nothing_that_leaks,
    asks_its_modality_for_channels_that_are_made,
    asks_its_network_for_what_it_offers,
    cites_the_study_that_it_is_made_after_so_that_it_is_found,
    refuses_a_key_that_there_is_not,
)
"""What every recipe has to keep to: called with its name."""
