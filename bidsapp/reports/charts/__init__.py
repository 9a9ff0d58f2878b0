"""Charts as hand-written SVG: crisp at any size, light and dark, readable without a picture."""
