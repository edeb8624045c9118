"""Imports between packages point in one direction; lazy imports and type-checking blocks are read as well."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Each layer may import itself and what precedes it. A name is a module or package of ultrabm_jax, or `input_pipeline`.
LAYERS = (
    *(
        "errors",
        "extras",
        "buckets",
        "typing",
        "logging",
        "deprecation",
        "versions",
        "file_types",
        "config",
        "config_files",
        "cli",
        "config_flags",
        "huge_pages",
        "collector",
        "stages",
    ),
    *("image", "raw", "storage", "pretrained"),
    *("layers", "backbones", "models", "weights"),
    *("metrics", "losses", "optim", "methods"),
    *("input_pipeline", "training", "inference"),
    *(
        "export",
        "report",
        "evaluation",
        "detection",
        "figures",
        "user_study",
        "scaling",
        "tools",
        "app",
        "video",
        "commands",
    ),
)
# Reading data needs no network: input_pipeline skips the layers in between.
ONLY = {
    "input_pipeline": (
        "errors",
        "extras",
        "buckets",
        "typing",
        "logging",
        "deprecation",
        "cli",
        "config_flags",
        "config",
        "config_files",
        "stages",
        "image",
        "raw",
    )
}
LIBRARIES = ("ultrabm_jax", "input_pipeline")
# What stands above the library: no module of it may import these.
ABOVE = ("configs", "tests", "benchmarks", "train", "eval", "restore")
# Functions that import the module that their first argument names, and the keyword of that argument.
DYNAMIC = {"import_module": "name", "find_spec": "name", "__import__": "name", "run_module": "mod_name"}
DYNAMIC |= {"resolve_name": "name"}
COMPUTED = "<computed name>"
MAY_COMPUTE = {
    "ultrabm_jax/commands/__init__.py": "imports the command that is called; it is above all other layers",
    "ultrabm_jax/image/codecs.py": "imports optional packages of other projects",
    "ultrabm_jax/storage/assets.py": "locates packages of other projects that contain weights",
    "input_pipeline/object_stores/objects.py": "locates packages of other projects that read object stores",
    "input_pipeline/degrade.py": "runs ultrabm_jax.tools.degrade under its old name, for one release",
}
FACADE = "ultrabm_jax"  # the package's own __init__.py; it may import every layer, and no layer may import from it


def layer_of(module: str) -> str:
    """`ultrabm_jax.models.red.network` -> `models`; `input_pipeline.check` -> `input_pipeline`."""
    head, _, rest = module.partition(".")
    return rest.partition(".")[0] or FACADE if head == "ultrabm_jax" else head


def imported_modules(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import anywhere in `tree`, a module of `package`."""
    original = original_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve("." * node.level + (node.module or ""), package)
            # `from ultrabm_jax import models` and `from . import models` name a module in the second half.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and (function := called_name(node.func, original)) in DYNAMIC:
            keywords = [keyword.value for keyword in node.keywords if keyword.arg == DYNAMIC[function]]
            for argument in (node.args or keywords)[:1]:
                yield node.lineno, named_module(argument, package)


def original_names(tree: ast.AST) -> dict[str, str]:
    """`from a import f as g` in `tree` gives {"g": "f"}."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}


def called_name(function: ast.expr, original: dict[str, str]) -> str:
    """The last part of a function's dotted name, before `as` renamed it."""
    match function:
        case ast.Name(id=name):
            return original.get(name, name)
        case ast.Attribute(attr=name):
            return name
    return ""


def named_module(argument: ast.expr, package: str) -> str:
    """The module that an argument names: a string, or an f-string below `__name__` or a constant package."""
    match argument:
        case ast.Constant(value=str(name)):
            return resolve(name, package)
        case ast.JoinedStr(
            values=[ast.FormattedValue(value=ast.Name(id="__name__")), ast.Constant(value=str(rest)), *_]
        ):
            return package + rest.rstrip(".")
        case ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]) if "." in name:
            return resolve(name.rpartition(".")[0], package)
        case _:
            return COMPUTED


