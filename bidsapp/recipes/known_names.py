"""The names that a recipe may use for channels, tests, baselines and saliency methods.

A new one is a line here and a file in the room that does the work.
"""

from typing import Literal

TestName = Literal["permutation", "delong", "mcnemar"]
Baseline = Literal[
    "majority",
    "age_sex",
    "logistic",
    "random_forest",
    "xgboost",
    "regions",
    "connectome",
    "handcrafted",
    "handcrafted_forest",
    "quality",
    "motion",
    "site",
]
ClinicalModel = Literal["logistic", "random_forest", "xgboost"]
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

HANDCRAFTED = "handcrafted_"
"""Stands before the name of a handcrafted feature among the columns."""
BASELINES_ON_REGIONS = ("regions", "connectome")
BASELINES_ON_FEATURES = ("handcrafted", "handcrafted_forest")
BASELINES_ON_PREDICTORS = ("logistic", "random_forest", "xgboost")

SPM12_BOX = {
    1: (157, 189, 156),
    2: (79, 95, 79),
    3: (53, 63, 53),
    4: (40, 48, 40),
    5: (32, 38, 32),
    6: (27, 32, 27),
    8: (20, 24, 20),
    10: (16, 19, 16),
}
"""Voxels (x, y, z) of SPM12's bounding box at 1 to 10 mm."""

PLANE_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of the grid along which the slices of a plane are counted."""
