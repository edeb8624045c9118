"""The version of this package, and those of installed packages for the files that a run writes."""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "0.1.0"  # pyproject.toml reads it from here


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """{package: version}, "not installed" for one that is missing."""
    from importlib import metadata  # takes longer to import than the rest of this package

    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
