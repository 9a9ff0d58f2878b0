"""Files that come from outside, opened: regular, whole, and no larger than can be worked with."""
