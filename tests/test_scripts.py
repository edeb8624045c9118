"""The examples for clusters: linters where installed, and agreement with the names that train.py reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ultrabm_jax.config_flags import read_config

ROOT = Path(__file__).resolve().parent.parent
SHELL = sorted((ROOT / "scripts").glob("*.sh"))
KUBERNETES = ROOT / "scripts" / "kubernetes.yaml"


@pytest.fixture(scope="module")
def manifests() -> dict:
    """The objects of kubernetes.yaml by kind."""
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(KUBERNETES.read_text())}


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_scripts_pass_shellcheck(script: Path):
    beside_python = Path(sys.executable).with_name("shellcheck")
    shellcheck = shutil.which("shellcheck") or (str(beside_python) if beside_python.exists() else None)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (requirements-dev.txt)")
    done = subprocess.run([shellcheck, "--exclude=SC1091", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_scripts_parse_and_stop_at_the_first_error(script: Path):
    subprocess.run(["bash", "-n", script], check=True)
    assert "\nset -euo pipefail\n" in script.read_text()


def test_kubernetes_example_passes_yamllint():
    pytest.importorskip("yamllint", reason="yamllint is not installed (requirements-dev.txt)")
    from yamllint import linter
    from yamllint.config import YamlLintConfig

    rules = YamlLintConfig("{extends: default, rules: {document-start: disable, line-length: {max: 120}}}")
    assert not list(linter.run(KUBERNETES.read_text(), rules))


def test_kubernetes_example_starts_the_processes_of_one_run(manifests: dict):
    service, job = manifests["Service"], manifests["Job"]
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert job["apiVersion"] == "batch/v1"
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    assert pod["restartPolicy"] in ("OnFailure", "Never")  # all that a Job accepts
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    (container,) = pod["containers"]
    env = {variable["name"]: variable for variable in container["env"]}
    name = f"{job['metadata']['name']}-0.{service['metadata']['name']}"  # of the first pod, by the Job's controller
    assert pod["subdomain"] == service["metadata"]["name"]
    assert env["ULTRABM_COORDINATOR"]["value"] == f"{name}:{service['spec']['ports'][0]['port']}"
    assert env["ULTRABM_PROCESSES"]["value"] == str(spec["completions"])
    field = env["ULTRABM_PROCESS"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    read = (ROOT / "ultrabm_jax" / "training" / "distributed.py").read_text()
    assert all(variable in read for variable in env)
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_kubernetes_example_calls_train_with_known_flags(manifests: dict):
    spec = manifests["Job"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    program, script, *arguments = container["command"]
    assert (program, script) == ("python", "train.py")
    flags = dict(re.fullmatch(r"--([\w.]+)=?(.*)", argument).groups() for argument in arguments)
    overrides = [argument for argument in arguments if argument.startswith("--config.")]
    config = read_config(flags["config"], overrides)
    devices = spec["completions"] * container["resources"]["limits"]["nvidia.com/gpu"]
    assert config.data.batch_size % devices == 0
    command = (ROOT / "ultrabm_jax" / "commands" / "train.py").read_text()
    assert all(f'"{name}"' in command for name in flags if not name.startswith("config"))
