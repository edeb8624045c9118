"""The models that the page offers; weights are read, and downloaded, when a model first restores an image."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.named import FORMULAS, RAW_MODEL, RELEASED, load_named
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import load_trained
from ultrabm_jax.inference.sampling import Sampler
from ultrabm_jax.models import create_task
from ultrabm_jax.models.task import Task
from ultrabm_jax.pretrained import CARD, DEFAULT_MODEL, list_pretrained, pretrained_weights
from ultrabm_jax.pretrained.cards import read_card
from ultrabm_jax.storage.asset_table import ASSETS
from ultrabm_jax.typing import InputKind, Variables
from ultrabm_jax.weights import release_options

INPUTS: dict[InputKind, str] = {"rgb": "photos", "mosaic": "camera raw files"}


def default_model() -> str:
    """The default model for photos; if this version does not contain it, its first model, else the first formula."""
    contained = list_pretrained()
    return DEFAULT_MODEL if DEFAULT_MODEL in contained else [*contained, *FORMULAS][0]


class Models:
    """Bundled and released models, formulas and training runs, by name; a run's name is its workdir.

    Loaded models are kept, so that an image of a size that was restored before is not compiled again.
    """

    def __init__(self, workdirs: Sequence[str | os.PathLike[str]] = ()) -> None:
        self._workdirs = tuple(os.fspath(workdir) for workdir in workdirs)
        self._loaded: dict[str, tuple[Task, Variables]] = {}
        for name in self._workdirs:  # one that cannot be read is an error before the page opens
            self._load(name)
        self.names = [default_model()]
        for name in (*self._workdirs, *list_pretrained(), *RELEASED, *FORMULAS):
            if name not in self.names:
                self.names.append(name)
        self.restorer = functools.cache(self._restorer)
        self.sampler = functools.cache(self._sampler)

    def model_for(self, kind: InputKind, chosen: str) -> str:
        """The chosen model if it restores this kind of input, otherwise the default one for it."""
        if self.input_kind(chosen) == kind:
            return chosen
        return RAW_MODEL if kind == "mosaic" else default_model()

    def task(self, name: str) -> Task | None:
        """The network's interface; None for a formula. Downloads nothing. Raises UserError for an unknown name."""
        if name not in self.names:
            raise UserError(f"unknown model {name!r}; known: {', '.join(self.names)}")
        if name in FORMULAS:
            return None
        if name in RELEASED:
            return create_task(RELEASED[name], **release_options(RELEASED[name]))
        return self._load(name)[0]

    def input_kind(self, name: str) -> InputKind:
        """Whether the model restores photos or camera raw files."""
        task = self.task(name)
        return "rgb" if task is None else task.input_kind

    def can_sample(self, name: str) -> bool:
        """Whether the model has a temperature and samples."""
        task = self.task(name)
        return task is not None and task.noise_channels > 0

    def describe(self, name: str) -> str:
        """One line: what the model restores, its enlargement and its licence."""
        task = self.task(name)
        scale = 1 if task is None else task.scale
        size = "" if scale == 1 else f", enlarged {scale} times"
        return f"Restores {INPUTS[self.input_kind(name)]}{size}. {self._origin(name)}."

    def _origin(self, name: str) -> str:
        if name in FORMULAS:
            return "A formula without weights"
        if name in self._workdirs:
            return "A training run of your own"
        if name in RELEASED:
            return f"Released by its authors, downloaded on first use; licence: {ASSETS[name].licence}"
        return f"Contained in this package; licence: {read_card(pretrained_weights(name).with_suffix(CARD)).licence}"

    def _load(self, name: str) -> tuple[Task, Variables]:
        if name not in self._loaded:
            if name in self._workdirs:
                run = load_trained(name)
                self._loaded[name] = run.task, run.variables
            elif name in RELEASED:
                self._loaded[name] = load_named(name)
            else:
                contained = load_pretrained_run(name)
                self._loaded[name] = contained.task, contained.variables
        return self._loaded[name]

    def _restorer(self, name: str) -> Restorer:
        return Restorer(*self._load(name))

    def _sampler(self, name: str) -> Sampler:
        return Sampler(*self._load(name), temperature=0.0)
