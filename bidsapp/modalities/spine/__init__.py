"""Neck: the place of an injection on one axial slice, cut out, mirrored to one side, judged."""
