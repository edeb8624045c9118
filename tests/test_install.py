"""The wheel: what it contains, and what importing the installed package loads and costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("tensorflow", "tensorflow_datasets", "orbax", "clu", "rawpy", "skimage", "torch")


def run(*command, cwd, **variables):
    """Standard output of a command that does not see the checkout."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    env |= {"JAX_PLATFORMS": "cpu", **variables}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the tracked files, so that untracked files cannot hide a missing one."""
    folder = tmp_path_factory.mktemp("wheel")
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    for suffix in (".safetensors", ".json", ".md"):  # the package data of a bundled model
        (folder / "source" / "ultrabm_jax" / "pretrained" / f"example{suffix}").write_text("{}")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", folder / "source", "-w", folder, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """(python, empty folder): the wheel in a virtual environment that sees this environment's packages by path."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others) + "\n")
    (folder / "elsewhere").mkdir()
    return folder / "venv" / "bin" / "python", folder / "elsewhere"


def test_the_wheel_has_the_two_libraries_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ultrabm_jax", "input_pipeline"}


def test_the_wheel_has_every_module_the_types_and_the_page(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        path.relative_to(ROOT).as_posix()
        for library in ("ultrabm_jax", "input_pipeline")
        for path in (ROOT / library).rglob("*.py")
    }
    assert modules <= names
    data = {"ultrabm_jax/py.typed", "input_pipeline/py.typed"}
    data |= {f"ultrabm_jax/report/page.{kind}" for kind in ("html", "css", "js")}
    data |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ultrabm_jax" / "pretrained").iterdir()
        if path.suffix in (".safetensors", ".json", ".md")
    }
    data |= {f"ultrabm_jax/pretrained/example{suffix}" for suffix in (".safetensors", ".json", ".md")}
    assert data <= names


def test_importing_the_installed_package_loads_nothing_heavy(installed):
    python, elsewhere = installed
    code = f"import sys, ultrabm_jax; print(ultrabm_jax.__file__); print([n for n in {HEAVY} if n in sys.modules])"
    file, loaded = run(python, "-c", code, cwd=elsewhere).splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    assert loaded == "[]"


def test_pretrained_models_of_the_installed_package_are_listed_without_loading_anything_heavy(installed):
    python, elsewhere = installed
    code = f"import sys, ultrabm_jax as u; print(u.list_pretrained()); print([n for n in {HEAVY} if n in sys.modules])"
    names, loaded = run(python, "-c", code, cwd=elsewhere).splitlines()
    assert "example" in names
    assert loaded == "[]"


def test_a_config_opens_while_another_configs_package_is_first_on_the_path(installed):
    python, elsewhere = installed
    other = elsewhere / "other" / "configs"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('the configs package of another project')\n")
    code = "from ultrabm_jax.config import default_config; print(default_config().model.name)"
    assert run(python, "-c", code, cwd=elsewhere, PYTHONPATH=str(other.parent)).strip()


def test_import_takes_less_than_one_and_a_half_times_that_of_jax_and_flax(installed):
    python, elsewhere = installed

    def seconds(code):
        timed = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
        return float(run(python, "-c", timed, cwd=elsewhere))

    seconds("import jax, flax, ultrabm_jax")  # fills the caches of byte code and of the file system
    pairs = [(seconds("import ultrabm_jax"), seconds("import jax, flax")) for _ in range(5)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert ours < 1.5 * theirs, (ours, theirs)


@pytest.mark.soak
def test_pip_installs_into_an_empty_environment(tmp_path):
    """As a user does it: every requirement from the package index."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", ROOT, cwd=tmp_path)
    code = f"import sys, ultrabm_jax; print([n for n in {HEAVY} if n in sys.modules])"
    assert run(python, "-c", code, cwd=tmp_path).strip() == "[]"
    assert run(python, "-m", "pip", "check", cwd=tmp_path)
    run(python, "-m", "ultrabm_jax.metrics", "--help", cwd=tmp_path)


def test_one_version_is_stated_everywhere():
    import ultrabm_jax

    assert f"\nversion: {ultrabm_jax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{ultrabm_jax.__version__}}}" in (ROOT / "README.md").read_text()
    assert 'version = { attr = "ultrabm_jax.versions.VERSION" }' in (ROOT / "pyproject.toml").read_text()
