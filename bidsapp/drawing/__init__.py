"""Drawing that knows no run and no modality: SVG, slices, contours, pages, wording."""
