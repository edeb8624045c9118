"""The interface of a network: its input, its restored output, and the variants that an evaluation measures.

Restoring, evaluation, sampling, validation and scaling access a network only through its `Task`. A paper subclasses it
next to its network (models/ultrabm/task.py, ...) where it differs from a plain RGB network; `create_task` builds it by
name. How the network is trained is its `Method` (ultrabm_jax/methods).

    task = create_task("ultrabm", scale=2, variant="small", semantic="none")
    restored = task.restore(variables, {"low": low})       # (b, s h, s w, 3) in [0, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import Batch, HostBatch, InputKind, Options, Params, Variables

Variant: TypeAlias = Callable[[HostBatch], HostBatch]  # an evaluation batch, in floats -> the inputs of the network


class Task:
    """The interface of a network; the defaults are those of a network from an RGB image to an RGB image.

    A task holds no variables, and every function is pure.

    `low` (b, h, w, c) in [0, 1] has c = 3 ("rgb") or 1 ("mosaic", black level subtracted, amplified by `ratio`).
    """

    input_kind: InputKind = "rgb"
    tile: int = 640  # by default, images of up to tile * tile low pixels are restored whole
    overlap: int = 64  # low pixels that neighbouring tiles share by default
    shares_statistics: bool = True  # layers may use statistics of the whole image, which tiles then share
    extra_options: ClassVar[tuple[str, ...]] = ()  # fields of config.model that are not options of the network

    def __init__(self, model: nn.Module, *, name: str = "") -> None:
        self.model = model
        self.name = name or type(model).__name__

    @classmethod
    def model_options(cls, model: Options) -> Options:
        """config.model -> the options of `create_model` (without its name)."""
        options = {field: value for field, value in model.items() if field not in ("name", *cls.extra_options)}
        return options | ({"dtype": jnp.dtype(options["dtype"])} if "dtype" in options else {})

    @property
    def scale(self) -> int:
        """Side of the restored image over the side of the low image."""
        return int(self.model.scale)

    @property
    def multiple(self) -> int:
        """Low pixels of the grid on which the network pads and pools; tiles start on it."""
        return 16

    @property
    def padding(self) -> int | None:
        """The network pads the sides of an image to multiples of this; None: it cannot restore one on a canvas.

        A network whose layers all support layers/canvas.py declares a `padding`.
        """
        padding: int | None = getattr(self.model, "padding", None)
        return padding

    @property
    def canvas_multiple(self) -> int | None:
        """Sides of a canvas are multiples of this; None: there is none."""
        multiple: int | None = getattr(self.model, "canvas_multiple", self.padding)
        return multiple

    @property
    def noise_channels(self) -> int:
        """Normal values per low pixel that select a sample; 0: the network cannot be sampled."""
        return 0

    @property
    def channels(self) -> int:
        """Channels of the low image."""
        return 3 if self.input_kind == "rgb" else 1

    def example_input(self, side: int | None = None) -> jax.Array:
        """Zeros (1, side, side, channels) to initialise the network with; by default the smallest such image.

        No parameter depends on the side.
        """
        side = self.multiple if side is None else side
        return jnp.zeros((1, side, side, self.channels))

    def init_params(self, key: jax.Array) -> Params:
        """Fresh trained parameters."""
        return self.model.init(key, self.example_input())["params"]

    def batch_shapes(self, examples: int, patch: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of a training batch as the data set stores it; `patch` is the side of the low patch."""
        side = self.scale * patch
        return {
            "low": jax.ShapeDtypeStruct((examples, patch, patch, 3), jnp.uint8),
            "reference": jax.ShapeDtypeStruct((examples, side, side, 3), jnp.uint8),
        }

    def prepare(self, variables: Variables) -> Variables:
        """Converts variables for inference: computes once everything that does not depend on the image."""
        return variables

    def restore(self, variables: Variables, batch: Batch) -> jax.Array:
        """Restored images (b, s h, s w, 3), float32 in [0, 1], of a batch in floats that holds at least `low`.

        Networks that can be sampled also read `noise` (b, h, w, noise_channels), temperature times normal noise.
        Works with variables before and after `prepare`.
        """
        restored = self.model.apply(variables, batch["low"])["restored"]
        return jnp.clip(restored.astype(jnp.float32), 0, 1)

    def statistics(self, variables: Variables, batch: Batch) -> Variables:
        """The collection "statistics" that the network records of whole images: variables for `restore` on tiles."""
        _, recorded = self.model.apply(variables, batch["low"], mutable=["statistics"])
        return recorded

    def pad(self, low: np.ndarray) -> np.ndarray:
        """Pads (b, h, w, c) at the bottom and right before tiling; overridden only where reflection is not correct."""
        return low

    def require_cfa(self, cfa: str, *, source: str) -> None:
        """Raises UserError, naming `source`, for a colour filter array ("bayer", "xtrans") that does not fit."""
        raise UserError(f"{source}: a camera raw file, but {self.name} restores RGB images")

    def variants(self, options: ConfigDict) -> dict[str, Variant]:
        """{suffix of the name in tables: how the network is used} for config.eval; the first has the suffix ""."""
        return {"": _low_alone}

    @classmethod
    def first_variant(cls, options: Options) -> str:
        """The suffix that tables give to the first of `variants`; `options` is config.eval as read from JSON."""
        return ""

    def bits_per_pixel(self, variables: Variables, low: jax.Array, restored: jax.Array, *, key: jax.Array) -> jax.Array:
        """-log2 p(restored | low) per pixel, (b,). Raises UserError unless the network models a distribution."""
        self.require_distribution()
        raise NotImplementedError

    def require_distribution(self) -> None:
        """Raises UserError for a deterministic network."""
        if not self.noise_channels:
            raise UserError(
                f"{self.name} is deterministic; temperature and samples need a network that models a distribution, "
                "such as lolisrflow"
            )


def check_temperature(temperature: float) -> None:
    """Raises UserError unless the temperature is a number of at least 0."""
    if not 0 <= temperature < np.inf:
        raise UserError(f"a temperature is a number, 0 or more, not {temperature}")


def draw_noise(
    size: tuple[int, ...], channels: int, *, temperature: float, seed: int = 0, index: int = 0
) -> np.ndarray:
    """`noise` (h, w, channels) of sample `index` of `seed`. Raises UserError unless the temperature is 0 or more."""
    check_temperature(temperature)
    noise = np.random.default_rng((seed, index)).standard_normal((*size, channels), np.float32)
    return np.asarray(temperature * noise, np.float32)


def _low_alone(batch: HostBatch) -> HostBatch:
    return {"low": batch["low"]}
