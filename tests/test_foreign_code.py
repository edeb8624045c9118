"""No file of the package executes what it reads: no pickle, no yaml, no eval of text."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path for folder in ("ultrabm_jax", "input_pipeline", "configs") for path in (ROOT / folder).rglob("*.py")
)
FILES += [ROOT / name for name in ("train.py", "eval.py", "restore.py")]
# Builtins that execute text, and modules whose readers create arbitrary objects named by a file.
BUILTINS = {"eval", "exec", "compile", "__import__"}
# This one writes opcodes. Pickles are read by an interpreter that calls nothing (storage/pickle_machine.py).
PICKLERS = ("ultrabm_jax/storage/torch_writer.py",)
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}


def offences(text):
    """Lines that call a forbidden builtin, import a forbidden module, or load arrays of objects."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
            found.append((node.lineno, node.func.id))
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [(node.lineno, name) for name in names if name.split(".")[0] in MODULES]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
            found += [(node.lineno, f"{node.value.id}.{node.attr}")] if node.attr in ("load", "loads") else []
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.append((node.value.lineno, "allow_pickle"))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_runs_what_it_reads(path):
    may_import = {"pickle"} if path.relative_to(ROOT).as_posix() in PICKLERS else set()
    assert [(line, name) for line, name in offences(path.read_text()) if name not in may_import] == []


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)",
        "exec(x)",
        "pickle.loads(x)",
        "yaml.load(f)",
        "import pickle",
        "from pickle import load",
        "import yaml as y",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
    ],
)
def test_the_search_finds(text):
    assert len(offences(text)) == 1


@pytest.mark.parametrize("text", ["re.compile(x)", "pickletools.genops(f)", "method.eval(x)", "f(allow_pickle=False)"])
def test_the_search_leaves_alone(text):
    assert offences(text) == []
