import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.inference.files import restore_files
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.restorer import Restorer


@pytest.fixture
def restorer(network):
    return Restorer(*network)


def photo(path, mode="RGB", size=(9, 6), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), np.uint8)
    image = Image.fromarray(values)
    (image if mode.endswith("A") else image.convert("RGB")).convert(mode).save(path)
    return path


def names(jobs, output):
    return [str(job.target.relative_to(output)) for job in jobs]


def test_folder_keeps_its_tree_and_skips_other_files(tmp_path):
    photo(tmp_path / "in" / "b.JPG")
    photo(tmp_path / "in" / "sub" / "a.webp")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    jobs = plan([tmp_path / "in"], tmp_path / "out")
    assert names(jobs, tmp_path / "out") == ["b.png", "sub/a.png"]


def test_inputs_with_equal_stems_get_distinct_outputs(tmp_path):
    paths = [tmp_path / p for p in ("x/a.jpg", "x/a.png", "y/A.JPG", "x/b.jpg", "x/a_jpg.jpg")]
    out = tmp_path / "out"
    targets = names(plan(paths, out), out)
    assert len({t.lower() for t in targets}) == len(paths)
    assert targets[1] == "a_png.png"
    assert targets[3:] == ["b.png", "a_jpg.png"]
    assert names(plan([paths[0], paths[0]], out), out) == ["a.png"]


def test_an_input_is_never_overwritten(tmp_path, restorer):
    path = photo(tmp_path / "a.png")
    before = path.read_bytes()
    for output in (tmp_path, tmp_path / "sub" / ".."):
        (job,) = plan([path], output)
        assert job.target.name == "a_restored.png"
        assert restore_files(restorer, [job], overwrite=True) == 0
        assert path.read_bytes() == before
    (tmp_path / "link.png").symlink_to("a.png")
    for name in ("a.png", "link.png"):
        with pytest.raises(UserError, match="would replace an input"):
            plan([path], tmp_path / name)


def test_outputs_inside_the_input_folder_are_not_inputs_of_the_next_run(tmp_path, restorer):
    photo(tmp_path / "a.jpg")
    jobs = plan([tmp_path], tmp_path / "out")
    assert restore_files(restorer, jobs) == 0
    assert plan([tmp_path], tmp_path / "out") == jobs


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no images in this folder"):
        plan([tmp_path], tmp_path / "out")


def test_unreadable_file_gives_one_line_and_others_are_restored(tmp_path, restorer, capsys):
    good = [photo(tmp_path / "a.png"), photo(tmp_path / "z.png")]
    (tmp_path / "broken.png").write_bytes(good[0].read_bytes()[:60])
    jobs = plan([good[0], tmp_path / "broken.png", tmp_path / "missing.png", good[1]], tmp_path / "out")
    assert restore_files(restorer, jobs) == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".restore.jsonl", "a.png", "z.png"]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [("broken.png" in line, "missing.png" in line) for line in errors] == [(True, False), (False, True)]


def test_existing_output_is_kept_unless_overwrite(tmp_path, restorer, capsys):
    jobs = plan([photo(tmp_path / "a.png")], tmp_path / "out")
    restore_files(restorer, jobs)
    before = jobs[0].target.stat()
    assert restore_files(restorer, jobs) == 0
    assert jobs[0].target.stat() == before
    assert "1 kept" in capsys.readouterr().err
    jobs[0].target.write_bytes(b"mine")  # neither kept nor replaced
    assert restore_files(restorer, jobs) == 1
    assert jobs[0].target.read_bytes() == b"mine"
    restore_files(restorer, jobs, overwrite=True)
    assert read_image(jobs[0].target).rgb.shape == (12, 18, 3)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_all_modes_give_rgb_with_alpha_and_neutral_gray(tmp_path, restorer, mode, bits):
    jobs = plan([photo(tmp_path / "a.png", mode)], tmp_path / "out")
    assert restore_files(restorer, jobs, bits=bits) == 0
    restored = read_image(jobs[0].target)
    assert restored.rgb.shape == (12, 18, 3)
    assert restored.bits == bits
    assert (restored.alpha is not None) == mode.endswith("A")
    if mode.startswith("L"):
        assert np.ptp(restored.rgb, axis=-1).max() == 0
    if restored.alpha is not None:
        before = read_image(tmp_path / "a.png").alpha
        assert abs(restored.alpha.mean() - before.mean()) < 0.05


def test_network_errors_name_the_file_in_one_line(tmp_path, capsys):
    def fail(low):
        raise UserError("values that are not finite")

    path = photo(tmp_path / "a\nb\x1b.png")
    assert restore_files(fail, plan([path], tmp_path / "out")) == 1
    assert r"a\nb\x1b.png: values that are not finite" in capsys.readouterr().err
