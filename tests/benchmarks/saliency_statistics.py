"""Voxelwise permutation test of group maps against nilearn's, 128 people at 2 mm, one core.

Run as ``OMP_NUM_THREADS=1 python -m tests.benchmarks.saliency_statistics``; CPU seconds.
"""

import time
from collections.abc import Callable

import numpy as np

from bidsapp.saliency.max_t import ClusterEnhancement, max_t
from bidsapp.spaces.volume import volume

PEOPLE, VOXELS, PERMUTATIONS = 128, 235_842, 1000
# nilearn's cost is a constant and a cost per permutation; both are measured on fewer.
FEW, MANY = 5, 30


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the cost of both and their ratio."""
    from nilearn.mass_univariate import permuted_ols

    rng = np.random.default_rng(0)
    tested = (np.arange(PEOPLE) % 2).astype(float)
    covariates = rng.normal(size=(PEOPLE, 2))
    values = rng.standard_normal((PEOPLE, VOXELS), np.float32)

    def theirs(permutations: int) -> None:
        permuted_ols(tested, values, covariates, n_perm=permutations, random_state=0)

    ours = cpu(lambda: max_t(values, tested, covariates, permutations=PERMUTATIONS, rng=rng))
    few, many = cpu(lambda: theirs(FEW)), cpu(lambda: theirs(MANY))
    one = (many - few) / (MANY - FEW)
    whole = few + one * (PERMUTATIONS - FEW)
    print(f"{PEOPLE} people, {VOXELS} voxels, 2 covariates, {PERMUTATIONS} permutations, CPU s:")
    print(f"  max-T here                       {ours:8.1f}")
    print(f"  nilearn permuted_ols             {whole:8.1f} (from {FEW} and {MANY} permutations)")
    print(f"  ratio                            {whole / ours:8.1f}")

    side = 62
    grid = np.indices((side, side, side)) - (side - 1) / 2
    inside = (grid**2).sum(axis=0) < 38.3**2 / 1.525
    smooth = rng.standard_normal((PEOPLE, int(inside.sum())), np.float32)
    enhance = ClusterEnhancement(volume((side, side, side), np.eye(4)), inside)
    plain = cpu(lambda: max_t(smooth, tested, permutations=20, rng=rng))
    tfce = cpu(lambda: max_t(smooth, tested, permutations=20, rng=rng, enhance=enhance))
    print(f"  TFCE, {inside.sum()} voxels, for 1,000    {(tfce - plain) / 20 * 1000:8.1f}")


if __name__ == "__main__":
    main()
