"""The conditions under which the values of a paper's table and of an evaluation were obtained, and their differences.

network         the model and the fields of its config that the paper states
data            data set, split, scale and number of images; the data that the model was trained on
protocol        of each quantity; the heading of its block in a table names both
amplification   of camera raw files
checkpoint      the images that chose it
device          of measured times
"""

from __future__ import annotations

from collections.abc import Iterator

from ultrabm_jax.report.evaluations import Evaluation
from ultrabm_jax.report.published import Condition, Quantity, Table
from ultrabm_jax.report.selection import describe_checkpoint, selection_warning
from ultrabm_jax.report.summary import incomplete_counts

AMPLIFICATIONS = {
    "ratio": "the ratio of the exposures",
    "auto": "the released estimator",
    "paper": "equations 5 to 7, m = {m}",
    "mean": "equation 4, m = {m}",
}


def describe_paper(table: Table) -> list[str]:
    """The conditions of the paper's columns, as far as they are known: a text for all columns that share them."""
    labels: dict[str, list[str]] = {}
    for condition in table.conditions:
        labels.setdefault(_describe_column(table, condition), []).append(_label(condition))
    return [f"paper {', '.join(names)}".strip() + f": {text}" for text, names in labels.items()]


def _label(condition: Condition) -> str:
    """ "x2" -> "x2 (425 images)"."""
    count = _images(condition.count).removeprefix(", ") if condition.label else ""
    return f"{condition.label} ({count})" if count else condition.label


def _describe_column(table: Table, condition: Condition) -> str:
    fields = ", ".join(f"{name}={value}" for name, value in table.paper_config.items())
    name = " or ".join(table.networks)
    parts = [f"network {name}" + (f" ({fields})" if fields else "")] if table.networks else []
    if condition.dataset and not condition.label:
        parts += [f"data {condition.dataset}{_images(condition.count)}"]
    parts += [f"trained on {condition.trained_on}"] if condition.trained_on else []
    parts += [f"amplified by {describe_amplification(table.amplification)}"] if table.amplification else []
    return "; ".join([*parts, "which images chose the checkpoint is not stated"])


def describe_evaluation(evaluation: Evaluation) -> str:
    """Path and conditions of an evaluation."""
    summary = evaluation.summary
    if evaluation.efficiency_only:
        packages = ", ".join(f"{package} {version}" for package, version in summary["versions"].items())
        place = f"{evaluation.device} ({evaluation.speed.get('platform')}, {evaluation.speed.get('cores')} CPU cores)"
        return (
            f"{evaluation.path}; {evaluation.model} x{summary['scale']}, input {evaluation.input}; {place}; {packages}"
        )
    variant = evaluation.field("model.variant")
    model = f"{evaluation.model} ({variant})" if variant else evaluation.model
    checkpoint = describe_checkpoint(summary)
    what = ", ".join(evaluation.methods) if checkpoint is None else f"{model}, {checkpoint}"
    parts = [f"{evaluation.path}: {what}"]
    parts += [f"{summary['dataset']} {evaluation.split} x{summary['scale']}{_images(summary['count'])}"]
    parts += [f"trained on {evaluation.trained_on or 'data that is not recorded'}"] if evaluation.trained else []
    parts += incomplete_counts(summary) + [f"left out: {line}" for line in summary.get("failed", [])]
    warning = selection_warning(summary)
    return "; ".join([*parts, *([] if warning is None else [f"warning: {warning}"])])


def differences(
    table: Table, quantity: Quantity, condition: Condition, evaluation: Evaluation, row: str, method: str
) -> list[str]:
    """How the value of `method` was obtained otherwise than those of the paper's column, one text for each cause.

    What a paper does not state is no difference; the descriptions of both sides show it.
    """
    found = list(_of_network(table, quantity, condition, evaluation, row, method))
    if not _is_speed(quantity):
        found += _of_data(condition, evaluation, quantity, method)
        found += [*table.differs, *([table.row_differs[row]] if row in table.row_differs else [])]
        kind = evaluation.amplification(method)
        if table.amplification and kind and kind != table.amplification:
            found.append(
                f"amplification: {describe_amplification(kind)} (paper: {describe_amplification(table.amplification)})"
            )
        if method in evaluation.own_methods and (warning := selection_warning(evaluation.summary)):
            found.append(f"checkpoint: {warning[0].lower()}{warning[1:].rstrip('.')}")
    elif quantity.device and quantity.device not in (device := evaluation.device):
        found.append(f"device: {device} (paper: {quantity.device})")
    return [*found, *([quantity.differs] if quantity.differs else [])]


def describe_amplification(kind: str) -> str:
    """ "paper:0.1" -> "equations 5 to 7, m = 0.1"."""
    name, _, m = kind.partition(":")
    return AMPLIFICATIONS.get(name, name).format(m=m or "0.5") + (f", m = {m}" if m and name == "auto" else "")


def _of_network(
    table: Table, quantity: Quantity, condition: Condition, evaluation: Evaluation, row: str, method: str
) -> Iterator[str]:
    """Of the trained model: fields of its config that differ from the paper's, and other training data."""
    if method not in evaluation.own_methods or evaluation.field("model.name") not in table.networks:
        return
    wrong = {"network": evaluation.differing_fields(table, row, model=True)}
    if not _is_speed(quantity):
        wrong["training"] = evaluation.differing_fields(table, row, model=False)
        if condition.trained_on and evaluation.trained_on != condition.trained_on:
            wrong["training"].append(
                f"on {evaluation.trained_on or 'data that is not recorded'} (paper: {condition.trained_on})"
            )
    for subject, lines in wrong.items():
        if lines:
            yield f"{subject}: {', '.join(lines)}"


def _of_data(condition: Condition, evaluation: Evaluation, quantity: Quantity, method: str) -> Iterator[str]:
    count: int = evaluation.summary["count"]
    counts = (evaluation.summary.get("counts") or {}).get(evaluation.key(method), {})
    counted = counts.get(quantity.protocol or "", count)
    if condition.count is not None and counted != condition.count:
        yield f"data: {counted} images (paper: {condition.count})"
    elif counted != count:
        yield f"data: {counted} of {count} images have a value"


def _is_speed(quantity: Quantity) -> bool:
    return (quantity.protocol or "").startswith("speed.")


def _images(count: int | None) -> str:
    return "" if count is None else f", {count} image{'s' if count != 1 else ''}"
