"""Pictures of group saliency: over the template in slices, through a glass brain, to click in."""
