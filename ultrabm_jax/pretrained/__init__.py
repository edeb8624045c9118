"""Models that the package contains, by name: three files each, made by `python -m ultrabm_jax.tools.bundle`.

    NAME.safetensors    arrays by path: "params/.../kernel" and, for a frozen semantic extractor, "frozen/..."
    NAME.json           {"config", "versions"} of the run, "step" of the checkpoint, "selection": how it was chosen,
                        "fingerprint" of the arrays and the config, which were compared with each other
    NAME.md             card: data and licence, training, results, failure cases

`ultrabm_jax.load_pretrained` loads one; this package only finds the files.
"""

from __future__ import annotations

from pathlib import Path

from ultrabm_jax.errors import UserError

FOLDER = Path(__file__).parent
WEIGHTS, METADATA, CARD = ".safetensors", ".json", ".md"
DEFAULT_MODEL = "lw_drgn_photo"  # of restore.py and `load_pretrained`
ENLARGING_MODELS = {2: "ultrabm_small_photo_x2"}  # the default models for photos that enlarge, by scale
MAX_BYTES = 3_000_000  # of the weights of one model


def list_pretrained() -> list[str]:
    """The names of the models that the package contains, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob(f"*{WEIGHTS}"))


def pretrained_weights(name: str) -> Path:
    """The safetensors file of a bundled model. Raises UserError for an unknown name, listing the known ones."""
    if name not in list_pretrained():
        raise UserError(f"unknown pretrained model {name!r}; {known_pretrained()}")
    return FOLDER / f"{name}{WEIGHTS}"


def known_pretrained() -> str:
    """The names of the models, for an error message."""
    return f"known: {', '.join(list_pretrained()) or 'none in this release'}"
