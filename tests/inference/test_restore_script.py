import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import cli
from ultrabm_jax.commands import restore, restore_models
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image
from ultrabm_jax.image.exposure import expose
from ultrabm_jax.inference.named import known_models
from ultrabm_jax.weights import save_torch


@pytest.fixture
def image(tmp_path, network, monkeypatch):
    monkeypatch.setattr(restore, "load", lambda args: network)
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    Image.fromarray(np.full((5, 4, 3), 9, np.uint8)).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def test_photo_is_restored_to_png(image, tmp_path):
    assert restore.main(["--workdir", "w", str(image), "--output", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "a.png") as restored:
        assert restored.size == (8, 10)


def test_exit_status_is_one_if_an_image_failed(image, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    assert restore.main(["--workdir", "w", str(bad), str(image), "--output", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "a.png").exists()


def test_exposure_is_that_of_the_restored_photo(image, tmp_path):
    for stops in ("0", "1", "-1"):
        flags = ["--workdir", "w", str(image), "--output", str(tmp_path / stops / "a.png")]
        assert restore.main([*flags, "--exposure", stops]) == 0
    plain, brighter, darker = (read_image(tmp_path / stops / "a.png").rgb for stops in ("0", "1", "-1"))
    np.testing.assert_allclose(brighter, expose(plain, 1), atol=2 / 255)
    np.testing.assert_allclose(darker, expose(plain, -1), atol=2 / 255)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--m", "2"], "are for camera raw files; photos have --exposure"),
        (["--amplify", "100"], "are for camera raw files; photos have --exposure"),
        (["--exposure", "nan"], "from -20 to 20, not nan"),
    ],
)
@pytest.mark.parametrize("model", [["--workdir", "w"], ["--model", "gamma"], []])
def test_flags_that_a_photo_would_ignore_are_refused(image, tmp_path, flags, message, model):
    with pytest.raises(UserError, match=message):
        restore.main([*model, str(image), "--output", str(tmp_path / "out"), *flags])


def test_exposure_is_refused_for_camera_raw_files(image, tmp_path):
    (tmp_path / "a.dng").write_bytes(b"")
    with pytest.raises(UserError, match="--exposure is for photos; camera raw files have --m"):
        restore.main(["--exposure", "1", str(tmp_path / "a.dng"), "--output", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("text", "expected"), [("scale=4", 4), ("fsi=False", False), ("compat=ultrais", "ultrais"), ("a=b=c", "b=c")]
)
def test_option(text, expected):
    assert restore_models.option(text)[1] == expected


def test_user_error_gives_one_line_and_status_one(capsys):
    args = restore.parser().parse_args(["--model", "ultrabm", "a.png", "--output", "o"])
    assert cli.run(lambda: restore.load(args)) == 1
    assert capsys.readouterr().err == (f"error: --model ultrabm needs --weights FILE.pth; {known_models('ultrabm')}\n")
    with pytest.raises(UserError, match="KEY=VALUE"):
        restore_models.option("scale")


def test_compilation_cache_can_be_moved_and_disabled(monkeypatch, tmp_path):
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    assert cli.compilation_cache_folder() is None
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", str(tmp_path))
    assert cli.compilation_cache_folder() == tmp_path
    monkeypatch.delenv("ULTRABM_COMPILATION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.compilation_cache_folder() == tmp_path / "ultrabm_jax" / "compiled"


@pytest.mark.parametrize(("given", "compat"), [([], "ultrais"), (["--option", "compat=paper"], "paper")])
def test_foreign_checkpoint_uses_the_released_options(monkeypatch, given, compat):
    seen = []
    monkeypatch.setattr("ultrabm_jax.models.create_model", lambda name, **options: seen.append(options))
    monkeypatch.setattr("ultrabm_jax.weights.from_torch", lambda name, state_dict, **options: seen.append(options))
    monkeypatch.setattr("ultrabm_jax.weights.load_torch", lambda path, key: {})
    flags = ["--model", "ultrabm", "--weights", "w.pth", "--scale", "4", *given, "a.png", "--output", "o"]
    restore.load(restore.parser().parse_args(flags))
    assert seen == [{"compat": compat, "semantic": "hrnet_w48", "scale": 4}] * 2


@pytest.mark.parametrize("key", [None, "params", "params_ema", "old.params"])
def test_the_key_inside_a_checkpoint_is_chosen_by_a_flag(monkeypatch, tmp_path, key):
    network, average, old = ({"conv.weight": np.full((2, 3), level, np.float32)} for level in (1, 2, 3))
    save_torch(tmp_path / "net.pth", {"params": network, "params_ema": average, "old": {"params": old}})
    seen = []
    monkeypatch.setattr("ultrabm_jax.models.create_model", lambda name, **options: None)
    monkeypatch.setattr("ultrabm_jax.weights.from_torch", lambda name, state_dict, **options: seen.append(state_dict))
    flags = ["--model", "ultrabm", "--weights", str(tmp_path / "net.pth"), "a.png", "--output", "o"]
    restore.load(restore.parser().parse_args(flags if key is None else [*flags, "--weights-key", key]))
    level = {None: 2, "params": 1, "params_ema": 2, "old.params": 3}[key]
    np.testing.assert_array_equal(seen[0]["conv.weight"], np.full((2, 3), level))


def test_a_wrong_key_lists_those_of_the_file(tmp_path):
    save_torch(tmp_path / "net.pth", {"params": {"conv.weight": np.ones((2, 3), np.float32)}})
    flags = [
        "--model",
        "ultrabm",
        "--weights",
        str(tmp_path / "net.pth"),
        "--weights-key",
        "ema",
        "a.png",
        "--output",
        "o",
    ]
    with pytest.raises(
        UserError, match=r"no named tensors below 'ema'; its keys: params \(a dictionary of 1 tensors\)"
    ):
        restore.load(restore.parser().parse_args(flags))


@pytest.mark.parametrize("model", [[], ["--workdir", "w"], ["--model", "gamma"], ["--model", "lw_drgn_photo"]])
@pytest.mark.parametrize("flag", [["--weights-key", "ema"], ["--option", "fsi=False"]])
def test_flags_of_weights_are_refused_without_them(model, flag):
    with pytest.raises(UserError, match="--option and --weights-key go with --weights; a "):
        restore.main([*model, *flag, "a.png", "--output", "o"])
