"""RED's task: amplified mosaics to RGB.

Training amplifies mosaics by the data set's exposure ratio (equation 3). When a file is restored, the amplification is
computed from the mosaic's own values (ultrabm_jax/raw/amplification.py) or given by the user. An evaluation measures
the kinds listed in config.eval.amplify:

    ratio      the exposure ratio, which is unknown for a single file                       RED, Table 1
    auto       amplification_code with amp_factor 0.05, of the mosaic's own values           RED, Table 2
    paper      amplification_paper at m = 0.5                                               RED, section 3.2
    mean       amplification_mean at m = 0.5                                                RED, equation 4, section 4.6
    KIND:M     the same at the brightness m = M, such as paper:0.1                          RED, Figure 5
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.models.red.network import pad_mosaic
from ultrabm_jax.models.red.weight_norm import fold_weight_norm
from ultrabm_jax.models.task import Task, Variant
from ultrabm_jax.raw.amplification import AUTOMATIC, amplification, parse_amplification
from ultrabm_jax.typing import Batch, HostBatch, Options, Variables


class REDTask(Task):
    """Batches hold mosaics `low` (b, h, w, 1), 0 at black and 1 at white, and their amplification `ratio` (b,).

    Without `ratio`, `low` is amplified already.
    """

    input_kind = "mosaic"
    tile = 6144
    overlap = 512  # pixels in HSE's receptive field
    shares_statistics = False

    @property
    def multiple(self) -> int:
        return int(self.model.multiple)

    @property
    def period(self) -> int:
        """Period of the filter array that the network expects."""
        return int(self.model.period)

    def batch_shapes(self, examples: int, patch: int) -> dict[str, jax.ShapeDtypeStruct]:
        """As stored for Bayer sensors: uint16 mosaics with black levels (2, 2), white level and exposure ratio."""
        return {
            **super().batch_shapes(examples, patch),
            "low": jax.ShapeDtypeStruct((examples, patch, patch, 1), jnp.uint16),
            "black": jax.ShapeDtypeStruct((examples, 2, 2), jnp.float32),
            "white": jax.ShapeDtypeStruct((examples,), jnp.float32),
            "ratio": jax.ShapeDtypeStruct((examples,), jnp.float32),
        }

    def prepare(self, variables: Variables) -> Variables:
        """Folds weight normalisation into the kernels."""
        return {"params": fold_weight_norm(variables["params"])}

    def restore(self, variables: Variables, batch: Batch) -> jax.Array:
        """(b, h, w, 3) in [0, 1]."""
        restored = self.model.clone(weight_norm=False).apply(self.prepare(variables), amplified(batch))["restored"]
        return jnp.clip(restored.astype(jnp.float32), 0, 1)

    def pad(self, low: np.ndarray) -> np.ndarray:
        """Pads as the network does, in phase with the filter array."""
        return np.asarray(pad_mosaic(jnp.asarray(low), self.multiple, period=self.period))

    def require_cfa(self, cfa: str, *, source: str) -> None:
        """A Bayer network accepts any mosaic; `xtrans="pack9"` accepts only X-Trans."""
        if self.model.xtrans == "pack9" and cfa != "xtrans":
            raise UserError(f"{source}: a Bayer mosaic, but this network expects X-Trans (xtrans=pack9)")

    def variants(self, options: ConfigDict) -> dict[str, Variant]:
        """The kinds of amplification in eval.amplify; the first has the suffix "", the others "_KIND"."""
        kinds = tuple(options.amplify)
        if not kinds:
            raise UserError(f"eval.amplify={kinds!r}: one or several of ratio, {', '.join(AUTOMATIC)}")
        parsed = [parse_amplification(kind) for kind in kinds]
        return {f"_{kinds[i]}" if i else "": partial(_amplified_by, *kind) for i, kind in enumerate(parsed)}

    @classmethod
    def first_variant(cls, options: Options) -> str:
        """The first kind of amplification, if the evaluation states it."""
        kinds = options.get("amplify")
        return f"_{kinds[0]}" if kinds else ""


def amplified(batch: Batch) -> jax.Array:
    """The mosaics times their ratio, where one is given."""
    return batch["low"] * batch["ratio"][:, None, None, None] if "ratio" in batch else batch["low"]


def _amplified_by(kind: str, m: float | None, batch: HostBatch) -> HostBatch:
    low = batch["low"]
    kinds: list[str | float] = [kind] * len(low) if kind != "ratio" else [float(ratio) for ratio in batch["ratio"]]
    ratios = [amplification(each, mosaic, m) for each, mosaic in zip(kinds, low[..., 0], strict=True)]
    return {"low": low * np.asarray(ratios, np.float32)[:, None, None, None]}
