"""Knee: thickness, T2 and shape of three bones, as maps over a sphere."""
