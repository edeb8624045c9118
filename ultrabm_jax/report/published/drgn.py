"""DRGN (Jiang et al., "Degrade is Upgrade", AAAI 2022), Tables 1 to 4.

Real63 and ExDark have no layout of their own: an evaluation of data set `folder` fills their tables if the name of its
folder contains `real63` or `exdark`, in any case.
"""

from __future__ import annotations

from ultrabm_jax.config import preset_fields
from ultrabm_jax.report.published.table import NONE, Condition, Quantity, Table
from ultrabm_jax.report.summary import Config

_PAPER = "Jiang et al., Degrade is Upgrade: Learning Degradation for Low-light Image Enhancement, AAAI 2022"
_METHODS = {"Zero-DCE": "zero_dce", "DRGN": "drgn", "LW-DRGN": "lw_drgn"}
_TRAINED_ON = "lol_drgn"  # 480 of LOL's 500 pairs
_NETWORKS = ("drgn", "lw_drgn")
_PAPER_CONFIG = {
    "model.variant": "base",
    "model.dl_da": True,
    "model.input_maps": False,
    "train.steps": 43_200,  # 60 epochs of 720 steps
    **{name: value for name, value in preset_fields("drgn", "paper").items() if not name.startswith("data.")},
}
_ZERO_DCE = {"Zero-DCE": "network: the released weights (paper: trained on LOL)"}
_SETS = {"Test148": 148, "LOL1000": 1000, "VOC144": 144}
_PSNR, _SSIM = Quantity("PSNR", "psnr_rgb"), Quantity("SSIM", "ssim_rgb")
_FSIM = Quantity("FSIM", "fsim", "unknown, perhaps fsimc")
_NIQE, _SSEQ = Quantity("NIQE", "niqe_gray"), Quantity("SSEQ", "sseq")
_DETECTION = (
    Quantity("precision, %", None, "YOLOv4"),
    Quantity("IoU, %", None, "YOLOv4"),
    Quantity("mAP, %", None, "YOLOv4"),
)
_NONE = f" {NONE} {NONE} {NONE}"


def _methods_of(table: dict[str, str]) -> dict[str, str]:
    return {name: method for name, method in _METHODS.items() if name in table}


_SYNTHETIC = {
    "LIME": "18.35/18.32/19.38/18.68 .771/.829/.757/.785 .896/.871/.827/.864" + _NONE,
    "RetinexNet": "15.45/18.23/18.08/17.25 .758/.792/.749/.766 .868/.860/.837/.855 .445 .414 83.57",
    "DeepUPE": "18.41/16.64/19.43/18.16 .766/.773/.781/.773 .910/.865/.873/.882 .999 .016 .214",
    "Zero-DCE": "14.42/15.53/15.42/15.12 .392/.420/.348/.386 .738/.741/.635/.704 .079 .010 11.74",
    "KinD": "17.27/18.93/22.19/19.46 .832/.851/.834/.839 .900/.908/.881/.896 8.016 .059 78.40",
    "KinD++": "19.18/19.42/22.45/20.35 .859/.857/.842/.852 .923/.911/.885/.906 8.274 .392 1670.91",
    "MIRNet": "20.34/17.20/19.13/18.89 .871/.813/.781/.821 .928/.872/.850/.883 31.78 .630 554.32",
    "SSIEN": "16.23/17.35/18.18/17.25 .780/.779/.727/.762 .870/.830/.792/.830 .486 .028 77.86",
    "EnlightenGAN": "16.34/17.64/19.49/17.82 .796/.835/.790/.807 .907/.884/.853/.881 8.64 .057 37.02",
    "DRGN": "20.41/19.88/22.86/21.05 .880/.889/.858/.875 .940/.916/.894/.916 4.773 .152 110.59",
    "LW-DRGN": "18.85/18.89/20.43/19.39 .851/.856/.839/.848 .920/.886/.882/.896 .660 .041 18.15",
}
_REAL = {
    "LIME": "3.117 24.45 3.587 3.531",
    "RetinexNet": "5.192 36.88 2.245 2.263",
    "Zero-DCE": "3.257 23.61 3.147 3.259",
    "KinD": "3.551 29.48 3.458 3.762",
    "MIRNet": "3.287 26.69 3.569 3.625",
    "SSIEN": "4.153 32.20 3.026 3.148",
    "EnlightenGAN": "4.408 20.08 3.852 3.471",
    "DRGN": "3.051 23.53 4.012 3.984",
}
_COCO = {
    "input": "11.58 .586" + _NONE,
    "RetinexNet": "18.32 .723 25.18 76.54 37.58",
    "Zero-DCE": "15.07 .368 25.72 76.19 41.85",
    "KinD": "18.56 .748 26.54 77.01 43.49",
    "DRGN": "20.47 .790 26.81 77.35 45.91",
}
_EXDARK = {
    "input": "4.887 31.58 63.95 53.28 69.34",
    "RetinexNet": "5.225 36.98 62.84 56.17 67.72",
    "Zero-DCE": "3.825 34.27 63.91 58.48 68.21",
    "KinD": "3.770 36.04 64.86 59.29 71.45",
    "DRGN": "3.712 30.65 67.72 63.83 74.63",
}

