"""The asset store: search order, verification, and the error for a missing file."""

from __future__ import annotations

import hashlib
import sys

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage import assets
from ultrabm_jax.storage.assets import Asset, MissingAsset, asset_path

DATA = b"weights"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Temporary folder, environment folder, cache and package."""
    digest = hashlib.sha256(DATA).hexdigest()
    asset = Asset("w.bin", digest, len(DATA), "free", "https://example.org/w.bin", ("Some-Package", "apkg", "in/w.bin"))
    monkeypatch.setattr(assets, "ASSETS", {"w": asset})
    folders = {name: tmp_path / name for name in ("folder", "environment", "cache", "site")}
    monkeypatch.setenv("ULTRABM_ASSETS", str(folders["environment"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders["cache"]))
    monkeypatch.syspath_prepend(str(folders["site"]))
    package = folders["site"] / "apkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    return {
        "folder": folders["folder"] / "w.bin",
        "environment": folders["environment"] / "w.bin",
        "cache": folders["cache"] / "ultrabm_jax" / "w.bin",
        "package": package / "in" / "w.bin",
    }


def put(path, data=DATA):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_search_order(places):
    put(places["package"])
    assert asset_path("w") == places["package"]
    assert "apkg" not in sys.modules  # located, not imported
    put(places["cache"])
    assert asset_path("w") == places["cache"]
    put(places["environment"])
    assert asset_path("w") == places["environment"]
    put(places["folder"])
    assert asset_path("w", folder=places["folder"].parent) == places["folder"]
    assert asset_path("w") == places["environment"]


def test_missing_asset_error_names_file_hash_and_sources(places):
    with pytest.raises(MissingAsset) as caught:
        asset_path("w")
    message = str(caught.value)
    for part in (
        "w.bin",
        hashlib.sha256(DATA).hexdigest(),
        "pip install Some-Package",
        "https://example.org",
        "ULTRABM_ASSETS",
    ):
        assert part in message
    assert "\n" not in message


def test_damaged_file_raises_instead_of_searching_further(places):
    put(places["cache"])
    put(places["folder"], b"weighty")
    with pytest.raises(UserError, match="damaged or another file"):
        asset_path("w", folder=places["folder"].parent)
    put(places["folder"], b"weigh")
    with pytest.raises(UserError, match="5 bytes instead of 7"):
        asset_path("w", folder=places["folder"].parent)


def test_a_prefix_of_the_hash_is_checked(places, monkeypatch):
    digest = hashlib.sha256(DATA).hexdigest()
    put(places["cache"])
    for sha256, fits in ((digest[:8], True), (None, True), ("00000000", False)):
        monkeypatch.setattr(assets, "ASSETS", {"w": Asset("w.bin", sha256, None, "free", "https://example.org")})
        if fits:
            assert asset_path("w") == places["cache"]
        else:
            with pytest.raises(UserError, match="another file"):
                asset_path("w")


def test_unknown_asset_lists_known_ones():
    with pytest.raises(UserError, match=r"known: .*vgg16"):
        asset_path("vgg17")
