"""The names that a recipe may use for networks, channels, tests, baselines and saliency methods.

A new one is a line here and a file in the room that does the work.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NetworkOffer:
    """What one network can be asked for.

    Attributes
    ----------
    depths
        Numbers of layers that exist.
    medicalnet_shortcut
        Depth to the residual shortcut of its MedicalNet checkpoint; empty where there is none.
        Source: MedicalNet's released models (A without, B with a convolution).
    options
        The keys of ``network`` that only this network understands.
    """

    depths: tuple[int, ...]
    medicalnet_shortcut: dict[int, Literal["A", "B"]]
    options: tuple[str, ...] = ()


NETWORKS = {
    "resnet": NetworkOffer(
        (10, 18, 34, 50), {10: "B", 18: "A", 34: "A", 50: "B"}, ("dilation", "shortcut")
    ),
    "densenet": NetworkOffer((121,), {}),
    "seresnext": NetworkOffer((50,), {}),
}

NetworkName = Literal["resnet", "densenet", "seresnext"]
Channel = Literal["t1w", "log_jacobian"]
TestName = Literal["permutation", "delong", "mcnemar"]
Baseline = Literal[
    "majority", "age_sex", "logistic", "random_forest", "xgboost", "regions", "quality", "site"
]
SaliencyMethod = Literal[
    "gradient",
    "gradient_x_input",
    "smoothgrad",
    "integrated_gradients",
    "grad_cam",
    "occlusion",
]

SLOPES = ("gradient", "smoothgrad")
"""Saliency methods whose maps hold slopes, not shares of the answer.

The size of a slope says where the answer is easily moved; its sign only says which way a brighter
voxel moves it, not which way this person's voxel did.
"""

BASELINES_ON_PREDICTORS = ("logistic", "random_forest", "xgboost")

SPM12_BOX = {2: (79, 95, 79), 1: (157, 189, 156)}
"""Voxels (x, y, z) of SPM12's bounding box at 2 and 1 mm."""

PLANE_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of the grid along which the slices of a plane are counted."""
