"""Training restarts once with huge pages, where the system gives them on request only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ultrabm_jax import huge_pages
from ultrabm_jax.huge_pages import VALUE, VARIABLE, huge_page_variables

SCRIPT = """
import os, sys
from pathlib import Path
from ultrabm_jax import huge_pages

huge_pages.huge_page_variables.__kwdefaults__["mode"] = Path(sys.argv[1])
print("process", os.getpid(), flush=True)
huge_pages.restart_with_huge_pages()
print(os.environ.get(huge_pages.VARIABLE), sys.argv[2:], sys.flags.optimize)
"""


@pytest.fixture
def mode(tmp_path: Path) -> Path:
    path = tmp_path / "enabled"
    path.write_text("always [madvise] never\n")
    return path


def run(mode: Path, tmp_path: Path, **environment: str) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    inherited = {name: value for name, value in os.environ.items() if name != VARIABLE}
    inherited["PYTHONPATH"] = str(Path(__file__).parent.parent)
    command = [sys.executable, "-O", str(script), str(mode), "--flag", "two words"]
    done = subprocess.run(command, env=inherited | environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_the_process_restarts_once_with_the_same_arguments(mode: Path, tmp_path: Path):
    first, second, result = run(mode, tmp_path)
    assert first == second
    assert result == f"{VALUE} ['--flag', 'two words'] 1"


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_program_that_replaced_its_arguments_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huge_pages, "huge_page_variables", lambda: {VARIABLE: VALUE})
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("restarted"))
    monkeypatch.setattr(sys, "argv", ["train.py", "--other"])
    huge_pages.restart_with_huge_pages()


def test_the_user_s_tunables_take_precedence(mode: Path, tmp_path: Path):
    tunables = "glibc.malloc.hugetlb=0"
    assert run(mode, tmp_path, **{VARIABLE: tunables})[1:] == [f"{tunables} ['--flag', 'two words'] 1"]


@pytest.mark.parametrize("text", ["[always] madvise never\n", "always madvise [never]\n", None])
def test_nothing_is_set_where_it_would_change_nothing(mode: Path, text: str | None):
    mode.unlink() if text is None else mode.write_text(text)
    assert huge_page_variables({}, mode=mode) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_buffer_that_is_allocated_again_needs_fewer_pages():
    """glibc itself requests huge pages with these variables."""
    if (
        not huge_page_variables({})
        or not hasattr(os, "confstr")
        or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or "")
    ):
        pytest.skip("the system gives huge pages to every process or to none")
    script = (
        "import resource, numpy as np\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "np.empty(2**26, np.uint8).fill(1)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    faults = {}
    for name, value in (("small", "glibc.malloc.hugetlb=0"), ("huge", VALUE)):
        command = [sys.executable, "-c", script]
        environment = {**os.environ, VARIABLE: value, "NUMPY_MADVISE_HUGEPAGE": "0"}
        faults[name] = int(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert faults["huge"] < faults["small"] / 10
