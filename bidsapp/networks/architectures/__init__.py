"""Networks, one file each, found by the name that the recipe uses."""
