"""Old names of the vocabulary are not reintroduced, as identifiers in Python files or as words in tracked text."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The table of old names and this test may contain them.
EXCEPT = ("ultrabm_jax/deprecation.py", "tests/test_deprecation.py", "tests/test_vocabulary.py")
# Vendored identifiers and recorded data.
DATA = ("tests/reference/",)

# Old identifier -> the name to use.
IDENTIFIERS = {
    "Turn": "StepHooks",
    "meet": "sync_processes",
    "agreed": "broadcast_flag",
    "gathered": "allgather",
    "in_first": "on_main_process",
    "born_sharded": "init_sharded_state",
    "as_it_is": "identity",
    "say": "a logger",
    "vital_steps": "required_steps",
    "on_bad": "train.on_nonfinite, data.on_unreadable",
    "max_returns": "max_rollbacks",
    "return_factor": "rollback_factor",
    "by_parts": "map_microbatches",
    "mean_over_parts": "mean_over_microbatches",
    "make_direction": "make_gradient_transform",
    "descend": "apply_update",
    "make_compared": "make_baseline",
    "Compared": "Baseline",
    "DEFAULT_COMPARED": "config.eval.baselines",
    "Supervised": "UltraBMMethod",
    "Likelihood": "LoLiSRFlowMethod",
    "DegradeAndRefine": "DRGNMethod",
    "RawSupervised": "REDMethod",
    "seems": "guess_file_type",
    "SHOWN": "MAX_LISTED",
    "PATIENCE": "BARRIER_TIMEOUT_S",
    "_at_hand": "_replicate_locally",
    "Game": "AdversarialState",
    "_make_and_blame": "_degrade_with_gradient",
    "Several": "MultiWriter",
    "passed_over": "describe_skipped",
    "bytes_kept": "residual_bytes",
    "cfa_crop_corner": "cfa_crop_offset",
    "picture": "image",
    "pictures": "images",
    "photograph": "photo",
    "photographs": "photos",
}
# Old file names.
FILES = (
    *("turn.py", "returns.py", "kept.py", "compared.py", "tones.py", "supervised.py", "kept_memory.py"),
    *("test_compared.py", "test_supervised.py", "test_on_bad.py"),
)
# Old words and sentences of comments, docstrings, messages and pages.
PHRASES = (
    r"\b(?:picture|pictures|photograph|photographs)\b",
    r"\brooms?\b",
    r"\bat hand\b",
    r"a batch in parts is the batch",
    r"\ba person can (?:mend|fix)\b",
    r"\bdevices that need not exist\b",
    r"\bwho is right where\b",
    r"\bis said and the next\b",
    r"first stage well",
    r"leaves a page to look at",
    r"\bSaid rather than mended\b",
    r"\bto the digit\b",
    r"\bleads? (?:in a circle|nowhere)\b",
    r"\bnowhere to be found\b",
    r"\bgoes on\b",
    r"\bnothing but zeros\b",
    r"\b(?:asks|asked|looked) for\b",
    r"\bpassed over\b",
    r"\bwhatever\b",
    r"\bin sight\b",
    r"\blearned data\b",
    r"\b(?:is|are) told\b",
    r"\b(?:is|are) no (?:phase|leaf|leaves|key|keys|multiple)\b",
    r"\bworked out by hand\b",
    r"\bcosts (?:only )?(?:one|that) (?:image|pair)\b",
)


def offences(name: str, text: str) -> list[str]:
    """One line `file:line: what` for each old identifier and each old phrase in the text of a file."""
    found = []
    if name.endswith(".py"):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and token.string in IDENTIFIERS:
                found.append(f"{name}:{token.start[0]}: {token.string} -> {IDENTIFIERS[token.string]}")
    lines = text.splitlines() or [""]
    for pattern in PHRASES:
        # A phrase may be broken over two lines.
        for number, (line, after) in enumerate(zip(lines, [*lines[1:], ""], strict=True), start=1):
            joined = f"{line} {after.strip().lstrip('#').strip()}"
            match = re.search(pattern, joined, re.IGNORECASE)
            if match and match.start() < len(line):
                found.append(f"{name}:{number}: {match[0]}")
    return found


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [name for name in names if name not in EXCEPT and not name.startswith(DATA)]


def test_old_names_and_words_are_gone():
    found = []
    for name in tracked():
        try:
            found += offences(name, (ROOT / name).read_text())
        except UnicodeDecodeError:  # an image
            continue
    assert not found, f"{len(found)} old names or words:\n" + "\n".join(found)


def test_old_file_names_are_gone():
    assert [name for name in tracked() if Path(name).name in FILES] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "def f(picture):\n    return 1\n"),
        ("a.py", "state = descend(state)\n"),
        ("a.py", "# What a person can mend\n"),
        ("a.md", "an image of the\nrooms of a house\n"),
        ("a.md", "the data is not at\nhand\n"),
    ],
)
def test_the_search_finds(name, text):
    assert offences(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.py", "image = essay.sayings\n"), ("a.md", "an image with room-temperature noise\n".replace("room-", "low-"))],
)
def test_the_search_ignores(name, text):
    assert offences(name, text) == []
