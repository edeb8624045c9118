"""One file per experiment; `base` documents every field."""
