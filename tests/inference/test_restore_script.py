import numpy as np
import pytest
from PIL import Image

import restore
from ultrabm_jax import cli
from ultrabm_jax.errors import UserError


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


@pytest.mark.parametrize(
    ("text", "expected"), [("scale=4", 4), ("fsi=False", False), ("compat=ultrais", "ultrais"), ("a=b=c", "b=c")]
)
def test_option(text, expected):
    assert restore.option(text)[1] == expected


def test_user_error_gives_one_line_and_status_one(capsys):
    args = restore.parser().parse_args(["--model", "ultrabm", "a.png", "--output", "o"])
    assert cli.run(lambda: restore.load(args)) == 1
    assert capsys.readouterr().err == "error: --model needs --weights FILE.pth\n"
    with pytest.raises(UserError, match="KEY=VALUE"):
        restore.option("scale")


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
    monkeypatch.setattr("ultrabm_jax.weights.load_torch", lambda path: {})
    flags = ["--model", "ultrabm", "--weights", "w.pth", "--scale", "4", *given, "a.png", "--output", "o"]
    restore.load(restore.parser().parse_args(flags))
    assert seen == [{"compat": compat, "semantic": "hrnet_w48", "scale": 4}] * 2
