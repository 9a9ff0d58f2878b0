"""One package a kind of study: its sources, preparation, measures, page and words."""
