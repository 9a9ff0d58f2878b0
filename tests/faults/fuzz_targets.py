"""What the app reads of what users give it: a sound file of each kind, and the way it is read."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.mutations import BINARY, STRUCTURE, TEXT, Damage

PEOPLE = (
    "participant_id\tage\tsex\tpain\tdate\nsub-01\t31\tF\tyes\t2020-01-02\n"
    'sub-02\t42.5\tM\tno\t2020-03-01\nsub-03\tn/a\tF\t"yes"\tn/a\n'
)


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes
    ----------
    name
        The file, in a folder of its own; a pattern (``out/**/*``) where each case is one of many.
    sound
        Writes a folder of which that file can be read.
    read
        Reads it, given the folder.
    kinds
        What may be done to it.
    packed
        Whether the damage is done to what gzip holds, every second time.
    first
        Bytes of its beginning that are hit more often, its header's.
    seal
        Called after the damage, before it is read: gives checksums that fit.
    """

    name: str
    sound: Callable[[Path], None]
    read: Callable[[Path], Any]
    kinds: Sequence[Damage] = TEXT
    packed: bool = False
    first: int = 0
    seal: Callable[[Path], None] | None = None


def _text(name: str, text: str, **others: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for place, content in {name: text, **others}.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(content, encoding="utf-8")

    return write


def _image(name: str, kind: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import nibabel as nib

        values = np.random.default_rng(0).integers(0, 500, (32, 34, 30)).astype(np.int16)
        image = getattr(nib, kind)(values, np.diag([2.0, 2.0, 2.5, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        image.set_qform(image.affine, 1)
        image.to_filename(folder / name)

    return write


def _head(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from bidsapp.intake.images import read_numbers
        from bidsapp.modalities.t1w.reading import read_head

        try:
            read_numbers(folder / name)
        finally:
            read_head(folder / name)

    return read


def _tables(folder: Path) -> Any:
    from bidsapp.dataset.reading import read_column
    from bidsapp.dataset.tables import read_dataset_tables

    tables, _ = read_dataset_tables(folder)
    return [read_column(list(values.values())) for t in tables for values in t.columns.values()]


def _columns(folder: Path) -> Any:
    from bidsapp.dataset.tables import read_dataset_tables
    from bidsapp.dataset.user_columns import Columns

    columns = Columns(read_dataset_tables(folder)[0])
    people = [("sub-01", ""), ("sub-02", "")]
    return [columns.values(name, people) for name in columns.names()]


def _dataset(folder: Path) -> Any:
    from bidsapp.dataset.description import check_dataset

    (folder / "sub-01" / "anat").mkdir(parents=True, exist_ok=True)
    return check_dataset(folder)


def _sidecar(folder: Path) -> Any:
    from bidsapp.intake.json_text import read_object
    from bidsapp.modalities.bold.timing import timing_of

    told = read_object(folder / "sub-01_bold.json")
    return timing_of("sub-01_bold.nii.gz", told, (8, 8, 4, 20), 2.0, 8)


def _recipe(folder: Path) -> Any:
    from bidsapp.recipes import load_recipe

    return load_recipe(folder / "recipe.yaml")


def _setting(folder: Path) -> Any:
    from bidsapp.recipes import load_recipe

    text = (folder / "setting.txt").read_bytes().decode("utf-8", "surrogateescape")
    return load_recipe("t1w", text.split("\n"))


def _expression(folder: Path) -> Any:
    from bidsapp.dataset.expression import parse_expression

    text = (folder / "expression.txt").read_bytes().decode("utf-8", "surrogateescape")
    return parse_expression(text)


def _filters(folder: Path) -> Any:
    from bidsapp.dataset.filters import read_bids_filters

    return read_bids_filters(folder / "filters.json")


def _run(table: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from bidsapp.api import open_run

        run = open_run(folder)
        return getattr(run, table), run.recipe

    return read


def _splits(folder: Path) -> Any:
    import pandas as pd

    from bidsapp.training.splits_file import read_splits

    cohort = pd.DataFrame(
        {
            "participant_id": [f"sub-{n:02d}" for n in range(1, 9)],
            "session_id": "",
            "outcome": [0, 1] * 4,
            "group": [f"sub-{n:02d}" for n in range(1, 9)],
        }
    )
    return read_splits(folder / "splits.tsv", cohort, ["base"])


SPLITS = "variant\trepeat\tfold\tparticipant_id\tsession_id\trole\n" + "".join(
    f"base\t0\t{fold}\tsub-{n:02d}\tn/a\t{'test' if (n - 1) // 4 == fold else 'train'}\n"
    for fold in (0, 1)
    for n in range(1, 9)
)
SCORES = "variant\tparticipant_id\tprobability\tfold\nbase\tsub-01\t.25\t0\nbase\tsub-02\t.75\t1\n"


def bundle(folder: Path) -> None:
    """Write a bundle of one small network into ``model``."""
    from bidsapp.networks.bundle import FoldModel
    from bidsapp.networks.bundle_write import ModelFacts, write_bundle
    from bidsapp.networks.registry import build_network
    from bidsapp.recipes.loading import load_recipe
    from bidsapp.representation.chain import Chain
    from bidsapp.spaces.volume import Volume

    recipe = load_recipe(
        "t1w",
        [
            *("outcome.column=pain", "outcome.positive=[yes]", "representation.channels=[t1w]"),
            # a small network: each case hashes and reads its weights several times
            "network={name: voxnet, depth: 4, start: random, stem_stride: 1, stem_pool: false}",
        ],
    )
    grid = tuple(map(tuple, np.diag([2.0, 2.0, 2.0, 1.0]).tolist()))
    space = Volume((20, 20, 20), grid, (0, 0, 0), (20, 20, 20))
    import safetensors.torch

    network = build_network(recipe.network, 1, shape=space.shape)
    weights = folder / "w.safetensors"
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, weights
    )
    state = {"0.mean": np.array([1.0]), "0.sd": np.array([2.0])}
    fitted = Chain.of(recipe.representation).with_state(state)
    facts = ModelFacts("small", 8, 8, 4, {"AUC": "0.7"})
    write_bundle(folder / "model", recipe, space, [FoldModel(0, 0, weights, fitted)], facts)
    weights.unlink()


def open_bundle(folder: Path) -> Any:
    """Read it as ``--model`` does."""
    from bidsapp.networks.bundle import load_bundle

    return load_bundle(folder / "model")


def reseal(folder: Path) -> None:
    """Give the manifest the hash of what is there, as one who forges a bundle would."""
    manifest = folder / "model" / "configs" / "manifest.json"
    content = json.loads(manifest.read_text())
    for name in content["files"]:
        path = folder / "model" / name
        if path.is_file():  # a damaged manifest may name what has no end, as /dev/zero
            content["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))


def _small_network() -> Any:
    """Layers of a size that is read a thousand times."""
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, 3),
        torch.nn.BatchNorm3d(4),
        torch.nn.AdaptiveAvgPool3d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 1),
    )


def _checkpoint(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    state = {f"module.{k}": v for k, v in _small_network().state_dict().items() if k[0] in "01"}
    torch.save({"state_dict": state}, folder / "weights.pth")


def _own_weights(folder: Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file(_small_network().state_dict(), folder / "weights.safetensors")


@cache
def _of_recipe() -> Any:
    """What a recipe says of its network."""
    from bidsapp.recipes import load_recipe

    settings = ["representation.channels=[t1w]", "network.start=medicalnet"]
    return load_recipe("t1w", settings).network


def _weights(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from bidsapp.networks.origin import origin_of
        from bidsapp.networks.weights import load_file

        origin_of(folder / name)
        return load_file(_small_network(), folder / name, _of_recipe())

    return read


def _regression(folder: Path) -> Any:
    from bidsapp.evaluation.regression.__main__ import read_any_table

    return read_any_table(folder / "table.csv")


def _labels(folder: Path) -> Any:
    from bidsapp.modalities.knee.label_map import read_label_names
    from bidsapp.modalities.knee.label_names import structure_of

    return [structure_of(name) for name in read_label_names(folder / "dseg.tsv").values()]


def _rois(folder: Path) -> Any:
    from bidsapp.modalities.spine.roi_table import read_roi_table
    from bidsapp.modalities.spine.stack import Stack

    stack = Stack(
        np.ones((64, 64, 12), np.float32), np.diag([1.0, 1, 3, 1]), (0, 1, 2), (False,) * 3
    )
    return read_roi_table(folder / "sub-01_desc-foramen_roi.tsv", stack)


_ROI = (
    "level\tside\tslice\ti0\ti1\tj0\tj1\trater\nC6\tL\t4\t10\t30\t12\t32\tAB\n"
    "C5\tR\t7\t40\t60\t12\t32\tAB\n"
)
_ROI_SIDECAR = (
    '{"IndexBase": 0, "SliceAxis": 2, "ImageShape": [64, 64, 12], "BlindedToOutcome": true, '
    '"ImageAffine": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]}'
)
_FILTERS = '{"t1w": {"session": "2", "run": [1, 2], "acquisition": "Query.NONE", "suffix": "T1w"}}'
_BOLD = (
    '{"RepetitionTime": 2.0, "SliceTiming": [0, 1, 0.5, 1.5], "SliceEncodingDirection": "k", '
    '"PhaseEncodingDirection": "j-", "EchoTime": 0.03, "Manufacturer": "S\\u00fcd"}'
)
_DESCRIPTION = (
    '{"Name": "x", "BIDSVersion": "1.9.0", "DatasetType": "raw", '
    '"GeneratedBy": [{"Name": "y", "Version": "1"}], "DatasetLinks": {"raw": "../raw"}}'
)
_SETTINGS = (
    "training.epochs=3\nrepresentation.channels=[t1w, log_jacobian]\n"
    "protocol={kind: nested, inner: {folds: 5}}\nvariants.x={training.lr.head: 1e-3}"
)
_EXPRESSION = (
    "mean(pain, visit == '3') >= 4 and (age < 65 or `body mass` in [1, 2]) "
    "and not count(relief >= 50) >= 2"
)


def _packaged(name: str) -> str:
    from bidsapp.recipes.catalog import packaged

    return packaged()[name].read_text(encoding="utf-8")


def _recipe_of(name: str) -> Callable[[Path], None]:
    return lambda folder: _text("recipe.yaml", _packaged(name))(folder)


def _run_folder(folder: Path) -> None:
    _text(
        "recipe.yaml",
        _packaged("t1w"),
        **{
            "cohort.tsv": PEOPLE,
            "scores.tsv": SCORES,
            "splits.tsv": SPLITS,
            "metrics.tsv": "variant\tmetric\tscope\tvalue\nbase\tauc\tpooled\t0.7\n",
        },
    )(folder)


TARGETS: dict[str, Target] = {
    "nifti1": Target("a.nii", _image("a.nii", "Nifti1Image"), _head("a.nii"), BINARY, first=352),
    "nifti2": Target("a.nii", _image("a.nii", "Nifti2Image"), _head("a.nii"), BINARY, first=544),
    "packed": Target(
        "a.nii.gz", _image("a.nii.gz", "Nifti1Image"), _head("a.nii.gz"), BINARY, True, 352
    ),
    "participants": Target("participants.tsv", _text("participants.tsv", PEOPLE), _tables),
    "columns": Target("participants.tsv", _text("participants.tsv", PEOPLE), _columns),
    "sessions": Target(
        "sub-01/sub-01_sessions.tsv",
        _text(
            "sub-01/sub-01_sessions.tsv",
            "session_id\tacq_time\tpain\nses-1\t2020-01-01T10:00:00\t3\nses-2\tn/a\t4\n",
        ),
        _tables,
    ),
    "phenotype": Target("phenotype/a.tsv", _text("phenotype/a.tsv", PEOPLE), _tables),
    "description": Target(
        "dataset_description.json",
        _text("dataset_description.json", _DESCRIPTION),
        _dataset,
        kinds=STRUCTURE,
    ),
    "sidecar": Target(
        "sub-01_bold.json", _text("sub-01_bold.json", _BOLD), _sidecar, kinds=STRUCTURE
    ),
    "recipe": Target("recipe.yaml", _recipe_of("wei2023"), _recipe, kinds=STRUCTURE),
    "recipe_t1w": Target("recipe.yaml", _recipe_of("attias2025"), _recipe, kinds=STRUCTURE),
    "setting": Target("setting.txt", _text("setting.txt", _SETTINGS), _setting),
    "expression": Target("expression.txt", _text("expression.txt", _EXPRESSION), _expression),
    "filters": Target("filters.json", _text("filters.json", _FILTERS), _filters, kinds=STRUCTURE),
    "splits": Target("splits.tsv", _text("splits.tsv", SPLITS), _splits),
    "cohort": Target("cohort.tsv", _run_folder, _run("cohort")),
    "scores": Target("scores.tsv", _run_folder, _run("scores")),
    "metrics": Target("metrics.tsv", _run_folder, _run("metrics")),
    "manifest": Target("model/configs/manifest.json", bundle, open_bundle, kinds=STRUCTURE),
    "models": Target(
        "model/configs/models.json", bundle, open_bundle, seal=reseal, kinds=STRUCTURE
    ),
    "metadata": Target(
        "model/configs/metadata.json", bundle, open_bundle, seal=reseal, kinds=STRUCTURE
    ),
    "bundle_recipe": Target("model/recipe.yaml", bundle, open_bundle, seal=reseal, kinds=STRUCTURE),
    "bundle_weights": Target(
        "model/models/repeat-0_fold-0.safetensors",
        bundle,
        open_bundle,
        BINARY,
        seal=reseal,
        first=4000,
    ),
    "bundle_fitted": Target(
        "model/models/repeat-0_fold-0_fitted.safetensors",
        bundle,
        open_bundle,
        BINARY,
        seal=reseal,
    ),
    "weights": Target("weights.pth", _checkpoint, _weights("weights.pth"), BINARY),
    "own_weights": Target(
        "weights.safetensors", _own_weights, _weights("weights.safetensors"), BINARY
    ),
    "regression": Target("table.csv", _text("table.csv", PEOPLE.replace("\t", ",")), _regression),
    "labels": Target(
        "dseg.tsv",
        _text("dseg.tsv", "index\tname\tcolor\n1\tfemur\t#fff\n2\tFemoral cartilage\tn/a\n"),
        _labels,
    ),
    "rois": Target(
        "sub-01_desc-foramen_roi.tsv",
        _text(
            "sub-01_desc-foramen_roi.tsv",
            _ROI,
            **{"sub-01_desc-foramen_roi.json": _ROI_SIDECAR},
        ),
        _rois,
    ),
    "roi_sidecar": Target(
        "sub-01_desc-foramen_roi.json",
        _text(
            "sub-01_desc-foramen_roi.json",
            _ROI_SIDECAR,
            **{"sub-01_desc-foramen_roi.tsv": _ROI},
        ),
        _rois,
        kinds=STRUCTURE,
    ),
}


def unpacked(raw: bytes) -> bytes:
    """Give what a gzip file holds."""
    return gzip.decompress(raw)
