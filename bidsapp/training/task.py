"""One fold of one variant as a task: the files it reads, the files it writes, its fingerprint."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import PART, unit_columns
from bidsapp.dataset.covariates import users_column
from bidsapp.dataset.tables import read_frame
from bidsapp.derivatives.sealed import read_record
from bidsapp.derivatives.sidecars import file_sha256, plain_sha256
from bidsapp.errors import BadData, NoInput
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.search import Setting, setting_words
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.representation.image_rows import ImageRows

FORMAT = 2


@dataclass(frozen=True)
class FoldTask:
    """All that one process needs to train and score one fold.

    Attributes
    ----------
    recipe
        The resolved recipe of the variant.
    variant
        Its name, as it stands in ``scores.tsv``.
    repeat, fold
        As they stand in ``splits.tsv``.
    array, cohort, splits
        The cohort's array (``.npy``), ``cohort.tsv`` and ``splits.tsv``.
    folder
        Of this fold's results.
    weights
        File of pretrained weights, where the recipe asks for them.
    first
        The same fold of the variant whose network this one begins with, where it does.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
    threads
        Threads to compute with; None leaves it as it is.
    resident_bytes
        The most that the resident cohort may take; None plans by the device's free memory.
    checkpoint_every_s
        At most one checkpoint in this many seconds (0: after each epoch); None writes after each
        epoch, unless writing would take more than 2 % of the time.
    compile
        Whether to compile the network (CUDA only).
    inner
        Number of the inner fold, for a network that scores training people of a fold.
    setting
        What a search gives keys of the recipe, which has them already; None where there is no
        search, or nothing is chosen yet.
    pool
        Folder of the variants' folders of folds, from which a network that another variant has
        trained is taken over; None trains this one in any case.
    starts
        The same fold of the variants that settings of a search begin with.
    given
        What ``--weights`` names, from which each setting of a search takes its file.
    """

    recipe: Recipe
    variant: str
    repeat: int
    fold: int
    array: Path
    cohort: Path
    splits: Path
    folder: Path
    weights: Path | None = None
    first: "FoldTask | None" = None
    device: str = "auto"
    threads: int | None = None
    resident_bytes: float | None = None
    checkpoint_every_s: float | None = None
    compile: bool = False
    inner: int | None = None
    setting: Setting | None = None
    pool: Path | None = None
    starts: tuple["FoldTask", ...] = ()
    given: Path | None = None

    @property
    def label(self) -> str:
        """What a person calls this task."""
        inner = "" if self.inner is None else f", inner fold {self.inner}"
        setting = f" ({setting_words(self.setting)})" if self.setting else ""
        return f"{self.variant}, repeat {self.repeat}, fold {self.fold}{inner}{setting}"

    @property
    def seeds(self) -> tuple[int, int, int]:
        """Seed, repeat and fold."""
        return (self.recipe.training.seed, self.repeat, self.fold)

    @property
    def model_file(self) -> Path:
        """The weights kept, safetensors."""
        return self.folder / "model.safetensors"

    @property
    def fitted_file(self) -> Path:
        """What the steps of the representation found (safetensors)."""
        return self.folder / "fitted.safetensors"

    @property
    def record_file(self) -> Path:
        """What was done, JSON; written last, so that where it is the fold is trained."""
        return self.folder / "fold.json"

    @property
    def inner_file(self) -> Path:
        """Scores of those whom the fold validates on."""
        return self.folder / "inner_scores.tsv"

    @property
    def inner_wanted(self) -> bool:
        """Whether those whom the fold validates on are scored, for a threshold from them."""
        wanted = self.recipe.evaluation.fitted_threshold == "inner"
        return wanted and bool(len(self.rows("validation")))

    @property
    def progress_file(self) -> Path:
        """Share of the training that is done, while it runs."""
        return self.folder / "progress.txt"

    @property
    def share(self) -> float | None:
        """How much of the training is done, 0 to 1, while it runs; else None."""
        try:
            return float(self.progress_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def scores_file(self) -> Path:
        """Held-out scores of this fold."""
        return self.folder / "scores.tsv"

    @cached_property
    def images(self) -> CohortArray:
        """The cohort's array."""
        return CohortArray.load(self.array)

    @property
    def image_rows(self) -> ImageRows:
        """The cohort's images with the columns of its table, but for the outcome."""
        own = self._joined.drop(columns=["outcome", "role"])
        columns = {str(name): own[name].tolist() for name in own}
        store = self.array.with_name(f"kept-{self.images.key[:16]}")
        return ImageRows(self.images.open(), columns=columns, store=store, space=self.images.space)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per image of the array, in its order: its unit, outcome, role.

        The role is empty for those who have none in this fold; only they may have no outcome (-1).

        Raises
        ------
        BadData
            If array, cohort table and splits do not agree.
        """
        return self._joined[[*unit_columns(self._joined), "outcome", "role"]]

    @cached_property
    def _joined(self) -> pd.DataFrame:
        """The cohort's table in the order of the array, and the role of each row."""
        cohort = read_rows(self.cohort)
        order = pd.DataFrame(
            {
                "participant_id": self.images.participants,
                "session": [_session(s) for s in self.images.sessions],
                "part": list(self.images.parts) or "",
            }
        )
        cohort["session"] = cohort["session_id"].map(_session)
        cohort["part"] = cohort[PART].map(_session) if PART in cohort else ""
        key = ["participant_id", "session", "part"]
        joined = order.merge(cohort, on=key, how="left", validate="1:1")
        absent = joined.loc[joined["outcome"].isna(), "participant_id"]
        if len(absent) or len(cohort) != len(order):
            raise BadData(
                f"{self.cohort} and {self.array.name} hold different scans "
                f"({len(cohort)} and {len(order)}); delete the array, it is rebuilt"
            )
        joined["role"] = joined["participant_id"].map(self._roles()).fillna("")
        known = joined["outcome"].isin(["0", "1"])
        wrong = joined.loc[~known & (joined["role"] != ""), "participant_id"]
        if len(wrong):
            raise BadData(f"{self.cohort}: the outcome of {wrong.iloc[0]} is not 0 or 1")
        joined["outcome"] = joined["outcome"].where(known, "-1").astype(int)
        return joined.drop(columns=["session", "part"])

    @property
    def image_hashes(self) -> list[str]:
        """Hashes of the voxels of every image of the cohort; empty where its table has none."""
        cohort = read_rows(self.cohort)
        return [text for text in cohort.get("sha256", ()) if text not in ("", "n/a")]

    def rows(self, role: str) -> np.ndarray:
        """Row numbers of the array that have this role."""
        return np.flatnonzero(self.table["role"] == role)

    def chain(self) -> Iterator["FoldTask"]:
        """Give the task, the one that it begins with, and so on."""
        yield self
        if self.first is not None:
            yield from self.first.chain()

    @property
    def initial_file(self) -> Path | None:
        """The file of the weights that the network begins with; None for random ones."""
        return self.weights if self.first is None else self.first.model_file

    @property
    def fingerprint(self) -> str:
        """Hash of all that the weights depend on, except hardware and library versions.

        Where the network begins with that of another variant, it is another one as soon as that
        network is: none at all before it is trained.
        """
        if self.first is None:
            return self._own_fingerprint
        return plain_sha256((self._own_fingerprint, self.first.fingerprint, self.first.trained_as))

    @property
    def is_scored(self) -> bool:
        """Whether its scores are there and of this very task; its model need not be."""
        record = read_record(self.record_file, [self.scores_file.name])
        return bool(record) and self.trained_as is not None

    @property
    def trained_as(self) -> str | None:
        """Hash of the model that was trained for this very task; None where none was.

        The model itself may be gone, as those of permuted outcomes are.
        """
        record = read_record(self.record_file, [])
        mine = record.get("fingerprint") == self.fingerprint
        return str(record["model_sha256"]) if mine else None

    @property
    def network_fingerprint(self) -> str:
        """Hash of the same but for the variant's name, which no weight depends on.

        Variants that differ in what is made of their networks alone, such as the saliency method,
        agree in it.
        """
        own = plain_sha256(self._parts | {"variant": ""})
        if self.first is None:
            return own
        return plain_sha256((own, self.first.network_fingerprint, self.first.trained_as))

    @cached_property
    def _own_fingerprint(self) -> str:
        return plain_sha256(self._parts)

    @cached_property
    def _parts(self) -> dict[str, object]:
        recipe = self.recipe
        network = recipe.network
        files = [
            file_sha256(path)
            for asked in recipe.representation.asked()
            for path in asked.files.values()
        ]
        # under its earlier name, so that what was trained before stays trained
        start = {"weights": network.start_kind}
        left_out = {"origin", "start"} | (set() if network.covariates else {"covariates"})
        left_out |= set() if network.resize else {"resize"}
        parts: dict[str, object] = {
            "format": FORMAT,
            "variant": self.variant,
            "seeds": self.seeds,
            "array": self.images.key,
            "outcome": self.table["outcome"].tolist(),
            "role": self.table["role"].tolist(),
            "representation": recipe.representation.model_dump(mode="json"),
            "network": network.model_dump(mode="json", exclude=left_out) | start,
            "training": recipe.training.model_dump(
                mode="json", exclude=set() if recipe.training.search else {"search"}
            ),
            "weights": file_sha256(self.weights) if self.weights else None,
            **({"fitted_files": files} if files else {}),
        }
        if recipe.columns_beside:
            inside = (self.table["role"] != "").tolist()
            columns = self.image_rows.columns
            parts["covariates"] = [
                [text if there else "" for text, there in zip(columns[name], inside, strict=True)]
                for name in covariate_columns(recipe, columns)
            ]
        return parts

    def _roles(self) -> dict[str, str]:
        splits = read_rows(self.splits)
        here = splits[(splits["repeat"] == str(self.repeat)) & (splits["fold"] == str(self.fold))]
        if "variant" in splits:
            own = here[here["variant"] == self.variant]
            here = own if len(own) else here[here["variant"].isin(["", "n/a"])]
        if here.empty:
            raise BadData(f"{self.splits} has no repeat {self.repeat}, fold {self.fold}")
        if here["participant_id"].duplicated().any():
            twice = here.loc[here["participant_id"].duplicated(), "participant_id"].iloc[0]
            raise BadData(f"{self.splits}: {twice} stands twice in {self.label}")
        return dict(zip(here["participant_id"], here["role"], strict=True))


def covariate_columns(recipe: Recipe, there: Iterable[str]) -> list[str]:
    """Find the columns of the cohort table that a recipe's network and fitted steps read.

    Raises
    ------
    BadData
        One is not there.
    """
    columns = list(there)
    found = {name: users_column(columns, name) for name in recipe.columns_beside}
    for name, column in found.items():
        if column is None:
            raise BadData(f"no column {name!r} in cohort.tsv, which the recipe reads")
    return [column for column in found.values() if column is not None]


def read_rows(path: Path) -> pd.DataFrame:
    """Read a table of the app's as text.

    Raises
    ------
    NoInput
        It cannot be read.
    """
    try:
        return read_frame(path)
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}") from error


def _session(text: str) -> str:
    return "" if text == "n/a" else text
