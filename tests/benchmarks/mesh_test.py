"""Error rate of the vertexwise comparison of maps on a bone's surface, where there is no effect.

Run as ``OMP_NUM_THREADS=1 python -m tests.benchmarks.mesh_test``. Maps of people are noise that is
smooth along the mesh and has a heavy tail; age, sex and body mass index go with the maps and with
the group. One hold-out: the networks are fixed, so that outcomes may be permuted.
"""

import argparse
from functools import cache

import numpy as np

from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.synthetic import NAMES, knee_labels
from bidsapp.saliency.group_test import false_discovery_rates
from bidsapp.saliency.max_t import ClusterEnhancement, max_t
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.surface import Mesh

SPACING = (2.5, 2.0, 2.0)
EDGE_MM = 4.0
LEVEL = 0.05


@cache
def bone() -> MeshSpace:
    """A tibia with points some 4 mm apart."""
    mask = knee_labels(spacing=SPACING) == NAMES.index("tibia")
    surface = mesh_bone(mask, np.array(SPACING), ANATOMY["tibia"], EDGE_MM).surface
    return MeshSpace(Mesh(surface.points.astype(np.float32), surface.triangles), "tibia")


def study(
    people: int, fwhm: float, effect: float, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Draw maps (people, points), groups and covariates; an effect lies about one point."""
    space = bone()
    inside = np.ones(space.shape, bool)
    smooth = space.smoother(inside, fwhm)
    covariates = rng.normal(size=(people, 3))
    covariates[:, 1] = covariates[:, 1] > 0
    group = (covariates[:, 0] + 1.5 * rng.normal(size=people) > 0).astype(float)
    maps = np.stack([smooth(one) for one in rng.laplace(size=(people, *space.shape))])
    maps = maps / maps.std() + covariates @ np.array([0.5, 0.4, -0.3])[:, None]
    away = np.linalg.norm(space.points() - space.points()[len(maps[0]) // 3], axis=1)
    return maps + effect * np.outer(group, away < 12), group, covariates


def rejected(
    people: int, fwhm: float, effect: float, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Whether each statistic calls any point significant: max-T, TFCE, false discovery rate."""
    maps, group, covariates = study(people, fwhm, effect, rng)
    enhance = ClusterEnhancement(bone(), np.ones(bone().shape, bool), step=0.4)
    found = max_t(maps, group, covariates, permutations=permutations, rng=rng, enhance=enhance)
    assert found.p_tfce is not None
    q = false_discovery_rates(found.t, found.df)
    return np.array([found.p_fwe.min(), found.p_tfce.min(), q.min()]) <= LEVEL + 1e-6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=600)
    parser.add_argument("--permutations", type=int, default=99)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    error = (LEVEL * (1 - LEVEL) / options.studies) ** 0.5
    print(f"{bone().shape[0]} points; share of studies, standard error at .05 {error:.3f}")
    print("effect  fwhm mm   max-T   TFCE    FDR")
    for effect, fwhm, studies in (
        (0.0, 0.0, options.studies),
        (0.0, 8.0, options.studies),
        (1.0, 8.0, max(options.studies // 10, 1)),
    ):
        found = np.mean(
            [
                rejected(
                    options.people,
                    fwhm,
                    effect,
                    options.permutations,
                    np.random.default_rng([options.seed, number, round(fwhm)]),
                )
                for number in range(studies)
            ],
            axis=0,
        )
        print(f"{effect:>6.1f}{fwhm:>9.0f}   " + "   ".join(f"{x:.3f}" for x in found), flush=True)


if __name__ == "__main__":
    main()
