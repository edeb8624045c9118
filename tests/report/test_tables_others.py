"""Tables of other papers and of LOL's test images: values, and baselines without a trained model."""

from report.paper_tables import cells

from ultrabm_jax.report.published.table import NONE


def test_values_of_the_papers():
    assert cells("rellisur_7", "LPIPS")["MBLLEN, ESRGAN"] == [".40", ".52", "not run"]
    assert cells("lolisrflow", "PSNR")["LoLiSRFlow"] == ["23.40", "21.58", "not run"]
    assert cells("lol_eval15", "PSNR")["Restormer"] == ["22.43", "not run"]


def test_baselines_without_a_trained_model(write):
    folder = write("lol", model="bicubic", dataset="lol", scale=1, count=15, step=None, mean={"psnr_rgb": 7.77},
                   speed=None, baselines={"zero_dce": {"psnr_rgb": 14.86}, "gamma": {"psnr_rgb": 16.04}})  # fmt: skip
    found = cells("lol_eval15", "PSNR", [folder])
    assert [found[row] for row in ("input", "Zero-DCE", "SCI", "gamma")] == [
        ["7.77", "7.770"], ["14.86", "14.860"], ["14.78", "not run"], [NONE, "16.040"]]  # fmt: skip
