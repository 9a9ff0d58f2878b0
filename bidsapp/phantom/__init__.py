"""A small BIDS dataset with a known answer, and a known signal for planting into any image."""

from bidsapp.phantom.anatomy import Anatomy
from bidsapp.phantom.dataset import TRUTH, known_anatomy, make_phantom
from bidsapp.phantom.head import ORIENTATIONS
from bidsapp.phantom.region import RIGHT_INSULA, Region, plant_cuboid

__all__ = [
    "ORIENTATIONS",
    "RIGHT_INSULA",
    "TRUTH",
    "Anatomy",
    "Region",
    "known_anatomy",
    "make_phantom",
    "plant_cuboid",
]
