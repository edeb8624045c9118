"""Throughput of training batches compared with a PyTorch loader:

    python benchmarks/data_loading.py [--peer-python PYTHON]

    lol x1         16 patches 96x96 of LOL's pairs; x2 as in configs/ultrabm_lol_x2.py, where `low` is downsampled by 2
    lol jpeg       as lol x1, from JPEG files of quality 95; from folders only
    rellisur x2    8 patches 256x256 of images of RELLISUR's size (common/data_inputs.py), references 512x512
    sid            8 mosaics 512x512 of images of SID's size, from records and from the raw files
    memory         peak host memory while streaming the same number of batches from 1x and from 8x the files

PYTHON is the interpreter of an environment with torch, numpy and opencv-python-headless. There are two baselines, both
with a PyTorch DataLoader (peers/torch_paired.py): one converts whole images to float32 before the crop, as BasicSR
does, the other crops first. The candidates take turns within each round. The table has the median rate of the rounds,
the median over rounds of the ratio to each baseline or, without one, to files that are decoded each time, and the CPU
time per image, which depends less on other load. The images were just written and are in the page cache: this measures
decoding and copying, not the disk. --quick: a few files and short rounds, to check that it works.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common.process_memory import peak_bytes
from ultrabm_jax.config import default_config

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from benchmarks.common.data_candidates import Speed, Throughput

SECTIONS = ("lol x1", "lol x2", "lol jpeg", "rellisur x2", "sid", "memory")
FILES = {"lol": 222, "scenes": 24, "raw": 4, "memory": 24, "batches": 200}
QUICK = {"lol": 8, "scenes": 2, "raw": 1, "memory": 3, "batches": 20}
PLAIN = "folders, tf.data, nothing cached"  # the denominator of the ratios without a peer
PEERS = {"whole image to float, then crop": False, "crop, then float": True}  # baseline: `crop_first`


# `data` are fields of config.data, which have values of several types.
def configure(dataset: str, scale: int, **data: object) -> ConfigDict:
    """The default config with other data."""
    config = default_config()
    config.model.scale = scale
    config.data.update({"dataset": dataset, **data})
    return config


def candidates(
    dataset: str, scale: int, root: Path, records: Path | None, *, cached: bool = True
) -> dict[str, tuple[ConfigDict, bool]]:
    """{name: `config` and `warm` of `ours`}."""

    def config(**data: object) -> ConfigDict:
        return configure(dataset, scale, root=str(root), **data)

    found = {
        PLAIN: (config(cache_gib=0.0), False),
        "folders, threads, nothing cached": (config(cache_gib=0.0, loader="threads"), False),
    }
    if cached:
        found["folders, tf.data, all cached"] = (config(), True)
    if records is not None:
        found |= {
            "records, tf.data": (config(records=str(records)), False),
            "records, threads": (config(records=str(records), loader="threads"), False),
            "in_memory": (config(records=str(records), loader="in_memory"), False),
        }
    return found


def compare(measures: Mapping[str, Throughput], options: argparse.Namespace) -> dict[str, list[Speed]]:
    """The speed of each candidate in each round."""
    speeds: dict[str, list[Speed]] = {name: [] for name in measures}
    for _ in range(options.rounds):
        for name, measure in measures.items():
            speeds[name].append(measure(options.seconds))
    return speeds


def speeds_of(
    sources: Mapping[str, tuple[ConfigDict, bool]],
    options: argparse.Namespace,
    *,
    peer: tuple[Path, Path] | None,
    scale: int,
    batch: int,
    patch: int,
) -> str:
    """One section's table; `peer`: the folders of low and reference images that the peer reads."""
    from benchmarks.common.data_candidates import Peer, ours

    measures: dict[str, Throughput] = {}
    peers: dict[str, Peer] = {}
    if peer is not None and options.peer_python:
        sizes = {"scale": scale, "batch": batch, "patch": patch}
        peers = {
            name: Peer(options.peer_python, *peer, crop_first=crop_first, **sizes) for name, crop_first in PEERS.items()
        }
        measures.update(peers)
    for name, (config, warm) in sources.items():
        measures[name] = ours(config, batch=batch, patch=patch, warm=warm)
    speeds = compare(measures, options)
    for running in peers.values():
        running.close()
    table = speed_table(speeds, list(peers) or [PLAIN])
    versions = {running.versions for running in peers.values()}
    return f"PyTorch DataLoader, 2 workers: {versions.pop()}\n\n{table}" if versions else table