# Row of Table 1: the fields that configs/drgn_lol_no_*.py change.
_PARTS: dict[str, Config] = {
    "w/o DL-DA": {"model.dl_da": False, "model.groups": [4, 7, 9]},
    "w/o MSR": {"model.groups": [2]},
    "w/o KL": {"loss.lambda_kl": False},
    "w/o SSIM": {"loss.lambda_ssim": False, "loss.lambda_ssim_ref": False},
    "DRGN": {},
}
_WHOLE: Config = {
    "model.dl_da": True,
    "model.groups": [2, 3, 4],
    "loss.lambda_kl": True,
    "loss.lambda_ssim": True,
    "loss.lambda_ssim_ref": True,
}

TABLES: dict[str, Table] = {
    "drgn_1": Table(
        title="DRGN, Table 1: ablation on LOL1000",
        source=f"{_PAPER}, Table 1",
        conditions=(Condition("", "lol1000", count=1000, trained_on=_TRAINED_ON),),
        quantities=(_PSNR, _SSIM, _FSIM),
        values={
            "input": "12.86 .610 .787",
            "w/o DL-DA": "19.03 .857 .906",
            "w/o MSR": "19.32 .874 .910",
            "w/o KL": "19.61 .881 .914",
            "w/o SSIM": "19.56 .849 .907",
            "DRGN": "19.88 .889 .916",
        },
        methods={"input": "bicubic", **dict.fromkeys(_PARTS, "drgn")},
        required={row: {**_WHOLE, **changes} for row, changes in _PARTS.items()},
        networks=("drgn",),
        paper_config=_PAPER_CONFIG,
        extras=False,
    ),
    "drgn_2": Table(
        title="DRGN, Table 2: three synthetic test sets and their average",
        source=f"{_PAPER}, Table 2",
        conditions=(
            *(Condition(name, name.lower(), count=n, trained_on=_TRAINED_ON) for name, n in _SETS.items()),
            Condition("average", input="384x384"),
        ),
        quantities=(
            _PSNR,
            _SSIM,
            _FSIM,
            Quantity("parameters, million", "speed.parameters", unit=1e6),
            Quantity("seconds", "speed.milliseconds", "384x384", 1e3, device="not stated"),
            Quantity("GFLOPs", "speed.gmacs_one_generator", "384x384; multiply-adds, of one generator"),
        ),
        values=_SYNTHETIC,
        methods=_methods_of(_SYNTHETIC),
        networks=_NETWORKS,
        paper_config=_PAPER_CONFIG,
        row_differs=_ZERO_DCE,
    ),
    "drgn_3": Table(
        title="DRGN, Table 3: Real63",
        source=f"{_PAPER}, Table 3",
        conditions=(Condition("Real63", "folder", count=63, folder="real63", trained_on=_TRAINED_ON),),
        quantities=(_NIQE, _SSEQ, Quantity("CN", None, "user study"), Quantity("CD", None, "user study")),
        values=_REAL,
        methods=_methods_of(_REAL),
        networks=_NETWORKS,
        paper_config=_PAPER_CONFIG,
        row_differs=_ZERO_DCE,
    ),
    "drgn_4a": Table(
        title="DRGN, Table 4a: COCO1000",
        source=f"{_PAPER}, Table 4a",
        conditions=(Condition("", "coco_dark", count=1000, trained_on="coco_dark"),),
        quantities=(_PSNR, _SSIM, *_DETECTION),
        values=_COCO,
        methods={"input": "bicubic", **_methods_of(_COCO)},
        networks=_NETWORKS,
        paper_config=_PAPER_CONFIG,
        differs=("data: dark images made by our recipe (the paper's is not published)",),
    ),
    "drgn_4b": Table(
        title="DRGN, Table 4b: ExDark",
        source=f"{_PAPER}, Table 4b",
        conditions=(Condition("ExDark", "folder", folder="exdark"),),
        quantities=(_NIQE, _SSEQ, *_DETECTION),
        values=_EXDARK,
        methods={"input": "bicubic", **_methods_of(_EXDARK)},
        networks=_NETWORKS,
        paper_config=_PAPER_CONFIG,
    ),
}
