"""Measures parameters, multiply-accumulates, memory and time of networks for one image, for the papers' tables.

    ultrabm-jax speed NAME... [--size HxW ...] [--output speed.json] [--config.FIELD=VALUE ...]

NAME is a bundled or released model (`ultrabm-jax models`), the workdir of a run, FILE.safetensors or FILE.pth of
`ultrabm-jax export`, or an experiment of configs/ such as drgn_lol, whose network gets random parameters: they do not
affect the time. --config.FIELD=VALUE overrides fields of the experiments, such as --config.preset=paper or
--config.model.scale=4.

Without --size, each network is measured at the sizes of its paper's tables: UltraBM 128x128, DRGN and the enhancers
384x384, RED 512x512, 2848x4256 and 4032x6032. `python -m ultrabm_jax.report.tables speed.json` sets the values beside
the papers'. Counts and memory are those of the compiled program, time is the median of --repeats calls.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from ultrabm_jax import cli
from ultrabm_jax.buckets import open_path
from ultrabm_jax.config_files import config_names
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.random_variables import draw_variables
from ultrabm_jax.evaluation.results import as_json, versions
from ultrabm_jax.evaluation.speed import REPEATS, Size, paper_sizes, parse_size, speed
from ultrabm_jax.image.write import write_file
from ultrabm_jax.inference.described import is_weight_file, network_options
from ultrabm_jax.inference.named import FORMULAS, is_named, load_named
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.inference.runs import load_trained
from ultrabm_jax.metrics.score_table import align
from ultrabm_jax.models import task_from_config
from ultrabm_jax.models.task import Task
from ultrabm_jax.pretrained import list_pretrained
from ultrabm_jax.report.summary import Config, SpeedRecord
from ultrabm_jax.typing import Variables

COLUMNS = {
    "input": "input",
    "parameters": "parameters",
    "gmacs_convolutions": "GMAC",
    "gmacs_one_generator": "GMAC of one generator",
    "memory_gib": "GiB",
    "milliseconds": "ms",
}


class Network(NamedTuple):
    """A network to measure; `model` is config.model, or the options of its module."""

    task: Task
    variables: Variables
    model: Config


def main(argv: Sequence[str]) -> int:
    """Measures, prints a table, and writes the JSON file."""
    args, overrides = _parse(argv)
    networks = {name: find_network(name, overrides) for name in args.names}
    sizes = tuple(map(parse_size, args.size or ()))
    records = []
    for name, network in networks.items():
        for size in sizes or paper_sizes(network.task.name):
            print(f"{name} at {size}", file=sys.stderr, flush=True)
            records.append(measure(name, network, size, repeats=args.repeats))
    print("\n".join(table(records)))
    if args.output:
        write_file(Path(args.output), (json.dumps({"speed": records}, indent=2) + "\n").encode())
    return 0


def find_network(name: str, overrides: Sequence[str] = ()) -> Network:
    """The network that the command line names. Raises UserError, listing the known names, for an unknown one."""
    if name in FORMULAS:
        raise UserError(f"{name} is a formula without a network")
    if name in list_pretrained():
        run = load_pretrained_run(name)
        return Network(run.task, run.variables, as_json(run.config.model.to_dict()))
    if is_named(name) or is_weight_file(name):
        task, variables = load_named(name)
        return Network(task, variables, as_json({"name": task.name, "scale": task.scale, **network_options(task)}))
    if open_path(name).is_dir():
        run = load_trained(name)
        return Network(run.task, run.variables, as_json(run.config.model.to_dict()))
    if name not in config_names() and not name.endswith(".py"):
        experiments = ", ".join(config_names())
        raise UserError(f"unknown model {name!r}; `ultrabm-jax models` lists them; experiments: {experiments}")
    config = read_config(name, overrides)
    task = task_from_config(config)
    shapes = jax.eval_shape(task.model.init, jax.random.key(0), task.example_input())
    return Network(task, draw_variables(shapes), as_json(config.model.to_dict()))


def measure(name: str, network: Network, size: Size, *, repeats: int) -> SpeedRecord:
    """One element of "speed" in the JSON file."""
    return {
        "name": name,
        "scale": network.task.scale,
        "model": network.model,
        "speed": speed(network.task, network.variables, size=size, repeats=repeats),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions(),
    }


def table(records: Sequence[SpeedRecord]) -> list[str]:
    """The records as lines of text, then where they were measured."""
    lines = [["", "scale", *COLUMNS.values()]]
    for record in records:
        values = (record["speed"][key] for key in COLUMNS)
        texts = [f"{value:,}" if isinstance(value, int) else str(value) for value in values]
        lines.append([record["name"], f"x{record['scale']}", *texts])
    last = records[-1]
    where = f"{last['speed']['device']} ({last['speed']['platform']}, {last['speed']['cores']} CPU cores)"
    packages = ", ".join(f"{package} {version}" for package, version in last["versions"].items())
    return [*align(lines), "", f"{where}; {last['date']}; {packages}"]


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    flags = cli.command_parser("ultrabm-jax speed", __doc__)
    flags.add_argument("names", nargs="+", metavar="NAME", help="models, workdirs or experiments")
    flags.add_argument("--size", nargs="+", metavar="HxW", help="height and width of the input; default: the papers'")
    flags.add_argument("--repeats", type=int, default=REPEATS, help=f"timed calls (default: {REPEATS})")
    flags.add_argument("--output", type=cli.local_name, metavar="FILE.json", help="for report.tables")
    args, rest = flags.parse_known_args(list(argv))
    wrong = [text for text in rest if not text.startswith("--config.")]
    if wrong:
        raise UserError(f"unknown arguments: {' '.join(wrong)}; --help lists the flags")
    if args.repeats < 1:
        raise UserError(f"--repeats={args.repeats}: a number of calls, 1 or more")
    return args, rest


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(sys.argv[1:])))
