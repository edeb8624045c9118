"""Finds the experiment file that --config names: a path, or the name of a file of configs/ without its extension."""

from __future__ import annotations

from pathlib import Path

from ultrabm_jax.errors import UserError, did_you_mean

ROOT = Path(__file__).resolve().parents[1]  # of the repository, unless the package is installed


def find_config_file(given: str) -> str:
    """The path of the experiment file, with the argument after ":" if there is one.

    A name such as `quickstart` means configs/quickstart.py, in the working directory or in this repository. Raises
    UserError if there is no such file, listing those that exist.
    """
    text, colon, argument = given.partition(":")
    path = Path(text)
    if path.is_file():
        return given
    folders = _config_folders() if path.parent == Path() else []
    named = {file.stem: file for folder in reversed(folders) for file in _experiments(folder)}
    stem = path.name.removesuffix(".py")
    if stem in named:
        return f"{named[stem]}{colon}{argument}"
    others = sorted(map(str, _experiments(path.parent))) if path.suffix == ".py" else sorted(named)
    elsewhere = "name one of configs/ in a checkout of the repository, or run the command there"
    listed = f"there are: {', '.join(others)}" if others else elsewhere
    raise UserError(f"--config: {path} is not a file; {listed}{did_you_mean(stem, named)}")


def _config_folders() -> list[Path]:
    """The folders of named experiments, in order of precedence; an installed package has none of its own."""
    folders = [Path("configs")]
    return folders + ([ROOT / "configs"] if (ROOT / "train.py").is_file() else [])


def _experiments(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if not path.name.startswith("_")]


def config_names() -> list[str]:
    """The names of all experiments of configs/, sorted; comparisons of runs (compare_*) are none."""
    files = {file.stem for folder in _config_folders() for file in _experiments(folder)}
    return sorted(name for name in files if not name.startswith("compare_"))
