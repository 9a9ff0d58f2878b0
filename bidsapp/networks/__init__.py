"""Architectures, pretrained weights, the model bundle."""
