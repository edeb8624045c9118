import csv
import io

import pytest

from ultrabm_jax.metrics.score_table import csv_scores, latex_scores, markdown_scores, text_scores

METHODS = {"my_net": {"psnr_rgb": 20.123, "lpips_alex": 0.3, "chroma_ratio": 0.9},
           "A & B": {"psnr_rgb": "inf", "lpips_alex": 0.2, "chroma_ratio": 1.2},
           "none": {"psnr_rgb": None, "lpips_alex": 0.2, "chroma_ratio": 0.5}}  # fmt: skip
UP = {"psnr_rgb": True, "lpips_alex": False, "chroma_ratio": None}
INTERVALS = {"my_net": {"psnr_rgb": [19.0, 21.0], "lpips_alex": None}}


def test_markdown_marks_the_best_values():
    head, rule, *rows = markdown_scores(METHODS, UP).splitlines()
    assert head == "| method | psnr_rgb ↑ | lpips_alex ↓ | chroma_ratio (1) |"
    assert rule == "|---|---|---|---|"
    assert rows == [
        "| my_net | 20.12 | 0.3000 | **0.9000** |",
        "| A & B | **inf** | **0.2000** | 1.2000 |",
        "| none | n/a | **0.2000** | 0.5000 |",
    ]


def test_intervals_stand_behind_the_means():
    assert "| 20.12 [19.00, 21.00] | 0.3000 |" in markdown_scores(METHODS, UP, INTERVALS)
    assert "20.12 [19.00, 21.00]" in text_scores(METHODS, UP, INTERVALS)


def test_latex_escapes_names_and_has_equal_columns():
    text = latex_scores(METHODS, UP)
    assert r"my\_net & 20.12 & 0.3000 & \textbf{0.9000} \\" in text
    assert r"A \& B & \textbf{inf} &" in text
    assert r"method & psnr\_rgb $\uparrow$ & lpips\_alex $\downarrow$ &" in text
    assert {line.replace(r"\&", "").count("&") for line in text.splitlines() if line.endswith(r"\\")} == {3}


def test_csv_keeps_unrounded_values_and_bounds():
    rows = list(csv.DictReader(io.StringIO(csv_scores(METHODS, UP, INTERVALS))))
    assert float(rows[0]["psnr_rgb"]) == 20.123
    assert (rows[0]["psnr_rgb_ci95_lower"], rows[0]["psnr_rgb_ci95_upper"]) == ("19.0", "21.0")
    assert rows[0]["lpips_alex_ci95_lower"] == rows[1]["psnr_rgb_ci95_lower"] == rows[2]["psnr_rgb"] == ""
    assert rows[1]["psnr_rgb"] == "inf"


@pytest.mark.parametrize("write", [text_scores, markdown_scores, latex_scores, csv_scores])
def test_no_methods_give_an_empty_table(write):
    assert "psnr" in write({}, UP)
