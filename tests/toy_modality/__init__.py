"""A modality as somebody else would add it: small PDw images, weighted by an optional table."""
