"""The frozen variables of a run's model in its workdir (the extractor's), which a run writes once."""

from __future__ import annotations

import jax
import orbax.checkpoint as ocp

from ultrabm_jax.buckets import COMMITTED, AnyPath, in_bucket
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.training.distributed import broadcast_flag
from ultrabm_jax.typing import PyTree, Variables


def save_frozen(workdir: AnyPath, frozen: Variables) -> None:
    """Saves the frozen variables that the model needs, unless they are saved already.

    Orbax renames the finished folder into place, so a killed run leaves no incomplete one under this name; in a bucket
    it adds COMMITTED at the end, and an incomplete one is saved again.
    """
    if "model" in frozen and not broadcast_flag(_is_saved(workdir)):  # saved by all processes together
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(workdir / "frozen", frozen["model"], force=True)


def load_frozen(workdir: AnyPath) -> PyTree | None:
    """The model's frozen variables on this process's first device, or None if it has none."""
    if not _is_saved(workdir):
        return None
    with ocp.StandardCheckpointer() as checkpointer:
        try:
            saved = checkpointer.metadata(workdir / "frozen").item_metadata
            if saved is None:
                raise FileNotFoundError("the list of its arrays is missing")
            return checkpointer.restore(workdir / "frozen", on_one_device(saved.tree))
        except (ValueError, OSError, KeyError) as error:
            raise UserError(
                f"{workdir / 'frozen'} is damaged ({first_line(error)}); delete it; the same train.py command "
                "writes it again"
            ) from error


def _is_saved(workdir: AnyPath) -> bool:
    folder = workdir / "frozen"
    return (folder / COMMITTED if in_bucket(workdir) else folder).exists()


def on_one_device(shapes: PyTree) -> PyTree:
    """A tree of shapes with this process's first device as sharding, whichever devices the arrays were saved from."""
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
