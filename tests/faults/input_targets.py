"""What else a person gives: outcomes over tables, atlases, surfaces, spaces, a plugin's arguments.

Any of the files may be altered, cut, emptied, taken away, or be something else by its name.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.fuzz_targets import Target
from tests.faults.image_targets import IMAGES, begin_dataset, save_image, save_json
from tests.faults.mutations import STRUCTURE


def _atlas(folder: Path) -> None:
    labels = np.zeros((12, 12, 12), np.int16)
    labels[2:6], labels[7:10] = 1, 2
    save_image(folder / "atlas" / "atlas-own_dseg.nii.gz", labels, np.diag([10.0, 10, 10, 1]))
    (folder / "atlas" / "atlas-own_dseg.tsv").write_text(
        "index\tname\talso\n1\tfront\tfore\n2\tback\tn/a\n"
    )
    save_json(folder / "atlas" / "atlas-own_dseg.json", {"Space": "MNI152NLin2009aSym"})


def _read_atlas(folder: Path) -> Any:
    from bidsapp.saliency.atlas import resolve_atlas
    from bidsapp.spaces.volume import volume

    space = volume((24, 24, 24), np.diag([5.0, 5, 5, 1]))
    return resolve_atlas(str(folder / "atlas" / "atlas-own_dseg.nii.gz"), space,
                         "MNI152NLin2009aSym")  # fmt: skip


def _surfaces(folder: Path) -> None:
    """Write a surface, and values on it that tell its space."""
    from bidsapp.spaces.gifti import write_mesh, write_values
    from bidsapp.spaces.mesh import MeshSpace
    from tests.unit.spaces_table import ellipsoid

    mesh, place = ellipsoid((30.0, 20.0, 25.0)), folder / "surfaces"
    place.mkdir()
    write_mesh(place / "a.surf.gii", mesh.vertices, mesh.faces)
    space = json.dumps(MeshSpace(mesh, "knee").to_dict())
    write_values(place / "a.shape.gii", np.arange(len(mesh.vertices)), space, {"Surface": "a"})


def _read_surfaces(folder: Path) -> Any:
    from bidsapp.intake.gifti import read_surface
    from bidsapp.spaces import read_space
    from bidsapp.spaces.gifti import read_values

    read_surface(folder / "surfaces" / "a.surf.gii")
    values, told = read_values(folder / "surfaces" / "a.shape.gii")
    return values, read_space(told)


def _spaces(folder: Path) -> None:
    """Describe a space of every kind, as bundles carry one."""
    from bidsapp.spaces import MeshSpace, OwnVolume, Slice, Sphere, Volume
    from tests.unit.spaces_table import ellipsoid

    mesh = ellipsoid((30.0, 20.0, 25.0), 1)
    affine = tuple(map(tuple, np.diag([2.0, 2, 2, 1]).tolist()))
    spaces = (
        Volume((8, 9, 7), affine, (1, 1, 1), (5, 5, 5)),
        OwnVolume((8, 9, 7), affine, (1, 1, 1), (5, 5, 5), axes="RAS"),
        Slice((8, 9, 7), affine, 2, 3, (1, 1), (5, 5), (5, 5), label="foramen"),
        Sphere((6, 4), radius=np.full((6, 4), 30, np.float32), mesh=mesh),
        MeshSpace(mesh, "knee"),
    )
    save_json(folder / "spaces.json", [space.to_dict() for space in spaces])


def _read_spaces(folder: Path) -> Any:
    from bidsapp.errors import BadData
    from bidsapp.intake.json_text import BadJson, parse_json
    from bidsapp.spaces import read_space

    try:
        told = parse_json((folder / "spaces.json").read_bytes())
    except BadJson as error:
        raise BadData(str(error)) from None
    return [read_space(one) for one in (told if isinstance(told, list) else [told])]


def _outcomes(folder: Path) -> None:
    place = begin_dataset(folder)
    (place / "sub-01").mkdir()
    (place / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tpain\nses-1\t3\nses-2\t4\n")
    (place / "phenotype").mkdir()
    (place / "phenotype" / "diary.tsv").write_text(
        "participant_id\tday\trelief\n"
        + "".join(f"sub-0{n}\t{day}\t{10 * n + day}\n" for n in (1, 2, 3) for day in range(4))
    )
    save_json(place / "phenotype" / "diary.json", {"relief": {"Levels": {"-9": "not asked"}}})
    (place / "expression.txt").write_text(
        "mean(relief, day >= 1) >= 20 and (age < 65 or sex in ['M', 'F']) "
        "and not count(relief >= 50) >= 2"
    )


def _read_outcomes(folder: Path) -> Any:
    """Work an outcome out by an expression over tables of every kind."""
    from bidsapp.dataset.outcome import find_outcomes
    from bidsapp.dataset.user_columns import Columns
    from tests.unit.cohort_trees import rule

    columns, file = Columns.read(folder / "bids"), folder / "bids" / "expression.txt"
    # it stands for what is typed, which is never a pipe or not there
    typed = file.read_bytes() if file.is_file() else b"pain"
    asked = rule(expression=typed.decode("utf-8", "surrogateescape"))
    return find_outcomes(asked, columns, [(f"sub-0{n}", "") for n in (1, 2, 3)])


def _plugin(folder: Path) -> None:
    (folder / "plugin.yaml").write_text(
        "sbatch_args: --time=60 --mem=4G\nn_procs: 4\nmax_jobs: [1, 2]\nnested: {a: {b: c}}\n"
    )


def _read_plugin(folder: Path) -> Any:
    from bidsapp.execution.plugin_arguments import read_plugin_arguments

    return read_plugin_arguments(folder / "plugin.yaml")


INPUTS: dict[str, Target] = IMAGES | {
    "outcomes": Target("bids/**/*", _outcomes, _read_outcomes),
    "atlas": Target("atlas/*", _atlas, _read_atlas),
    "surfaces": Target("surfaces/*", _surfaces, _read_surfaces),
    "spaces": Target("spaces.json", _spaces, _read_spaces, kinds=STRUCTURE),
    "plugin": Target("plugin.yaml", _plugin, _read_plugin, kinds=STRUCTURE),
}
