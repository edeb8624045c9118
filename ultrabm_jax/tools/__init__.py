"""Command-line tools that need a trained network."""
