"""Camera raw files to images: brightness, phase, tiles, orientation, bad files. The network is a stand-in."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.raw_files import (
    brightness,
    restore_raw_files,
    shared_amplification,
)
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models.red.task import REDTask
from ultrabm_jax.raw.amplification import amplification, amplification_code, amplification_paper
from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng

MOSAIC = np.random.default_rng(0).uniform(0, 0.01, (90, 70)).astype(np.float32)


class Stub(nn.Module):
    """RED's interface; each colour is the mean of a 2x2 cell's samples, times a level."""

    weight_norm: bool = True
    xtrans: str = "mosaic"
    multiple: int = 32
    period: int = 2
    scale: int = 1

    @nn.compact
    def __call__(self, low):
        b, h, w, _ = low.shape
        gain = self.param("level", nn.initializers.ones, ())
        cells = low.reshape(b, h // 2, 2, w // 2, 2)
        rgb = jnp.stack([cells[:, :, 0, :, 0], cells[:, :, 0, :, 1], cells[:, :, 1, :, 1]], axis=-1) * gain
        return {"restored": jnp.repeat(jnp.repeat(rgb, 2, 1), 2, 2)}


@pytest.fixture(scope="module")
def stub():
    return Restorer(REDTask(Stub()), {"params": {"level": np.float32(1)}}, tile=0)


@pytest.fixture
def raw_file(tmp_path):
    def write(name="night.dng", pattern=BAYER, **options):
        values = np.round(MOSAIC[:84, :66] * 15871 + 512).astype(np.uint16)
        write_dng(tmp_path / name, values, pattern=pattern, black=512, white=16383, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("auto", None), ("auto", [None])),
        (("paper", None), ("paper", [None])),
        (("250", None), (250.0, [None])),
        (("auto", [1, 5, 8]), ("auto", [1, 5, 8])),
    ],
)
def test_flags(flags, expected):
    assert brightness(*flags) == expected


@pytest.mark.parametrize(
    ("amplify", "m"), [("much", None), ("-3", None), ("nan", None), ("auto", [0.0]), ("2", [np.inf])]
)
def test_bad_flags(amplify, m):
    with pytest.raises(UserError, match="--amplify"):
        brightness(amplify, m)


def test_frames_of_a_clip_share_the_geometric_mean_of_their_amplifications(tmp_path):
    levels = (100, 400, 900)
    for k, level in enumerate(levels):
        values = np.full((84, 66), 512 + level, np.uint16)
        write_dng(tmp_path / f"{k}.dng", values, pattern=BAYER, black=512, white=16383)
    jobs = plan([tmp_path], tmp_path / "out", extensions={".dng"})
    alone = [amplification("auto", np.full((84, 66), level / 15871, np.float32), 5) for level in levels]
    assert shared_amplification(jobs, "auto", [5]) == pytest.approx(np.prod(alone) ** (1 / 3), rel=1e-4)
    assert shared_amplification(jobs, "20", None) == pytest.approx(20)
    with pytest.raises(UserError, match="give one --m"):
        shared_amplification(jobs, "auto", [1, 5])


def test_bright_file_is_not_amplified_without_m():
    dark, bright = MOSAIC, np.full((8, 8), 0.6, np.float32)
    assert amplification("auto", dark) == pytest.approx(5 * amplification("auto", dark, 1.0))
    assert amplification("auto", bright) == 1
    assert amplification("auto", bright, 5.0) == 5
    assert amplification("paper", dark) == amplification_paper(dark, m=0.5)
    assert amplification(250.0, dark) == 250


@pytest.mark.parametrize(
    ("amplify", "base"),
    [("auto", amplification_code), ("paper", lambda x: amplification_paper(x, m=1)), ("3", lambda x: 3)],
)
def test_each_brightness_gives_a_file_of_the_amplified_mosaic(tmp_path, stub, raw_file, amplify, base):
    path = raw_file()
    jobs = plan([path], tmp_path / "out")
    assert restore_raw_files(stub, jobs, amplify=amplify, m=[1, 4]) == 0
    mosaic = (np.round(MOSAIC[:84, :66] * 15871 + 512) - 512).astype(np.float32) / 15871
    red = np.repeat(np.repeat(mosaic[::2, ::2], 2, 0), 2, 1)
    for m in (1, 4):
        with Image.open(tmp_path / "out" / f"night_m{m}.png") as image:
            expected = np.clip(red * base(mosaic) * m, 0, 1) * 255
            np.testing.assert_allclose(np.asarray(image)[..., 0], expected, atol=0.51)
    assert restore_raw_files(stub, jobs, amplify=amplify, m=[2]) == 0
    assert (tmp_path / "out" / "night.png").exists()


@pytest.mark.parametrize(("m", "noted"), [([1], False), ([1e6], True), ([1, 1e6], False)])
def test_a_file_that_is_burnt_out_has_a_note(tmp_path, stub, raw_file, capsys, m, noted):
    path = raw_file()
    restore_raw_files(stub, plan([path], tmp_path / "out"), amplify="1", m=m)
    assert (f"note: {path}: the amplification burns out " in capsys.readouterr().err) == noted


def test_outputs_that_exist_are_kept(tmp_path, stub, raw_file, capsys):
    jobs = plan([raw_file()], tmp_path / "out")
    restore_raw_files(stub, jobs, m=[1, 4])
    (tmp_path / "out" / "night_m1.png").unlink()
    restore_raw_files(stub, jobs, m=[1, 4])
    assert (tmp_path / "out" / "night_m1.png").exists()
    restore_raw_files(stub, jobs, m=[1, 4])
    assert "1 kept" in capsys.readouterr().err


def test_brightnesses_with_one_name_are_refused(tmp_path, stub, raw_file):
    with pytest.raises(UserError, match=r"/night_m2\.png: two outputs would have this name$"):
        restore_raw_files(stub, plan([raw_file()], tmp_path / "out"), m=[2, 2.0000001])
    assert not (tmp_path / "out").exists()


def test_tiles_of_a_local_network_equal_the_whole_image(stub):
    tiled = Restorer(stub.task, {"params": {"level": np.float32(1)}}, tile=64, overlap=0)
    amplified = 50 * MOSAIC[..., None]
    expected = stub.restore(amplified)
    assert expected.shape == (90, 70, 3)
    np.testing.assert_allclose(tiled.restore(amplified), expected, atol=1e-6)


def test_a_phase_other_than_rggb_is_cropped(tmp_path, stub, raw_file):
    path = raw_file(pattern=np.roll(BAYER, (1, 1), (0, 1)))
    assert restore_raw_files(stub, plan([path], tmp_path / "out"), amplify="1") == 0
    with Image.open(tmp_path / "out" / "night.png") as image:
        assert image.size == (65, 83)


UPRIGHT = {
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 3),
    7: lambda x: np.rot90(x.swapaxes(0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_written_upright(tmp_path, stub, raw_file, orientation):
    """EXIF 6: the camera's rows are shown as columns from right to left, a rotation by 90 degrees clockwise."""
    paths = [raw_file("flat.dng"), raw_file("turned.dng", orientation=orientation)]
    assert restore_raw_files(stub, plan(paths, tmp_path / "out"), amplify="50") == 0
    flat, turned = (np.asarray(Image.open(tmp_path / "out" / f"{name}.png")) for name in ("flat", "turned"))
    np.testing.assert_array_equal(turned, UPRIGHT[orientation](flat))


