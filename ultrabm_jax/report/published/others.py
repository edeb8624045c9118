"""RELLISUR's own table, LoLiSRFlow's, and values quoted for LOL."""

from __future__ import annotations

from ultrabm_jax.config import preset_fields
from ultrabm_jax.report.published.table import Condition, Quantity, Table, by_condition

_RELLISUR = tuple(Condition(f"x{k}", "rellisur", k, count=425, trained_on="rellisur") for k in (2, 4))
_PSNR, _SSIM = Quantity("PSNR", "psnr_rgb"), Quantity("SSIM", "ssim_rgb")

TABLES: dict[str, Table] = {
    "rellisur_7": Table(
        title="RELLISUR, Table 7: brightness and super-resolution at once",
        source="Aakerberg et al., RELLISUR: A Real Low-Light Image Super-Resolution Dataset, NeurIPS 2021, Table 7",
        conditions=_RELLISUR,
        quantities=(_PSNR, _SSIM, Quantity("LPIPS", "lpips_alex")),
        values={
            "MIRNet, DBPN": by_condition("20.73/.73/.49", "19.85/.74/.58"),
            "MIRNet, ESRGAN": by_condition("20.67/.72/.47", "19.81/.71/.56"),
            "MBLLEN, DBPN": by_condition("17.89/.60/.38", "17.15/.58/.50"),
            "MBLLEN, ESRGAN": by_condition("17.74/.56/.40", "17.03/.50/.52"),
            "MIRNet with upscaler": by_condition("21.33/.75/.41", "20.62/.75/.53"),
            "ESRGAN": by_condition("17.67/.68/.35", "17.28/.66/.39"),
        },
        notes=("MIRNet's SSIM here is higher than UltraBM's in UltraBM's own table: the protocols differ",),
    ),
    "lolisrflow": Table(
        title="LoLiSRFlow: RELLISUR test set",
        source="LoLiSRFlow: Joint Single Image Low-light Enhancement and Super-resolution, arXiv 2024",
        conditions=_RELLISUR,
        quantities=(_PSNR, _SSIM),
        values={
            "D-DBPN": by_condition("18.70/.682", "17.96/.674"),
            "EDSR": by_condition("18.38/.679", "17.69/.679"),
            "PAN": by_condition("18.78/.693", "18.10/.700"),
            "SRFBN": by_condition("18.42/.662", "17.67/.665"),
            "SwinIR": by_condition("18.38/.640", "17.07/.663"),
            "RUAS=>SwinIR": by_condition("17.15/.617", "19.78/.662"),
            "MIRNet": by_condition("21.05/.720", "19.34/.704"),
            "SRFormer": by_condition("19.55/.704", "18.72/.705"),
            "HAT": by_condition("20.21/.719", "19.75/.715"),
            "LoLiSRFlow": by_condition("23.40/.753", "21.58/.742"),
        },
        methods={"LoLiSRFlow": "lolisrflow"},
        networks=("lolisrflow",),
        paper_config={"model.variant": "base", **preset_fields("lolisrflow", "paper")},
    ),
    "lol_eval15": Table(
        title="LOL v1, eval15",
        source="values quoted for LOL in several papers; not the table of one paper",
        conditions=(Condition("", "lol", 1, count=15),),
        quantities=(Quantity("PSNR", "psnr_rgb", "psnr_rgb, brightness not aligned to the reference"),),
        values={
            "input": "7.77",
            "Zero-DCE": "14.86",
            "SCI": "14.78",
            "RetinexNet": "16.77",
            "KinD": "17.65..20.87",
            "LLFlow": "21.15",
            "Restormer": "22.43",
            "MIRNet": "24.14",
            "Retinexformer": "25.16",
        },
        methods={"input": "bicubic", "Zero-DCE": "zero_dce", "SCI": "sci_medium"},
        notes=("14 of the 15 test scenes have a near twin among the training scenes: a flaw of the benchmark",),
    ),
}
