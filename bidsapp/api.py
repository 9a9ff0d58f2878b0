"""Open runs and models from Python: tables, maps and predictions, for notebooks and platforms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.json_text import read_own_json

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd

    from bidsapp.networks.bundle import Bundle
    from bidsapp.recipes.schema import Recipe

PathLike = str | Path


def open_run(folder: PathLike) -> "Run":
    """Open a finished group run.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<run label>``.

    Returns
    -------
    Run

    Raises
    ------
    NoInput
        If the folder holds no run: ``recipe.yaml`` and ``cohort.tsv`` are not there.
    """
    path = Path(folder)
    absent = [name for name in ("recipe.yaml", "cohort.tsv") if not (path / name).is_file()]
    if absent:
        raise NoInput(
            f"{path}: {' and '.join(absent)} not found; name the folder of a run, "
            "<output_dir>/group/<run label>"
        )
    return Run(path)


def open_model(folder: PathLike) -> "Model":
    """Open a trained model and check every file of it against its hash; nothing is executed.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<run label>/model/<variant>``.

    Returns
    -------
    Model

    Raises
    ------
    NoInput, BadData
        If there is no model, or a file of it is missing or was changed.
    """
    from bidsapp.networks.bundle import load_bundle

    return Model(load_bundle(Path(folder)))


@dataclass(frozen=True)
class Run:
    """A group run: who was in, what was predicted for whom, how good that is, and the maps.

    Attributes
    ----------
    folder
        ``<output_dir>/group/<run label>``.
    """

    folder: Path

    @cached_property
    def recipe(self) -> "Recipe":
        """The recipe in full, as it was run."""
        from bidsapp.recipes import load_recipe

        return load_recipe(self.folder / "recipe.yaml")

    @cached_property
    def cohort(self) -> "pd.DataFrame":
        """Who was in, with image, outcome (0 or 1), group, quality and covariates."""
        return self.table("cohort")

    @cached_property
    def exclusions(self) -> "pd.DataFrame":
        """Who was not in, with the reason."""
        return self.table("exclusions")

    @cached_property
    def splits(self) -> "pd.DataFrame":
        """Who was trained on, and who was held out, in every fold."""
        return self.table("splits")

    @cached_property
    def scores(self) -> "pd.DataFrame":
        """Probability of a positive outcome for held-out people, by network and fold."""
        return self.table("scores")

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """Every metric of every variant with its interval; ``scope`` says over whom."""
        return self.table("metrics")

    def table(self, name: str) -> "pd.DataFrame":
        """Read any table of the run, such as ``tables/baselines``.

        Parameters
        ----------
        name
            Its path in the run's folder, with or without ``.tsv``.

        Returns
        -------
        pandas.DataFrame
            Columns of numbers are numbers; ``n/a`` is NaN.

        Raises
        ------
        NoInput, BadData
            If it is not there, or is no table.
        """
        import pandas as pd

        from bidsapp.evaluation.tsv import MISSING, read_table

        text = read_table(self.folder / f"{name.removesuffix('.tsv')}.tsv", ())
        table = text.reset_index(drop=True).replace(MISSING, float("nan"))
        for column in table.columns:
            numbers = pd.to_numeric(table[column], errors="coerce")
            if numbers.notna().sum() == table[column].notna().sum():
                table[column] = numbers
        return table

    def columns(self, name: str) -> dict[str, Any]:
        """Say what the columns of a table mean: description, units, levels.

        Raises
        ------
        NoInput
            If the table has no data dictionary beside it.
        """
        path = self.folder / f"{name.removesuffix('.tsv')}.json"
        try:
            return dict(read_own_json(path))
        except FileNotFoundError:
            raise NoInput(f"{path}: not found; that table has no data dictionary") from None

    @property
    def variants(self) -> list[str]:
        """Names of the networks that were trained, in the order of their scores."""
        return [str(name) for name in self.scores["variant"].drop_duplicates()]

    def maps(self, variant: str) -> dict[str, Path]:
        """Find the group saliency maps of a network or ensemble.

        Parameters
        ----------
        variant
            One of `variants`, or an ensemble.

        Returns
        -------
        dict of str to Path
            File name without ``group_`` and ``_statmap.nii.gz``, such as
            ``of-truepositives_desc-gradient``, to the file; its sidecar lies beside it.

        Raises
        ------
        NoInput
            If there are none of that name.
        """
        found = sorted((self.folder / "saliency" / variant).glob("group_*_statmap.nii.gz"))
        if not found:
            there = sorted(p.name for p in self.folder.glob("saliency/*") if p.is_dir())
            raise NoInput(
                f"{self.folder / 'saliency' / variant}: no group maps; "
                f"there are maps of {', '.join(there) or 'no variant'}"
            )
        return {p.name[len("group_") : -len("_statmap.nii.gz")]: p for p in found}

    def map(self, variant: str, name: str) -> "nib.Nifti1Image":
        """Open one group saliency map as an image in the standard space.

        Parameters
        ----------
        variant, name
            As `maps` has them.

        Raises
        ------
        NoInput
            If there is no such map.
        """
        from bidsapp.intake.images import open_image

        found = self.maps(variant)
        if name not in found:
            raise NoInput(f"{variant} has no map {name!r}; there are {', '.join(found)}")
        return open_image(found[name])

    def model(self, variant: str) -> "Model":
        """Open the trained model of one network."""
        return open_model(self.folder / "model" / variant)


@dataclass(frozen=True)
class Model:
    """A trained model: one network a fold, whose probabilities are averaged.

    Attributes
    ----------
    bundle
        The checked contents of its folder.
    """

    bundle: "Bundle"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.bundle.name

    @property
    def recipe(self) -> "Recipe":
        """How images are prepared and represented for it, and how it was trained."""
        return self.bundle.recipe

    @property
    def channels(self) -> tuple[str, ...]:
        """Prepared images that it reads of each person, in order."""
        return self.bundle.channels

    @property
    def warnings(self) -> tuple[str, ...]:
        """Stamp of each step that saw (``LEAK:``) or may have seen (``LEAK?:``) held-out people."""
        return self.bundle.leaks

    def predict(
        self,
        images: Mapping[str, PathLike | Mapping[str, PathLike] | Sequence[PathLike]],
        device: str = "auto",
        columns: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> "pd.DataFrame":
        """Predict people from their prepared images.

        Nobody is looked up: whether someone was trained on, and whether a normalisation can be
        trusted, is for the caller to know. The command line (``--model``) checks both.

        Parameters
        ----------
        images
            Person to image: one file where the model reads one channel; else files in the order
            of `channels`, or channel name to file. All on the template grid of the recipe.
        device
            ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
        columns
            Person to column to value, where the model reads columns beside the images
            (``recipe.network.covariates``); None stands for a missing value.

        Returns
        -------
        pandas.DataFrame
            Indexed by person: ``probability`` (mean over the models, 0 to 1),
            ``probability_sd`` (their spread; NaN of a single model). Where the model knows
            clinical columns and `columns` has them, also ``probability_clinical`` (from them
            alone) and ``probability_with_clinic`` (from them and the image).

        Raises
        ------
        BadData, NoInput
            If an image is missing, cannot be used, or lies on another grid than the model reads.
        """
        import pandas as pd

        from bidsapp.networks.predict import predict, stacked
        from bidsapp.representation.sample import CohortRow, read_sample

        mask = self._template_mask()
        samples = []
        for person, given in images.items():
            row = CohortRow(person, "", self._by_channel(person, given))
            sample, window = read_sample(row, self.recipe.representation, mask)
            self.bundle.require(window)
            samples.append(sample)
        if not samples:
            raise NoInput("predict: no images were given")
        known = self._columns(list(images), columns or {})
        answers = predict(self.bundle, stacked(self.bundle, samples), device, columns=known)
        found = {"probability": answers.mean, "probability_sd": answers.sd}
        part = self.bundle.about.clinical
        if part is not None and set(part.names) <= set(known):
            alone, both = self.bundle.with_clinic(known, answers.per_model)
            found |= {"probability_clinical": alone, "probability_with_clinic": both}
        return pd.DataFrame(found, index=pd.Index(list(images), name="person"))

    def _columns(
        self, people: Sequence[str], columns: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.bundle.columns:
            absent = [person for person in people if name not in columns.get(person, {})]
            if not absent:
                values = [columns[person][name] for person in people]
                found[name] = ["" if value is None else str(value) for value in values]
            elif self.recipe.columns_beside.get(name):
                raise BadData(
                    f"{absent[0]}: the model reads column {name!r} beside the image; give "
                    "columns={person: {column: value}}, None where it is missing"
                )
        return found

    def _by_channel(self, person: str, given: Any) -> dict[str, Path]:
        if isinstance(given, str | Path):
            given = [given]
        if not isinstance(given, Mapping):
            if len(given) != len(self.channels):
                raise BadData(
                    f"{person}: {len(given)} images given, the model reads "
                    f"{len(self.channels)}: {', '.join(self.channels)}"
                )
            given = dict(zip(self.channels, given, strict=True))
        return {channel: Path(path) for channel, path in given.items()}

    def _template_mask(self) -> Any:
        """Find the template's brain mask, which some channels need."""
        from tempfile import TemporaryDirectory

        from bidsapp.contracts.modality import modality_named
        from bidsapp.contracts.modality_tables import channel_named
        from bidsapp.representation.sample import read_mask

        if not any(channel_named(name).masked for name in self.channels):
            return None
        section = self.recipe.preparation
        with TemporaryDirectory(prefix="nocicast-") as folder:
            modality = modality_named(section.modality)
            return read_mask(modality.mask(modality.shared(section, Path(folder))))
