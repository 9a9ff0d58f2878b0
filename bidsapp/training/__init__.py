"""Splits, the loop, augmentation, checkpoints."""