def speed_table(speeds: Mapping[str, list[Speed]], baselines: Sequence[str]) -> str:
    """Median and range of the rate, median ratio to each baseline, and median CPU time of each candidate."""
    ratios = " | ".join(f"ratio to: {name}" for name in baselines)
    rows = [
        f"| | images/s | lowest to highest | {ratios} | CPU ms per image |",
        "|---|---|---|---|" + "---|" * len(baselines),
    ]
    for name, rounds in speeds.items():
        rates = [speed.images_per_second for speed in rounds]
        middle, low, high = (_short(value) for value in (statistics.median(rates), min(rates), max(rates)))
        cells = [f"{_ratio(rounds, speeds[baseline]):.2f}" for baseline in baselines]
        cells.append(f"{1000 * statistics.median(speed.cpu_per_image for speed in rounds):.2f}")
        rows.append(f"| {name} | {middle} | {low} to {high} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _ratio(rounds: Sequence[Speed], baseline: Sequence[Speed]) -> float:
    """The median over rounds of the ratio of two rates."""
    pairs = zip(rounds, baseline, strict=True)
    return statistics.median(ours.images_per_second / peer.images_per_second for ours, peer in pairs)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def memory_table(work: Path, options: argparse.Namespace, files: int, batches: int) -> str:
    """Peak memory of processes that stream the same number of batches from 1x and from 8x the files."""
    from benchmarks.common.data_inputs import make_lol, make_records

    rows = ["| | 1x: MiB | 8x: MiB |", "|---|---|---|"]
    places = {}
    for times in (1, 8):
        root = make_lol(work / f"lol{times}x", options.data, count=times * files)
        places[times] = (root, make_records("lol/v1", root, work / f"records{times}x"))
    for loader in ("tfdata", "threads"):
        for kind in ("records", "folders"):
            peaks = []
            for root, records in places.values():
                data = {"root": str(root), "cache_gib": 0.0, "loader": loader, "batches": batches}
                peaks.append(_stream_apart(data | ({"records": str(records)} if kind == "records" else {})))
            rows.append(f"| {kind}, {loader} | {peaks[0]:,.0f} | {peaks[1]:,.0f} |")
    return "\n".join(rows)


# `data` are fields of config.data and the number of batches.
def _stream_apart(data: dict[str, object]) -> float:
    """`stream(data)` in a separate process."""
    words = [sys.executable, __file__, "--stream", json.dumps(data)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def stream(data: dict[str, object]) -> float:
    """Peak memory of this process in MiB after data["batches"] batches."""
    from input_pipeline import open_source, train_batches

    sizes = {"batch_size": 16, "patch_size": 96, "start_step": 0, "stop_step": data.pop("batches")}
    config = configure("lol", 1, **data)
    source = open_source(config.data, scale=1)
    for _ in train_batches(source, seed=0, loader=config.data.loader, workers=config.data.workers, **sizes):
        pass
    return peak_bytes() / 2**20


def sections(work: Path, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """(title, table) of each requested section."""
    from benchmarks.common.data_inputs import make_halved, make_lol, make_records, make_rellisur, make_sid

    files = QUICK if options.quick else FILES
    requested = options.only

    def records_of(name: str, root: Path) -> Path | None:
        return None if options.nothing_cached else make_records(name, root, work / "records")

    cached = not options.nothing_cached
    if "lol jpeg" in requested:
        root = make_lol(work / "lol_jpeg", options.data, count=files["lol"], suffix=".jpg")
        pair = (root / "our485" / "low", root / "our485" / "high")
        sources = candidates("lol", 1, root, None, cached=cached)
        yield "LOL as JPEG, 16 patches 96x96", speeds_of(sources, options, peer=pair, scale=1, batch=16, patch=96)
    if {"lol x1", "lol x2"} & set(requested):
        lol = make_lol(work / "lol", options.data, count=files["lol"])
        records = records_of("lol/v1", lol)
        pair = (lol / "our485" / "low", lol / "our485" / "high")
        if "lol x1" in requested:
            sources = candidates("lol", 1, lol, records, cached=cached)
            yield "LOL, 16 patches 96x96", speeds_of(sources, options, peer=pair, scale=1, batch=16, patch=96)
        if "lol x2" in requested:
            half = make_halved(work / "halved", lol)
            halved = (half / "low", half / "high")
            sources = candidates("lol", 2, lol, records, cached=cached)
            table = speeds_of(sources, options, peer=halved, scale=2, batch=16, patch=96)
            yield "LOL x2, 16 patches 96x96 and 192x192", table
    if "rellisur x2" in requested:
        root = make_rellisur(work / "RELLISUR-Dataset", options.data, scenes=files["scenes"])
        sources = candidates("rellisur", 2, root, records_of("rellisur/x2", root), cached=cached)
        pair = (root / "Train" / "LLLR", root / "Train" / "NLHR-Duplicates" / "X2")
        table = speeds_of(sources, options, peer=pair, scale=2, batch=8, patch=256)
        yield "Of RELLISUR's size, 8 patches 256x256 and 512x512", table
    if "sid" in requested:
        root = make_sid(work / "SID", options.data, scenes=files["raw"])
        sources = candidates("sid_sony", 1, root, records_of("sid/sony", root), cached=False)
        table = speeds_of(sources, options, peer=None, scale=1, batch=8, patch=512)
        yield "Of SID's size, 8 mosaics 512x512", table
    if "memory" in requested:
        count, batches = files["memory"], files["batches"]
        table = memory_table(work, options, count, batches)
        yield f"Peak host memory, {batches} batches from {count} and from {8 * count} pairs of LOL", table


def machine() -> str:
    """Date, device and versions."""
    import jax
    import numpy
    import tensorflow as tf

    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ":")
    device = jax.devices()[0]
    parts = [
        f"{datetime.date.today()}",
        f"{os.cpu_count()} cores of {cpu.split(':')[1].strip() or platform.machine()}",
        f"{jax.device_count()} {device.platform} {device.device_kind}",
        f"Python {platform.python_version()}, jax {jax.__version__}, numpy {numpy.__version__}",
        f"tensorflow {tf.__version__}",
    ]
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=shared, help="folder with lol_v1, photos and raw")
    parser.add_argument("--peer-python", type=Path, help="Python with PyTorch; without it the peer is skipped")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="per candidate and round")
    parser.add_argument("--work", type=Path, help="folder for the images (5 GB); default: a temporary folder")
    parser.add_argument("--nothing-cached", action="store_true", help="leave out the cache, records and in_memory")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        print(stream(json.loads(options.stream)))
        return
    if options.quick:
        options.rounds, options.seconds = 2, 0.5
    print(f"`python benchmarks/data_loading.py {' '.join(sys.argv[1:])}`\n\n{machine()}")
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        print_all(sections(Path(work), options))


def print_all(tables: Iterable[tuple[str, str]]) -> None:
    """Prints the tables as Markdown."""
    for title, table in tables:
        print(f"\n### {title}\n\n{table}", flush=True)


if __name__ == "__main__":
    main()
