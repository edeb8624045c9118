"""Camera raw files: a mosaic in a known phase, its levels, its reference rendering, and the way back to a file."""
