"""The program of an evaluation.

Every method is measured on 8-bit images, the model on those of restored/, so that each score can be recomputed from the
files. Nothing is aligned to the reference. Means are over images of any size, without weights.

All devices of all processes work in parallel, each on different images with the program that a single device would run,
so that the results do not depend on their number. Several processes need a common file system for the images; the other
files are written by the first process.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import jax
from ml_collections import ConfigDict

from ultrabm_jax.buckets import open_path, url_scheme
from ultrabm_jax.config.values import check_tuples
from ultrabm_jax.deprecation import rename_fields
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.candidates import candidates, variant_names
from ultrabm_jax.evaluation.foreign import add_foreign, read_foreign
from ultrabm_jax.evaluation.image_result import allgather_results
from ultrabm_jax.evaluation.measure import measure
from ultrabm_jax.evaluation.protocols import Protocols
from ultrabm_jax.evaluation.results import as_json, versions, write_results
from ultrabm_jax.evaluation.speed import speed
from ultrabm_jax.evaluation.statistics import summarise, unscored
from ultrabm_jax.evaluation.written_images import image_writer
from ultrabm_jax.image.write import check_folder
from ultrabm_jax.inference.runs import Run, load_trained
from ultrabm_jax.logging import logger
from ultrabm_jax.report.summary import Selection, Summary
from ultrabm_jax.training.distributed import COPY_TIMEOUT_S, on_main_process, sync_processes
from ultrabm_jax.training.evaluation_set import EvaluationSet, evaluation_set


def evaluate(
    config: ConfigDict, workdir: str | Path | None, output: str | Path | None = None, *, checkpoint: str = "best"
) -> Summary:
    """Measures the model of `workdir` on the evaluation split of `config.data`; returns the content of metrics.json.

    `config` must agree with the workdir's on the name and scale of the model. Without a workdir, only the methods of
    config.eval.baselines are measured. `output` is `workdir`/eval by default; `checkpoint` is best, latest or a step.

    An image that cannot be read or restored is left out and named in "failed"; one without a score under a protocol is
    named in "problems", and the mean is over the others ("counts"). Images without references are measured under
    config.eval.blind_protocols in place of config.eval.protocols.

    Raises UserError if the config has a wrong value or does not fit the workdir, if there are no images, if `output`
    cannot be written, or if there is nothing to measure.
    """
    from input_pipeline import open_source
    from input_pipeline.sources.members import evaluated_name, trained_name
    from input_pipeline.sources.splits import name_split

    started = time.monotonic()
    rename_fields(config)
    check_tuples(config)
    sync_processes()
    run = None if workdir is None else load_trained(workdir, checkpoint)
    if run is not None:
        _check_same_model(config, run.config)
    unreadable: list[str] = []
    source = open_source(config.data, scale=int(config.model.scale), split="eval", left_out=unreadable)
    sync_processes(timeout_s=COPY_TIMEOUT_S)
    if not len(source):
        raise UserError(f"the evaluation split of {evaluated_name(config.data)!r} has no images")
    measured = evaluation_set(config, source, name_split(config.data, "eval"))
    names = config.eval.protocols if source.has_references else config.eval.blind_protocols
    protocols = Protocols(names, assets=config.data.assets, references=source.has_references)
    methods = candidates(config, run, source)
    if not methods:
        raise UserError("nothing to measure: give --workdir, or methods in config.eval.baselines")
    foreign = read_foreign(config.eval.foreign_scores, list(methods))
    folder = _output(workdir, output)
    on_main_process(lambda: check_folder(folder / "restored"))
    if jax.process_index() == 0 and (folder / "metrics.json").is_file():
        logger.info(f"{folder}: this evaluation replaces the one there; --output names another folder")
    failures: dict[str, str] = {}
    writer = image_writer(config.eval.get("images", "model"), folder, methods)
    local = list(measure(source, methods, protocols, folder / "restored", failures, writer))
    results, (unavailable, failures) = allgather_results(local, protocols.unavailable, failures)
    failed = [*unreadable, *(failures[name] for name in sorted(failures))]
    if not results:
        raise UserError(f"none of the {len(failed)} images can be read; the first: {failed[0]}")
    results = add_foreign(results, foreign)
    directions = {**protocols.higher_is_better, **{file.protocol: file.higher_is_better for file in foreign}}
    model = config.model if run is None else run.config.model
    summary: Summary = {
        "model": next(iter(methods)),
        "dataset": evaluated_name(config.data),
        "scale": int(config.model.scale),
        "count": len(results),
        "split": measured.split,
        "step": None if run is None else int(run.step),
        "own_methods": [] if run is None else variant_names(config, run),
        "run_config": None if run is None else as_json(run.config.to_dict()),
        "trained_on": None if run is None else trained_name(run.config.data),
        "selection": None if run is None else _selection(run, measured),
        **summarise(results, list(directions)),
        "failed": failed,
        "unavailable": unavailable | unscored(results),
        "speed": speed(run.task, run.variables) if run is not None and config.eval.speed else None,
        "config": as_json({**config.to_dict(), "model": model.to_dict()}),
        "versions": versions(),
        "devices": [device.device_kind for device in jax.devices()],
        "processes": jax.process_count(),
        "seconds": round(time.monotonic() - started, 1),
    }
    if jax.process_index() == 0:
        log = None if workdir is None else open_path(workdir) / "train.jsonl"
        write_results(folder, summary, results, higher_is_better=directions, log=log)
        logger.info(f"{folder}: metrics.json, per_image.csv and {folder / 'report' / 'index.html'}")
    return summary


def _check_same_model(config: ConfigDict, trained: ConfigDict) -> None:
    for field in ("name", "scale"):
        requested, found = config.model[field], trained.model[field]
        if requested != found:
            raise UserError(f"the config has model.{field}={requested!r}, but the workdir was trained with {found!r}")


def _selection(run: Run, measured: EvaluationSet) -> Selection:
    chosen = run.evaluated
    if chosen is None:
        return {"reason": run.reason, "evaluation_set": None, "on_measured_images": False}
    same = (chosen.dataset, chosen.split) == (measured.dataset, measured.split) or chosen.images == measured.images
    return {"reason": run.reason, "evaluation_set": dataclasses.asdict(chosen), "on_measured_images": same}


def _output(workdir: str | Path | None, output: str | Path | None) -> Path:
    if output is not None:
        return Path(output)
    if workdir is None:
        raise UserError("without --workdir, --output must name a folder")
    if url_scheme(workdir) is not None:
        raise UserError(f"--output must name a folder on disk: the run is in {workdir}")
    return Path(workdir) / "eval"
