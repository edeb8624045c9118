"""UltraBM (Gao et al., "Diving into Darkness") and its journal form UltraIS: main tables, efficiency, ablations.

Errors of the paper, kept as printed: UltraBM's RMSE is that of 8-bit differences divided by 4095 (0.0771 * 255 / 4095
corresponds to 22.264 dB), that of the other methods is of images in [0, 1], and ZeroDCE=>HAT x2 and x4 appear to be of
the first kind; SRFormer's RMSE x4 is inconsistent with its PSNR.
"""

from __future__ import annotations

from collections.abc import Mapping

from ultrabm_jax.report.published.table import Condition, Quantity, Table, by_condition
from ultrabm_jax.report.summary import Config

_PAPER = "Gao et al., Diving into Darkness: A Dual-Modulated Framework for High-Fidelity Super-Resolution"
_JOURNAL = "Gao et al., A Dual-Stream-Modulated Learning Framework (UltraIS), TNNLS 2024"
_X2 = Condition("x2", "rellisur", 2, count=425, trained_on="rellisur")
_X4 = Condition("x4", "rellisur", 4, count=425, trained_on="rellisur")
_PSNR = Quantity("PSNR", "psnr_rgb", "unknown; the released code takes 8-bit images")
_SSIM = Quantity("SSIM", "ssim_rgb")
_LPIPS = Quantity(
    "LPIPS",
    "lpips_alex",
    "unknown; the released code uses AlexNet and feeds it BGR",
    differs="protocol: RGB (the released code: BGR)",
)
_RMSE = Quantity("RMSE", "rmse", "of images in [0, 1], except for the values with *")
_NIQE = Quantity("NIQE", "niqe_gray")
_LOE = Quantity("LOE", "loe_up", "unknown; the sizes of input and output differ")
_MAIN = (_PSNR, _SSIM, _LPIPS, _RMSE, _NIQE, _LOE)
_RMSE_NOTE = (
    "* RMSE: UltraBM's .005/.006 are 8-bit differences divided by 4095, about .077/.089 in the unit of the others; "
    "ZeroDCE=>HAT's appear to be as well, and SRFormer's .430 is inconsistent with its PSNR"
)
_CROPS = ("data: whole images (paper: crops to multiples of 16, whose offset is unknown)",)

# The full model; each ablation changes one of these fields.
_FULL = {"model.stream": "dual", "model.second_stream_input": "v", "model.isdm": "full", "model.upsampler": "rsmu",
         "model.fsi": True, "loss.lambda_sl": True, "loss.lambda_is": True, "loss.lambda_p": True}  # fmt: skip
_PAPER_CONFIG = {
    "model.variant": "base",
    "model.semantic": "hrnet_w48",
    "loss.perceptual": "vgg19",
    "train.steps": 150_000,
}
_PAPER_CONFIG_WHOLE = {**_PAPER_CONFIG, **_FULL}