def test_each_failure_gives_one_line(tmp_path, stub, raw_file, capsys):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.ARW").write_bytes((tmp_path / "photo.jpg").read_bytes())
    (tmp_path / "cut.dng").write_bytes(raw_file().read_bytes()[:400])
    paths = [tmp_path / name for name in ("photo.jpg", "photo.ARW", "cut.dng", "absent.ARW", "night.dng")]
    assert restore_raw_files(stub, plan(paths, tmp_path / "out"), m=[1]) == 4
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 4
    for path, error in zip(paths, errors, strict=False):
        assert path.name in error


def test_xtrans_network_refuses_bayer_files(tmp_path, stub, raw_file, capsys):
    nine = Restorer(REDTask(Stub(xtrans="pack9", period=6)), {"params": {"level": np.float32(1)}}, tile=0)
    assert restore_raw_files(nine, plan([raw_file()], tmp_path / "out")) == 1
    assert "xtrans=pack9" in capsys.readouterr().err
    assert restore_raw_files(nine, plan([raw_file("x.dng", XTRANS)], tmp_path / "out")) == 0


def test_weight_normalisation_is_folded():
    class Probe(Stub):
        @nn.compact
        def __call__(self, low):
            assert not self.weight_norm
            assert not self.has_variable("params", "gain")
            return {"restored": jnp.repeat(low, 3, axis=-1) * self.get_variable("params", "kernel")[0]}

    variables = {"params": {"kernel": np.ones((1, 3), np.float32), "gain": np.full(3, 0.5, np.float32)}}
    restorer = Restorer(REDTask(Probe()), variables)
    np.testing.assert_allclose(restorer(np.ones((32, 32, 1), np.float32)), 0.5)
