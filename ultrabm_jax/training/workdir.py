"""The contents of a workdir, and its config.

    config.json          the config of the newest start and the package versions
    earlier_configs/     STEP.json: a config that was replaced when the run resumed from STEP
    checkpoints/STEP/    parameters, optimiser, moving average, step, score (checkpoints.py)
    frozen/              variables of the frozen extractor; no other file is needed to restore images (frozen.py)
    train.jsonl          scalars
    damaged/STEP/        checkpoints set aside: changed since they were written, or after a rollback
    rollbacks.json       first non-finite step of each rollback to an earlier checkpoint (rollback.py)
    lock                 host and process of the run that is using the workdir

The workdir is a folder on disk or in a bucket (buckets.py); there it has no checksums, and nothing enforces the lock.

The data loader has no saved state: example n of a run is a function of the seed and n.
"""

from __future__ import annotations

import itertools
import json

import jax
from ml_collections import ConfigDict

from ultrabm_jax.buckets import AnyPath, replace_text
from ultrabm_jax.config import sections
from ultrabm_jax.deprecation import SavedConfig, rename_saved
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.versions import package_versions

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
# Fields of config.model that may differ between runs in one workdir.
FREE_MODEL_FIELDS = ("dtype", "remat")


def check_config(workdir: AnyPath, config: ConfigDict) -> ConfigDict | None:
    """The config of the run in `workdir`, or None without a run. Raises UserError if it is one of another model."""
    if not (workdir / "config.json").exists():
        return None
    earlier = read_run_config(workdir)
    ours, theirs = json.loads(config.to_json_best_effort())["model"], earlier.model.to_dict()
    added = sections(config.model.name).get("model")
    if isinstance(added, ConfigDict):  # fields that were added since the run have today's defaults
        theirs |= {field: value for field, value in added.items() if field in ours and field not in theirs}
    different = [f for f in sorted({*ours, *theirs} - {*FREE_MODEL_FIELDS}) if ours.get(f) != theirs.get(f)]
    if different:
        changes = ", ".join(f"model.{f} is {theirs.get(f)!r} there, {ours.get(f)!r} here" for f in different)
        raise UserError(f"{workdir} holds another model's run: {changes}; use another --workdir")
    return earlier


def write_config(workdir: AnyPath, config: ConfigDict, *, step: int = 0) -> None:
    """Writes config.json atomically, and keeps another one that is there. Only the first process writes.

    step: the one that the run starts from.
    """
    if jax.process_index() > 0:
        return
    path = workdir / "config.json"
    content = {"config": json.loads(config.to_json_best_effort()), "versions": versions()}
    text = json.dumps(content, indent=2) + "\n"
    earlier = path.read_text() if path.exists() else None
    if earlier == text:
        return
    if earlier is not None:
        _keep_config(workdir / "earlier_configs", earlier, step)
    replace_text(path, text)


def _keep_config(folder: AnyPath, text: str, step: int) -> None:
    """Writes STEP.json, or STEP.2.json and so on if another start resumed from the same step."""
    folder.mkdir(exist_ok=True)
    for number in itertools.count(1):
        path = folder / (f"{step}.json" if number == 1 else f"{step}.{number}.json")
        if not path.exists():
            replace_text(path, text)
            return
        if path.read_text() == text:  # a start that was killed before it replaced config.json
            return


def read_run_config(workdir: AnyPath) -> ConfigDict:
    """The config of the run in `workdir`. Fields added since it was written have their defaults.

    Raises UserError if the config is missing or damaged.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{workdir} holds no run: config.json is missing; train one with train.py --workdir {workdir}")
    return parse_run_config(path.read_text(), path, remedy="restore it, or use another --workdir")


def parse_run_config(text: str, path: AnyPath, *, remedy: str) -> ConfigDict:
    """The config in `text`, the content of a run's config.json or of a bundled model's NAME.json at `path`.

    Fields added since it was written have their defaults. Raises UserError, which ends with `remedy`, if it is damaged.
    """
    try:
        config = json.loads(text)["config"]
        config["model"]["name"], config["eval"]["best"]
        renamed = rename_saved(config)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error!r}; {remedy}") from error
    if renamed:
        logger.info("note: %s is from an earlier release; renamed: %s", path, ", ".join(renamed))
    return ConfigDict(_with_defaults(config))


def _with_defaults(config: SavedConfig) -> SavedConfig:
    known = sections(config["model"]["name"])
    known["model"] = {}  # a saved config has all fields of its own model
    saved = {name: value.to_dict() if isinstance(value, ConfigDict) else value for name, value in known.items()}
    merged = {name: value | config.get(name, {}) for name, value in saved.items() if isinstance(value, dict)}
    return saved | config | merged


def versions() -> dict[str, str]:
    """Versions of the packages that affect results."""
    return package_versions(PACKAGES)