def resolve(name: str, package: str) -> str:
    """An absolute name for `name`, which may start with the dots of a relative import from within `package`."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - level + 1], *filter(None, [name.lstrip(".")])])


def fault(importer: str, imported: str) -> str | None:
    """Why layer `importer` may not import layer `imported`, or None."""
    if imported in ABOVE:
        return f"no module of the library may import {imported}"
    if importer in (FACADE, imported):
        return None
    if imported == FACADE:
        return f"{importer} may not import from the package's __init__.py"
    for layer in (importer, imported):
        if layer not in LAYERS:
            return f"{layer} is not in the list of layers (tests/test_layers.py)"
    if imported not in ONLY.get(importer, LAYERS):
        return f"{importer} may import only {', '.join(ONLY[importer])}"
    if LAYERS.index(imported) > LAYERS.index(importer):
        return f"{importer} is below {imported}"
    return None


def violations(root: Path) -> list[str]:
    """One line `file:line: import NAME: reason` for each import of the libraries under `root` that points up."""
    found = []
    for path in sorted(file for library in LIBRARIES for file in (root / library).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        package = ".".join(parts[:-1])
        for line, name in imported_modules(ast.parse(path.read_text()), package):
            file = path.relative_to(root).as_posix()
            if name == COMPUTED:
                reason = None if file in MAY_COMPUTE else "the layers of a computed name cannot be checked"
            elif name.split(".")[0] not in (*LIBRARIES, *ABOVE):
                continue
            else:
                reason = fault(layer_of(module), imported_layer(root, name))
            if reason:
                found.append(f"{file}:{line}: import {name}: {reason}")
    return found


def imported_layer(root: Path, name: str) -> str:
    """The layer of `name`; `ultrabm_jax.f`, where f is no module but a function of __init__.py, is the façade."""
    layer = layer_of(name)
    folder = root / "ultrabm_jax"
    is_module = (folder / layer).is_dir() or (folder / f"{layer}.py").is_file()
    return layer if is_module or not name.startswith("ultrabm_jax.") else FACADE


def test_no_import_points_up():
    found = violations(ROOT)
    assert not found, "imports that point up:\n" + "\n".join(found)


def test_every_module_belongs_to_a_layer():
    found = [path for path in (ROOT / "ultrabm_jax").iterdir() if path.is_dir() or path.suffix == ".py"]
    names = {path.stem for path in found if not path.name.startswith("_")}
    assert names <= set(LAYERS), sorted(names - set(LAYERS))


@pytest.fixture
def tree(tmp_path):
    """`tree({"ultrabm_jax/errors.py": source})` writes a small library without violations and adds the given files."""

    def write(files):
        legal = {
            "ultrabm_jax/__init__.py": "from ultrabm_jax.training.loop import run",
            "ultrabm_jax/errors.py": "import os",
            "ultrabm_jax/image/__init__.py": "from ultrabm_jax.errors import UserError",
            "ultrabm_jax/models/__init__.py": "from ..image import read_image",
            "ultrabm_jax/training/loop.py": "import ultrabm_jax.models\nfrom input_pipeline import loader",
            "input_pipeline/loader.py": "from ultrabm_jax.image import read_image",
        }
        for name, source in (legal | files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        return tmp_path

    return write


def test_a_valid_library_has_no_violations(tree):
    assert violations(tree({})) == []


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        (
            "ultrabm_jax/errors.py",
            "import os\nimport ultrabm_jax.models\n",
            ":2: import ultrabm_jax.models: errors is below",
        ),
        (
            "ultrabm_jax/models/red.py",
            "def f():\n    from ultrabm_jax.training.loop import run\n    return run\n",
            ":2: import ultrabm_jax.training.loop.run: models is below training",
        ),
        (
            "ultrabm_jax/image/files.py",
            """\
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from .. import models
            """,
            ":3: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/deep/files.py",
            "from ...training import loop\n",
            ":1: import ultrabm_jax.training.loop: image is below training",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "from importlib import import_module\ndef f():\n    return import_module('ultrabm_jax.models')\n",
            ":3: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "import importlib\nf = importlib.import_module('..models', __package__)\n",
            ":2: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "from importlib import import_module as load\nload('ultrabm_jax.models')\n",
            ":2: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "import importlib as i\ni.import_module(name='ultrabm_jax.models')\n",
            ":2: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "import importlib\ndef f(name):\n    importlib.import_module(f'ultrabm_jax.models.{name}')\n",
            ":3: import ultrabm_jax.models: image is below models",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "import importlib\ndef f(name):\n    importlib.import_module('ultrabm_jax.' + name)\n",
            ":3: import <computed name>: the layers of a computed name cannot be checked",
        ),
        (
            "ultrabm_jax/image/__init__.py",
            "import builtins\nbuiltins.__import__('ultrabm_jax.models')\n",
            ":2: import ultrabm_jax.models: image is below models",
        ),
        (
            "input_pipeline/loader.py",
            "import runpy\nrunpy.run_module('ultrabm_jax.training.loop')\n",
            ":2: import ultrabm_jax.training.loop: input_pipeline may import only errors",
        ),
        (
            "input_pipeline/loader.py",
            "def f():\n    import ultrabm_jax.models as m\n",
            ":2: import ultrabm_jax.models: input_pipeline may import only errors",
        ),
        (
            "ultrabm_jax/models/red.py",
            "from configs import base\n",
            ":1: import configs.base: no module of the library",
        ),
        (
            "ultrabm_jax/models/red.py",
            "from ultrabm_jax import load_pretrained\n",
            ":1: import ultrabm_jax.load_pretrained: models may not import from the package's __init__.py",
        ),
        (
            "ultrabm_jax/new.py",
            "from ultrabm_jax import errors\n",
            ":1: import ultrabm_jax.errors: new is not in the list",
        ),
    ],
    ids=[
        *("top_level", "lazy", "type_checking_and_relative", "relative_of_a_deeper_module"),
        *("import_module", "relative_import_module", "renamed_import_module", "keyword", "f_string", "sum_of_strings"),
        *("builtins", "runpy", "input_pipeline", "configs", "facade", "unknown_layer"),
    ],
)
def test_a_planted_violation_is_found_and_named(tree, file, source, expected):
    found = violations(tree({file: source}))
    assert len(found) == 1
    assert found[0].startswith(file + expected)


def test_modules_that_compute_a_name_exist_and_import_by_name():
    for file in MAY_COMPUTE:
        assert any(name in (ROOT / file).read_text() for name in DYNAMIC), file


def test_three_planted_violations_are_all_reported(tree):
    planted = {
        "ultrabm_jax/errors.py": "import ultrabm_jax.training.loop\n",
        "ultrabm_jax/models/red.py": "def f():\n    import ultrabm_jax.training.loop\n",
        "ultrabm_jax/image/files.py": "from typing import TYPE_CHECKING as T\nif T:\n    from ..models import red\n",
    }
    found = violations(tree(planted))
    assert sorted(line.split(":")[0] for line in found) == sorted(planted)
