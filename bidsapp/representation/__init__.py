"""Normalised images to what a network eats."""
