"""Figures show the images, scores and charts that they were made from, at the places where they belong."""

from __future__ import annotations

import argparse
import dataclasses
import json

import jax
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.figures import colour_ratio, curves, grid, maps, scores, tradeoff
from ultrabm_jax.figures.__main__ import COMMANDS, main
from ultrabm_jax.figures.cells import MARKS, TEXT, fit_width, legend, outlined, shorten, text_width
from ultrabm_jax.figures.panels import PANELS, colour_ratio_image, draw_panel
from ultrabm_jax.figures.plots import Axis, Plot
from ultrabm_jax.image import read_rgb_uint8, write_image
from ultrabm_jax.models import create_task
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.regions import Region

SIZE = (96, 128)


def image(seed, size=SIZE, low=0, high=255):
    return np.random.default_rng(seed).integers(low, high, (*size, 3), np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Three images of an input, two methods and the reference; the arguments NAME=FOLDER."""
    for k, method in enumerate(("input", "a", "b", "reference")):
        for name in ("1", "2", "3"):
            pixels = image(10 * k + int(name), low=0, high=40 if method == "input" else 255)
            write_image(tmp_path / method / f"{name}.png", pixels / np.float32(255))
    return [f"{method}={tmp_path / method}" for method in ("input", "a", "b", "reference")]


def colours(cell):
    return set(map(tuple, cell.reshape(-1, 3)))


def test_a_cell_of_another_width_keeps_its_proportions_and_enlarges_without_blur():
    pixels = image(0, (4, 6))
    np.testing.assert_array_equal(fit_width(pixels, 12), pixels.repeat(2, 0).repeat(2, 1))
    assert fit_width(image(0), 64).shape == (48, 64, 3)


def test_text_that_is_too_wide_is_shortened():
    name = "a_method_with_a_very_long_name"
    short = shorten(name, 100)
    assert text_width(short) <= 100
    assert short.startswith("a_met")
    assert short.endswith("name")
    assert shorten("ours", 100) == "ours"


def test_a_legend_needs_more_lines_if_it_is_narrow():
    names, keys = ["one", "two", "three"], [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    wide, narrow = legend(names, keys, 400), legend(names, keys, 60)
    assert len(wide) == TEXT + 6
    assert len(narrow) == 3 * (TEXT + 6)
    assert set(keys) <= colours(narrow)


def test_a_grid_shows_each_image_and_its_regions_at_their_places():
    images = {"input": image(0), "ours": image(1), "reference": image(2)}
    region = Region("stated", 32, 64, 16)
    layout = grid.Layout("ours", width=SIZE[1], crops=[region])
    figure = grid.draw_grid([grid.Scene("1", images)], layout)
    cell = outlined(images["ours"], [grid.Rectangle(32, 64, 48, 80, MARKS[0])])
    top = int(
        np.flatnonzero([(figure[y : y + SIZE[0], 132:260] == cell).all() for y in range(len(figure) - SIZE[0])])[0]
    )
    enlarged = fit_width(images["ours"][32:48, 64:80], SIZE[1])
    crop = figure[top + SIZE[0] + 4 :][: SIZE[1], 132:260]
    np.testing.assert_array_equal(crop[2:-2, 2:-2], enlarged[2:-2, 2:-2])


def test_a_smaller_input_shows_the_same_region():
    large = image(0, (64, 64))
    small = np.asarray(large[::2, ::2])
    cells = {"input": small, "ours": small.repeat(2, 0).repeat(2, 1)}
    layout = grid.Layout("ours", width=64, crops=[Region("stated", 16, 32, 16)])
    figure = grid.draw_grid([grid.Scene("1", cells)], layout)
    crops = figure[-64:]
    np.testing.assert_array_equal(crops[:, :64], crops[:, 68:132])


def test_captions_are_the_scores_by_their_protocols():
    images = {"input": image(0, (48, 64)), "same": image(1), "reference": image(1)}
    found = grid.captions(images, ["rmse", "psnr_rgb"])
    assert found == {"input": "- / -", "same": "0.000 / inf", "reference": "rmse / psnr_rgb"}


@pytest.mark.parametrize("kind", PANELS)
def test_panels_have_the_width_of_the_images(kind):
    images = {"input": image(0, (48, 64), high=40), "a": image(1), "reference": image(2)}
    cells = draw_panel(kind, images, model="a", row=5, width=150)
    without = {"difference": {"reference"}, "error": {"input", "reference"}}.get(kind, set())
    assert set(cells) == set(images) - without
    assert {cell.shape[1] for cell in cells.values()} == {150}


@pytest.mark.parametrize("kind", ["difference", "error"])
def test_panels_against_a_reference_need_one(kind):
    with pytest.raises(UserError, match="add reference=FOLDER"):
        draw_panel(kind, {"a": image(1)}, model="a", row=0, width=100)


def test_a_line_is_drawn_at_its_values_and_cut_off_at_the_axes():
    blue = (31, 99, 181)
    plot = Plot((100, 60), Axis(0, 10, ticks=False), Axis(0, 1, ticks=False), inside=True)
    plot.line([(0, 0.5), (10, 0.5)], blue, width=2)
    plot.line([(0, 7.0), (10, 7.0)], (200, 0, 0), width=2)
    found = plot.image()
    rows = np.flatnonzero((np.abs(found.astype(int) - blue).sum(-1) < 60).mean(1) > 0.9)
    assert rows.size
    assert abs(rows.mean() - (4 + 58) / 2) < 2
    assert not (found == (200, 0, 0)).all(-1).any()


def test_bars_have_the_height_of_their_values():
    red = (200, 0, 0)
    plot = Plot((100, 104), Axis(-1, 1, ticks=False), Axis(0, 10), title="")
    plot.bar(0, 5, red)
    column = (plot.image() == red).all(-1).sum(0).max()
    assert column == pytest.approx((104 - 8 - 4) / 2, abs=2)


def test_the_colour_ratio_of_gray_is_gray_at_any_exposure():
    for value in (3, 40, 255):
        np.testing.assert_array_equal(colour_ratio_image(np.full((4, 4, 3), value, np.uint8)), 170)


def test_darker_exposures_differ_more_in_their_colour_ratio():
    bright = np.kron(image(3, (6, 8), 60, 250), np.ones((16, 16, 1), np.uint8))
    found = colour_ratio.exposures(bright, [-2.5, -5])
    assert list(found) == ["-5 EV", "-2.5 EV", "reference"]
    assert found["-5 EV"].mean() < found["-2.5 EV"].mean() < bright.mean()
    differences = [colour_ratio.mean_difference(x, bright) for x in found.values()]
    assert differences[0] > differences[1] > differences[2] == 0
    with pytest.raises(UserError, match="not of one scene: 128x96 and 64x64 pixels"):
        colour_ratio.mean_difference(bright, bright[:64, :64])


def test_maps_are_the_outputs_of_the_network():
    task = create_task("sci", stages=1)
    low = image(5, (16, 24)).astype(np.float32) / 255
    variables = task.model.init(jax.random.key(0), low[None])
    found = maps.intermediate_maps(task, variables, low)
    assert list(found) == ["input", "illumination", "restored"]
    expected = np.asarray(task.model.apply(variables, low[None])["illumination"][0])
    np.testing.assert_allclose(found["illumination"] / 255, expected, atol=0.6 / 255)
    figure = maps.draw_maps([found, found], width=48)
    assert figure.shape[1] == 3 * 48 + 2 * 4


def test_networks_without_maps_are_named():
    with pytest.raises(UserError, match="red has no intermediate images"):
        maps.intermediate_maps(create_task("red"), {}, image(0).astype(np.float32))


def evaluation(folder, **changes):
    mean = {"psnr_rgb": 20.0, "ssim_rgb": 0.8}
    summary = {
        "model": "m", "dataset": "lol", "scale": 1, "count": 2, "mean": mean, "step": 3,
        "baselines": {"gamma": {"psnr_rgb": 12.0, "ssim_rgb": 0.5}}, "config": {},
        "intervals": {"m": {"psnr_rgb": [19.0, 21.0], "ssim_rgb": None}},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(summary | changes))
    return str(folder)


def test_methods_of_the_same_name_are_told_apart_by_folder(tmp_path):
    folders = [evaluation(tmp_path / name / "eval") for name in ("one", "two")]
    series = scores.series_of(find_evaluations(folders), "method")
    assert list(series) == ["m (one)", "gamma (one)", "m (two)", "gamma (two)"]
    assert series["m (one)"][""]["psnr_rgb"] == scores.Score(20.0, (19.0, 21.0))
    assert scores.draw_scores(series, ["psnr_rgb", "ssim_rgb"]).ndim == 3


def test_scores_over_groups_and_amplifications(tmp_path):
    groups = {
        f"-{ev}": {"count": 1, "mean": {"psnr_rgb": 25 - ev}, "baselines": {"gamma": {"psnr_rgb": 9.0}}}
        for ev in (2.5, 5.0)
    }
    folder = evaluation(tmp_path / "run" / "eval", groups=groups)
    series = scores.series_of(find_evaluations([folder]), "group")
    assert {place: own["psnr_rgb"].mean for place, own in series["m"].items()} == {-2.5: 22.5, -5.0: 20.0}
    with pytest.raises(UserError, match="no scores by m: evaluate a model for camera raw files"):
        scores.series_of(find_evaluations([folder]), "m")
    swept = evaluation(tmp_path / "red", baselines={f"m_paper:{m}": {"psnr_rgb": m} for m in (0.1, 0.5)})
    series = scores.series_of(find_evaluations([swept]), "m")
    assert {place: own["psnr_rgb"].mean for place, own in series["m_paper"].items()} == {0.1: 0.1, 0.5: 0.5}
    assert scores.draw_scores(series, ["psnr_rgb"], x_label="m").ndim == 3
    with pytest.raises(UserError, match="no method has a score under fsim"):
        scores.draw_scores(series, ["fsim"])


def test_a_tradeoff_takes_both_values_of_a_row(tmp_path):
    x, y = tradeoff.column("ultrabm_3:G multiply-adds", "x4"), tradeoff.column("ultrabm_1:PSNR", "x4")
    assert x.label == "G multiply-adds (x4)"
    assert x.printed()["HAT"] == 68.994
    assert y.printed()["HAT"] == 19.75
    assert tradeoff.draw_tradeoff(x, y).shape[1] == tradeoff.SIZE[0]
    with pytest.raises(UserError, match="no quantity 'time'; known: PSNR"):
        tradeoff.column("ultrabm_1:time", None)
    with pytest.raises(UserError, match="no row of the tables has both values"):
        tradeoff.draw_tradeoff(x, tradeoff.column("drgn_4a:PSNR", None))


def test_a_tradeoff_states_limits_and_leaves_out_ranges_and_values_with_notes(monkeypatch, logged):
    drawn = {}
    monkeypatch.setattr(tradeoff.Plot, "dot", lambda self, point, *_, label, **__: drawn.setdefault(label, point))
    column = tradeoff.column
    tradeoff.draw_tradeoff(column("red_1:G multiply-adds", None), column("red_1:PSNR", None))
    assert drawn["SGN >2000"] == (2000, 28.91)
    assert drawn["RED"] == (59.8, 28.66)
    assert not logged
    rmse = column("ultrabm_1:RMSE", "x2")  # that of UltraBM is in another unit
    assert "UltraBM" not in rmse.printed()
    tradeoff.draw_tradeoff(rmse, column("ultrabm_1:PSNR", "x2"))
    assert logged == ["RMSE (x2): left out UltraBM (.005*)"]
    lol = column("lol_eval15:PSNR", None)
    assert lol.unclear() == ["KinD"]
    assert lol.printed()["LLFlow"] == 21.15


def test_a_tradeoff_tells_evaluations_of_one_method_apart(tmp_path, monkeypatch, logged):
    drawn = {}
    monkeypatch.setattr(tradeoff.Plot, "dot", lambda self, point, *_, label, **__: drawn.setdefault(label, point))
    speed = {"parameters": 69e6, "input": "128x128"}
    given = {"model": "ultrabm", "dataset": "rellisur", "scale": 2, "speed": speed, "split": "test"}
    for name, psnr in (("one", 20.0), ("two", 21.0)):
        evaluation(tmp_path / name / "eval", **given, mean={"psnr_rgb": psnr})
    evaluation(tmp_path / "three" / "eval")
    found = find_evaluations([str(tmp_path)])
    tradeoff.draw_tradeoff(
        tradeoff.column("ultrabm_3:parameters, million", None), tradeoff.column("ultrabm_1:PSNR", None), found
    )
    assert drawn["ultrabm (one)"] == (69, 20)
    assert drawn["ultrabm (two)"] == (69, 21)
    assert [line for line in logged if "three" in line and "not drawn" in line]


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1), (2, 3)])
@pytest.mark.parametrize("kind", PANELS)
def test_panels_of_the_smallest_images(kind, size):
    images = {"input": image(0, size), "a": image(1, size), "reference": image(2, size)}
    cells = draw_panel(kind, images, model="a", row=0, width=16)
    assert all(cell.shape[1] == 16 for cell in cells.values())


@pytest.mark.parametrize("of", curves.KINDS)
def test_curves_of_an_image_with_one_column(of):
    scene = {"input": image(0, (9, 1)), "a": image(1, (9, 1)), "reference": image(2, (9, 1))}
    assert curves.draw_curves({"1": scene}, of=of, model="a").ndim == 3


def test_a_region_smaller_than_a_pixel_of_the_input_shows_that_pixel():
    large = image(0, (8, 8))
    cells = {"input": large[::4, ::4], "ours": large}
    layout = grid.Layout("ours", width=16, crops=[Region("stated", 4, 4, 1)])
    figure = grid.draw_grid([grid.Scene("1", cells)], layout)
    np.testing.assert_array_equal(figure[-8, 8], large[4, 4])


def test_a_long_narrow_photo_is_reduced_to_at_least_one_row(tmp_path):
    write_image(tmp_path / "line.png", image(0, (1, 2000)) / np.float32(255))
    assert maps._read(str(tmp_path / "line.png"), 640).shape == (1, 640, 3)


@pytest.mark.parametrize("of", curves.KINDS)
def test_each_command_writes_its_figure(folders, tmp_path, of):
    output = tmp_path / "figure.png"
    assert main(["curves", *folders, "--of", of, "--count", "3", "--output", str(output)]) == 0
    assert read_rgb_uint8(output).shape[1] == 2 * curves.SIZE[0] + 4 + 16


def test_the_grid_command_shows_the_chosen_methods_and_images(folders, tmp_path):
    output = tmp_path / "figure.png"
    options = ["--images", "2", "--only", "input", "b", "reference", "--scores", "psnr_rgb", "--width", "100"]
    assert main(["grid", *folders, *options, "--below", "difference", "error", "--output", str(output)]) == 0
    assert read_rgb_uint8(output).shape[1] == 3 * 100 + 2 * 4 + 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "7"], "--images 7: not in every folder; 1, 2, 3 are"),
        (["--only", "c"], "--only c: known: input, a, b, reference"),
        (["--crop", "1,2"], "--crop takes X,Y,SIDE"),
        (["--crop", "120,0,32"], "--crop 120,0,32: outside an image of 128x96"),
        (["--row", "96"], "--row 96: the image 1 has rows 0 to 95"),
        (["--detections", "nothing"], "no detections/METHOD.json"),
    ],
)
def test_errors_of_the_grid_name_the_argument(folders, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        main(["grid", *folders, *options, "--output", str(tmp_path / "figure.png")])


def test_a_folder_without_an_evaluation_is_named(tmp_path):
    missing = str(tmp_path / "eval")
    with pytest.raises(UserError, match=rf"^{missing}: no evaluation \(metrics.json\) found; .*NAME=FOLDER$"):
        main(["grid", missing, "--output", str(tmp_path / "figure.png")])


def test_an_evaluation_without_images_says_how_to_write_them(tmp_path):
    folder = evaluation(tmp_path / "eval")
    with pytest.raises(UserError, match="evaluate again with"):
        main(["grid", folder, "--output", str(tmp_path / "figure.png")])


def test_a_damaged_evaluation_is_named(tmp_path):
    (tmp_path / "eval" / "images").mkdir(parents=True)
    (tmp_path / "eval" / "metrics.json").write_text('{"model": ')
    with pytest.raises(UserError, match=r"metrics\.json: not the metrics.json of an evaluation"):
        main(["grid", str(tmp_path / "eval"), "--output", str(tmp_path / "figure.png")])


def test_an_evaluation_gives_the_input_the_methods_and_the_reference(tmp_path):
    folder = evaluation(tmp_path / "eval")
    for method in ("reference", "m", "gamma", "input"):
        write_image(tmp_path / "eval" / "images" / method / "1.png", image(1) / np.float32(255))
    args = grid_arguments([folder])
    assert list(grid.methods.open_methods(args).paths) == ["input", "gamma", "m", "reference"]
    assert grid.methods.open_methods(args).model == "m"


def grid_arguments(arguments):
    flags = argparse.ArgumentParser()
    COMMANDS["grid"].add_arguments(flags)
    return flags.parse_args(arguments)


def test_detections_are_drawn_on_their_images(folders, tmp_path):
    entry = {"file_name": "1", "category": "cat", "bbox": [32, 24, 64, 48], "score": 0.9}
    weak = entry | {"score": 0.1, "bbox": [0, 0, 128, 96]}
    (tmp_path / "found" / "detections").mkdir(parents=True)
    (tmp_path / "found" / "detections" / "a.json").write_text(json.dumps([entry, weak]))
    args = grid_arguments([*folders, "--images", "1", "--crops", "0", "--width", "128", "--only", "b", "a"])
    plain = grid.draw(args)
    args.detections = tmp_path / "found"
    marked = grid.draw(args)
    changed = np.flatnonzero((plain != marked).any(-1).any(0))
    assert (changed.min(), changed.max()) == (132 + 32, 132 + 95)


def test_detections_of_a_cascade_are_found_under_the_name_of_its_file(folders, tmp_path):
    (tmp_path / "found" / "detections").mkdir(parents=True)
    entry = {"file_name": "1", "category": "cat", "bbox": [32, 24, 64, 48], "score": 0.9}
    (tmp_path / "found" / "detections" / "a_2.json").write_text(json.dumps([entry]))
    args = grid_arguments([*folders, "--images", "1"])
    chosen = grid.methods.open_methods(args)
    chosen = dataclasses.replace(chosen, paths={"a=>2": chosen.paths["a"]})
    found = grid._read_boxes(tmp_path / "found", chosen, 0.3)
    assert found["a=>2"]["1"].labels == ["cat"]
