"""Writes the arrays of this folder from the full set of reference values (a folder that is not distributed).

    python tests/reference/make_subset.py ../shared

Left out: encoder statistics and block intermediates that no test reads, the largest RED input, photographs whose
licence does not allow redistribution, and all released weights. RED, Zero-DCE and SCI use weights made by the rule;
their outputs are those of this implementation, recorded while it agreed with the authors' outputs for the released
weights.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
LARGEST = 8192  # elements of an output that are stored
COPIED = {
    "blocks.npz": r"",
    "hrnet_w48.npz": r"_patch$",
    "losses.npz": r"^ms_odd",
    "losses_odd.npz": r"",
    "red_amplifier.npz": r"",
    "ultrais_x2.npz": r"_enc\d",
    "ultrais_x4.npz": r"_enc\d",
    "vgg19.npz": r"_(patch|tl|br|mean|std)$",
    "vgg19_early.npz": r"",
}
SPECS = {"ultrais_x2": "", "ultrais_x4": "", "hrnet_w48": "", "vgg19_features": "", "red": "", "zerodce": "", "sci": ""}
UNTESTED = re.compile(r"^(gc\.(h|mask)|imu\.(norm1_.|attn_out|mid|ffn_out))$")
INPUT = re.compile(
    r"^(x|gt|raw|x_\w+|[uv]|u_big|xdark|[ab]|kl_[ab]|ms_(gt|pred)|ms_odd_(gt|pred)|img_\w+|bins|weights"
    r"|\w+\.([abcrgsx]|x\d)|guid\.\w+|resize\.bilinear2)$"
)
VECTOR_PAIRS = ("astronaut_ref|astronaut_dim", "chelsea_ref|chelsea_blur", "chelsea_ref|chelsea_bright",
                "chelsea_ref|chelsea_dim", "coffee_ref|coffee_dim")  # fmt: skip
index: dict[str, dict[str, dict[str, object]]] = {}


def step_of(array: np.ndarray) -> int:
    """The smallest step that leaves at most LARGEST elements and divides no side, so that every channel is visited."""
    step = -(-array.size // LARGEST)
    while step > 1 and (any(side % step == 0 for side in array.shape) or any(step % p == 0 for p in (2, 3, 5, 7))):
        step += 1
    return step


def write(file: str, arrays: dict[str, np.ndarray], tolerances: dict[str, float], *, whole: bool = False) -> None:
    stored = {}
    for key, array in arrays.items():
        keep = whole or (INPUT.match(key) and not (file.startswith("open/ultrais") and key != "x"))
        step = 1 if keep else step_of(array)
        stored[key] = array if step == 1 else array.reshape(-1)[::step]
        entry = {"shape": list(array.shape), "step": step, "tolerance": tolerances[key]}
        index.setdefault(file, {})[key] = entry
    (HERE / file).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(HERE / file, **stored)


def copy_parity(shared: Path) -> None:
    folder = shared / "reference" / "parity"
    known = json.loads((folder / "tolerances.json").read_text())
    for name, dropped in COPIED.items():
        source = "open/" + name.replace("_odd", "")
        arrays = dict(np.load(folder / source))
        if name == "losses_odd.npz":
            arrays = {key: value for key, value in arrays.items() if key.startswith("ms_odd") or key == "ms_ssim_odd"}
        elif dropped:
            arrays = {key: value for key, value in arrays.items() if not re.search(dropped, key)}
        arrays = {key: value for key, value in arrays.items() if not UNTESTED.match(key)}
        if name == "blocks.npz":  # every block works on each example of a batch by itself: the first is enough
            arrays = {key: value[:1] for key, value in arrays.items()}
        limits = {
            key: max(10 * row["max_abs_f32_f64"], 3e-6 * row["max_abs_value"])
            for key, row in known.get(source, {}).items()
        }
        write(f"open/{name}", arrays, {key: limits.get(key, 0.0) for key in arrays}, whole="amplifier" in name)


def copy_specs(shared: Path) -> None:
    (HERE / "state_dicts").mkdir(exist_ok=True)
    for name in SPECS:
        text = (shared / "reference/parity/state_dicts" / f"{name}_state_dict.txt").read_bytes()
        (HERE / "state_dicts" / f"{name}.txt.gz").write_bytes(gzip.compress(text, mtime=0))


def make_released(shared: Path) -> None:
    """Outputs for weights by the rule, where the authors' own weights may not be distributed."""
    import jax
    from weights_rule import make_state_dict

    from tests.models.baselines.test_sci import TRAINING
    from tests.models.red.test_red_parity import summaries
    from ultrabm_jax.models import create_model
    from ultrabm_jax.models.baselines.zero_dce import apply_curves
    from ultrabm_jax.weights import from_torch

    known = json.loads((shared / "reference/parity/tolerances.json").read_text())

    def save(file: str, like: str, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
        """The tolerance of each output, relative to its maximum, is that of the full set."""
        limits = dict.fromkeys(inputs, 0.0)
        for key, value in outputs.items():
            row = known[like][key]
            relative = max(10 * row["max_abs_f32_f64"] / max(row["max_abs_value"], 1e-9), 3e-6)
            limits[key] = relative * max(float(np.max(np.abs(value))), 1e-9)
        write(file, inputs | {key: np.asarray(value, np.float32) for key, value in outputs.items()}, limits)

    model = create_model("red", weight_norm=True)
    variables = from_torch("red", make_state_dict("red"), weight_norm=True)
    for size in ("32x32", "96x160"):
        file = f"open/red_{size}.npz"
        full = np.load(shared / "reference/parity" / file)
        out, sown = jax.jit(lambda v, x: model.apply(v, x, mutable=["intermediates"]))(variables, full["x"])
        y = np.asarray(out["restored"])
        values = {"y": y, "frac_clipped": np.mean((y == 0) | (y == 1))}
        for name, (feature,) in sown["intermediates"].items():
            parts = summaries(np.asarray(feature, np.float64))
            values |= {name + part: value for part, value in parts.items() if name + part in full.files}
        save(file, file, {"x": full["x"]}, values)

    for name, seed in (("bus", 1), ("plant", 2)):
        x = dark_image(seed)
        out = jax.jit(create_model("zero_dce").apply)(from_torch("zero_dce", make_state_dict("zerodce")), x)
        file, curves = f"open/zerodce_{name}.npz", out["curves"]
        values = {"curves": curves, "y": out["restored"], "y_iter4": apply_curves(x, curves[..., :12])}
        save(file, file, {"x": x}, values)

    inputs, outputs = {}, {}
    for image, seed in (("bus", 1), ("plant", 2)):
        x = inputs[f"x_{image}"] = dark_image(seed)
        for weights in ("easy", "medium", "difficult"):
            out = jax.jit(create_model("sci").apply)(from_torch("sci", make_state_dict("sci", f"{weights}/")), x)
            outputs[f"illum_{weights}_{image}"] = out["illumination"]
            outputs[f"y_{weights}_{image}"] = out["restored"]
    network = create_model("sci", stages=3)
    variables = from_torch("sci", make_state_dict("sci", "medium/"), stages=3)
    _, state = jax.jit(lambda v, x: network.apply(v, x, mutable=["intermediates"]))(variables, inputs["x_bus"])
    for theirs, ours in TRAINING.items():
        a = np.asarray(state["intermediates"][ours][0], np.float64)
        a = np.abs(a) if theirs.startswith("att") else a
        parts = {key: value for key, value in summaries(a).items() if key}
        outputs |= {f"net3_medium_bus_{theirs}{part}": value for part, value in parts.items()}
    save("open/sci.npz", "open/sci.npz", inputs, outputs)


def dark_image(seed: int) -> np.ndarray:
    """(1, 48, 64, 3) in [0, 1]: smooth, dark, with noise."""
    rng = np.random.default_rng(seed)
    y, x, c = np.mgrid[0:48, 0:64, 0:3].astype(np.float64)
    smooth = 0.5 + 0.5 * np.sin(x / (5 + seed) + c) * np.cos(y / (4 + seed))
    return np.clip(0.3 * smooth**2 + rng.normal(0, 0.02, smooth.shape), 0, 1).astype(np.float32)[None]


def copy_vectors(shared: Path) -> None:
    """Metric values of pairs made from CC0 and public-domain photos of scikit-image."""
    from PIL import Image
    from skimage import data

    folder = shared / "reference" / "iqa"
    vectors = json.loads((folder / "vectors.json").read_text())
    names = sorted({name for pair in VECTOR_PAIRS for name in pair.split("|")})
    table = np.zeros(256, np.uint8)
    for name in names:
        pixels = np.asarray(Image.open(folder / vectors["images"][name]["file"]))
        scene, kind = name.split("_")
        if kind == "dim":  # one table of 256 values makes every dim image
            table[getattr(data, scene)()] = pixels
        elif kind != "ref":
            target = HERE / "iqa" / f"{name}.png"
            target.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(target, optimize=True)
    out = {
        "dim_table": table.tolist(),
        "images": {name: vectors["images"][name] for name in names},
        "full_reference": {pair: vectors["full_reference"][pair] for pair in VECTOR_PAIRS},
        "no_reference": {name: vectors["no_reference"][name] for name in names},
        "niqe_noise_band": {"band": {name: vectors["niqe_noise_band"]["band"][name] for name in names}},
    }
    (HERE / "iqa" / "vectors.json").write_text(json.dumps(out, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    shared = parser.parse_args().shared
    copy_specs(shared)
    copy_parity(shared)
    (HERE / "index.json").write_text("{}")
    make_released(shared)
    copy_vectors(shared)
    rows = ",\n".join(f" {json.dumps(file)}: {json.dumps(entries)}" for file, entries in sorted(index.items()))
    (HERE / "index.json").write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main()
