"""Commands that read and write local files say so when they are given a URL."""

import importlib
from pathlib import Path

import pytest

from ultrabm_jax.cli import local_name, local_path

S3 = "s3://bucket/night"
CASES = [
    ("ultrabm_jax.commands.restore", [S3]),
    ("ultrabm_jax.commands.restore", ["a.png", "--output", S3]),
    ("ultrabm_jax.commands.restore", ["a.png", "--model", "ultrabm", "--weights", S3]),
    ("ultrabm_jax.metrics.__main__", [f"ours={S3}", "reference"]),
    ("ultrabm_jax.metrics.__main__", ["ours=out", S3]),
    ("ultrabm_jax.metrics.__main__", ["ours=out", "--low", S3]),
    ("ultrabm_jax.metrics.__main__", ["ours=out", "--method", f"theirs={S3}"]),
    ("ultrabm_jax.metrics.__main__", ["ours=out", "--table", S3]),
    ("ultrabm_jax.detection.__main__", ["--images", f"dark={S3}", "--output", "out"]),
    ("ultrabm_jax.export.__main__", ["sci", "--format", "onnx", "--output", S3]),
    ("ultrabm_jax.report.tables", [S3]),
    ("ultrabm_jax.tools.degrade", [S3, "--workdir", "runs/drgn", "--output", "out"]),
    ("input_pipeline.pack", ["lol", S3, "--output", "lol.zip"]),
    ("input_pipeline.pack", ["lol", "LOL", "--output", S3]),
    ("input_pipeline.darken", [S3, "--output", "dark"]),
    ("input_pipeline.darken", ["a.png", "--output", S3]),
    ("input_pipeline.synthesize_sid", ["a.png", "--output", S3]),
]


@pytest.mark.parametrize(("module", "arguments"), CASES)
def test_a_url_is_refused_before_anything_is_read_or_written(module, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(module).main(arguments)
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{S3}: this must be a path on a disk, not a URL; copy" in line
    assert line.endswith("with `aws s3 cp` (a folder: --recursive)")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "how"),
    [
        ("gs://bucket/x", "copy between disk and store with `gcloud storage cp -r`"),
        ("https://example.org/x.png", "download it first"),
    ],
)
def test_the_message_says_how_to_get_the_files(url, how):
    with pytest.raises(Exception, match=rf"^{url}: this must be a path on a disk, not a URL; {how}$"):
        local_path(url)


@pytest.mark.parametrize("text", ["a.png", "runs/x:y", "ours=out/a", "gs:/x", "/data/a=b/c"])
def test_paths_on_disk_are_taken_as_they_are(text):
    assert local_name(text) == text
    assert local_path(text) == Path(text)