_MAIN_VALUES = {
    "RDN": "18.794/18.201 .701/.701 .455/.584 .120/.128 7.864/9.098 45.642/44.976",
    "SRFBN": "18.435/17.653 .662/.665 .510/.640 .125/.136 7.202/7.766 47.698/45.582",
    "PAN": "18.757/18.051 .716/.703 .465/.567 .119/.129 7.370/8.737 49.793/48.623",
    "MIRNet": "21.054/19.773 .720/.704 .436/.599 .095/.109 7.881/8.803 31.968/33.966",
    "SwinIR": "18.387/17.452 .647/.658 .577/.686 .125/.139 7.231/9.489 46.042/42.581",
    "Restormer": "21.217/20.290 .727/.720 .385/.492 .095/.106 7.636/9.065 30.889/30.856",
    "SRFormer": "19.558/18.708 .704/.705 .469/.613 .110/.430* 7.550/9.664 50.411/45.606",
    "HAT": "20.213/19.750 .719/.715 .454/.561 .103/.110 8.332/10.028 42.265/35.284",
    "UltraBM": "22.264/21.036 .743/.726 .254/.371 .005*/.006* 7.216/7.537 28.670/29.432",
}
_JOURNAL_VALUES = {
    "RDN": by_condition("18.795/.701/.455/60.074/.310/7.864", "18.213/.703/.584/56.573/.300/9.098"),
    "SRFBN": by_condition("18.421/.662/.510/57.389/.278/7.202", "17.679/.665/.640/58.878/.271/7.766"),
    "PAN": by_condition("18.783/.693/.450/59.232/.295/7.370", "18.106/.700/.559/62.353/.303/8.737"),
    "SwinIR": by_condition("18.386/.640/.577/63.179/.276/7.231", "17.534/.663/.688/58.362/.277/9.489"),
    "MIRNet": by_condition("21.053/.720/.436/62.136/.310/7.881", "19.783/.704/.599/57.262/.294/8.803"),
    "Restormer": by_condition("21.215/.727/.385/56.210/.329/7.636", "20.298/.720/.492/62.071/.333/9.065"),
    "LCUN": by_condition("18.911/.684/.531/56.104/.210/8.543", "18.463/.657/.644/55.676/.212/9.992"),
    "SRFormer": by_condition("19.556/.704/.469/53.418/.296/7.550", "18.723/.705/.613/61.658/.299/9.664"),
    "HAT": by_condition("20.213/.719/.454/61.668/.310/8.332", "19.751/.715/.561/65.003/.303/10.028"),
    "CollaBA": by_condition("21.621/.787/.247/51.510/.434/8.083", "20.423/.734/.371/54.894/.423/8.554"),
    "LLFormer=>HAT": by_condition("21.218/.720/.455/65.497/.290/8.574", "20.135/.718/.575/68.499/.295/9.231"),
    "UltraIS": by_condition("22.264/.743/.254/49.348/.438/7.216", "21.036/.726/.371/53.043/.434/7.537"),
}


def _ablation(number: int, subject: str, rows: Mapping[str, tuple[str, Config]], notes: tuple[str, ...] = ()) -> Table:
    """`rows`: name -> (values, changes to the full model)."""
    return Table(
        title=f"UltraBM, Table {number}: {subject}, RELLISUR x2",
        source=f"{_PAPER}, Table {number}",
        conditions=(_X2,),
        quantities=(_PSNR, _SSIM, _LPIPS),
        values={name: values for name, (values, _) in rows.items()},
        methods=dict.fromkeys(rows, "ultrabm"),
        required={name: {**_FULL, **changes} for name, (_, changes) in rows.items()},
        networks=("ultrabm",),
        paper_config=_PAPER_CONFIG,
        differs=_CROPS,
        notes=notes,
        extras=False,
    )


_NO_SL = {"loss.lambda_sl": False}

