"""What the images of a cohort were made with, beside what a recipe says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import APP
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.errors import BadData
from bidsapp.recipes.preparation import by_preparation

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.recipes import Recipe
    from bidsapp.recipes.preparation import Preparation


@dataclass(frozen=True)
class Difference:
    """One setting in which images differ from what is asked for.

    Attributes
    ----------
    key
        Of the ``preparation`` section.
    asked, made
        The value that is asked for, and the one in the sidecars.
    images
        Names of the images that were made so.
    """

    key: str
    asked: Any
    made: Any
    images: tuple[str, ...]

    @property
    def words(self) -> str:
        """``precise (12, such as sub-01_…_T1w.nii.gz)``."""
        return f"{self.made} ({len(self.images)}, such as {self.images[0]})"


def differences(asked: "Preparation", files: Iterable[NormalizedImage]) -> list[Difference]:
    """List the settings in which images were made otherwise than a recipe asks for.

    Parameters
    ----------
    asked
        The recipe's section.
    files
        Images with the `settings` of their sidecars; those that tell none are passed over, and so
        are settings that shape no file of a network (`Modality.free`).
    """
    modality = modality_named(asked.modality)
    wanted = _plain(asked.plain() | {key: getattr(asked, key) for key in type(asked).model_fields})
    found: dict[tuple[str, str], Difference] = {}
    for file in files:
        for key, made in file.settings.items():
            if key not in wanted or key in modality.free or _same(made, wanted[key]):
                continue
            if file.dataset and key not in modality.taken:
                continue  # what comes from elsewhere is brought to the recipe's form
            before = found.get((key, str(made)))
            names = (*(before.images if before else ()), file.image.name)
            found[key, str(made)] = Difference(key, wanted[key], made, names)
    return list(found.values())


def require_made_with(asked: "Preparation", cohort: "Cohort", advice: str = "") -> None:
    """Refuse images that were made with other settings than the recipe's.

    Settings that a run takes from the images (`Modality.taken`) may differ.

    Parameters
    ----------
    asked
        The recipe's section.
    cohort
        With the images' sidecars read.
    advice
        What to do about it; by default to set the key, or to prepare anew.

    Raises
    ------
    BadData
        The message names the key and the images.
    """
    taken = modality_named(asked.modality).taken
    found = [one for one in differences(asked, cohort.files) if one.key not in taken]
    if not found:
        return
    key = found[0].key
    others = "; ".join(one.words for one in found if one.key == key)
    raise BadData(
        f"preparation.{key} is {found[0].asked}, and images were made with {others}. "
        + (
            advice
            or f"Set what they were made with (--set preparation.{key}=…), or prepare them anew in "
            "another output folder."
        )
    )


def as_made(
    recipe: "Recipe", variants: Sequence[str], cohort: "Cohort"
) -> tuple["Recipe", list[str]]:
    """Write into a recipe what the images were made with, where a run takes that from them.

    Parameters
    ----------
    recipe
        Of a run.
    variants
        That are run; those that they begin with are seen to as well.
    cohort
        Whose images are read.

    Returns
    -------
    recipe, notes
        The recipe that is true of the images, and a sentence for each key that was another one.
    """
    asked: dict[str, dict[str, Any]] = {}
    notes = []
    for names in by_preparation(recipe, [*variants, *recipe.stages(variants)]):
        section = recipe.with_variant(names[0]).preparation
        taken = modality_named(section.modality).taken
        files = cohort.beside.get(names[0], cohort).files
        for one in differences(section, files):
            if one.key in taken:
                for name in names:
                    asked.setdefault(name, {})[one.key] = one.made
                notes.append(
                    f"preparation.{one.key}: the images were made with {one.made}; this run keeps "
                    f"that in its recipe and models, in place of {one.asked}."
                )
    if not asked:
        return recipe, []
    own = [name for name in asked if recipe.with_variant(name).preparation == recipe.preparation]
    ground = asked[own[0]] if own else {}
    found = recipe.with_values({f"preparation.{key}": value for key, value in ground.items()})
    every = [*variants, *recipe.stages(variants)]
    changed = {name: dict(values) for name, values in found.variants.items()}
    for name in every:
        if name == found.base:
            continue
        before, now = (one.with_variant(name).preparation for one in (recipe, found))
        for key in dict.fromkeys((*ground, *asked.get(name, ()))):
            right = asked.get(name, {}).get(key, getattr(before, key, None))
            if getattr(now, key, None) != right:
                changed[name][f"preparation.{key}"] = right
    if changed == found.variants:
        return found, notes
    return type(recipe).model_validate(found.plain() | {"variants": changed}), notes


def made_by(cohort: "Cohort") -> tuple[str, ...]:
    """Name the software that made a cohort's images: this app with its version, or a dataset."""
    names = {
        one.dataset or f"{APP} {one.settings.get('version', '')}".strip() for one in cohort.files
    }
    return tuple(sorted(names))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items()}


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same, as JSON writes them."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
