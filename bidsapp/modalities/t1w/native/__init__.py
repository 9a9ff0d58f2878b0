"""T1w heads left in their own space: turned, resampled, cut to a box, and not registered."""