TABLES: dict[str, Table] = {
    "ultrabm_1": Table(
        title="UltraBM, Table 1: RELLISUR test set",
        source=f"{_PAPER}, Table 1",
        conditions=(_X2, _X4),
        quantities=_MAIN,
        values=_MAIN_VALUES,
        methods={"UltraBM": "ultrabm"},
        networks=("ultrabm",),
        paper_config=_PAPER_CONFIG_WHOLE,
        differs=_CROPS,
        notes=(_RMSE_NOTE,),
    ),
    "ultrabm_2": Table(
        title="UltraBM, Table 2: enhancement, then super-resolution, RELLISUR test set",
        source=f"{_PAPER}, Table 2",
        conditions=(_X2, _X4),
        quantities=_MAIN,
        values={
            "ZeroDCE=>HAT": "12.927/12.524 .354/.321 .698/.739 .015*/.019* 7.389/8.132 56.726/54.178",
            "SCI=>HAT": "14.963/14.776 .439/.452 .591/.697 .200/.205 7.625/8.235 36.413/37.879",
            "LLFormer=>HAT": "21.286/20.135 .720/.718 .455/.575 .093/.105 8.574/9.231 35.084/36.215",
        },
        networks=("ultrabm",),
        paper_config=_PAPER_CONFIG_WHOLE,
        differs=_CROPS,
        notes=(
            "the authors trained Zero-DCE and SCI on RELLISUR, and HAT on its normal-light images; our cascades use "
            "the released weights of Zero-DCE and SCI, and there is no HAT here",
            _RMSE_NOTE,
        ),
    ),
    "ultrabm_3": Table(
        title="UltraBM, Table 3: efficiency, one input of 128x128",
        source=f"{_PAPER}, Table 3",
        conditions=tuple(Condition(f"x{k}", scale=k, any_dataset=True, input="128x128") for k in (2, 4)),
        quantities=(
            Quantity("parameters, million", "speed.parameters", "without the unregistered convolutions of RSMU", 1e6),
            Quantity(
                "G multiply-adds",
                "speed.gmacs_convolutions",
                "convolutions and ReLU, printed as FLOPs",
                differs="protocol: without the frozen extractor (HRNet-W48: 5.869 G), with RSMU's stages 1 and 3 "
                "(paper: the reverse)",
            ),
            Quantity("seconds", "speed.milliseconds", "one RTX 2080 Ti", 1e3, device="RTX 2080 Ti"),
        ),
        values={
            "SwinIR": "11.683/11.825 453.12/467.94 3.879/4.226",
            "Restormer": "26.126/26.209 35.375/41.327 .033/.035",
            "SRFormer": "10.162/10.220 81.797/83.006 .218/.221",
            "HAT": "9.473/9.621 58.990/68.994 .184/.186",
            "UltraBM": "69.561/69.687 31.497/64.633 .044/.054",
        },
        methods={"UltraBM": "ultrabm"},
        networks=("ultrabm",),
        paper_config={name: value for name, value in _PAPER_CONFIG_WHOLE.items() if name.startswith("model.")},
        extras=False,
    ),
    "ultrabm_4": _ablation(
        4,
        "one or two streams",
        {
            "one stream": ("20.213 .676 .316", {"model.stream": "one"}),
            "two, second sees x": ("21.821 .713 .285", {"model.second_stream_input": "x"}),
            "two, second sees v": ("22.264 .743 .254", {}),
        },
    ),
    "ultrabm_5": _ablation(
        5,
        "ISDM and RSMU",
        {
            "(a) all": ("21.954 .735 .268", _NO_SL),
            "(b) no ISDM": ("21.401 .726 .285", {**_NO_SL, "model.isdm": "none"}),
            "(c) ISDM without SMU": ("21.635 .728 .279", {**_NO_SL, "model.isdm": "no_smu"}),
            "(d) ISDM without IMU": ("21.732 .730 .281", {**_NO_SL, "model.isdm": "no_imu"}),
            "(e) bilinear": ("21.550 .725 .277", {**_NO_SL, "model.upsampler": "bilinear"}),
            "(f) RSMU without FSI": ("21.653 .731 .275", {**_NO_SL, "model.fsi": False}),
        },
        notes=("all rows were trained without L_SL",),
    ),
    "ultrabm_6": _ablation(
        6,
        "losses",
        {
            "no L_SL": ("21.954 .735 .268", _NO_SL),
            "no L_P": ("22.149 .734 .417", {"loss.lambda_p": False}),
            "all": ("22.264 .743 .254", {}),
        },
    ),
    "ultrais_2": Table(
        title="UltraIS, Table II: RELLISUR test set",
        source=f"{_JOURNAL}, Table II (released image of it)",
        conditions=(_X2, _X4),
        quantities=(_PSNR, _SSIM, _LPIPS, Quantity("BRISQUE", "brisque"), Quantity("MetaIQA", None), _NIQE),
        values=_JOURNAL_VALUES,
        methods={"UltraIS": "ultrabm"},
        networks=("ultrabm",),
        paper_config={**_PAPER_CONFIG_WHOLE, "model.compat": "ultrais"},
        differs=_CROPS,
    ),
}
