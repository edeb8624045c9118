# make setup | demo | test | soak | lint | docs | clean
# Uses the active virtual environment, or makes .venv with Python 3.12 or 3.11.

ACTIVE := $(if $(VIRTUAL_ENV),$(wildcard $(VIRTUAL_ENV)/bin/python))
VENV := $(if $(ACTIVE),$(VIRTUAL_ENV),.venv)
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.ultrabm_jax_requirements
DOCS_STAMP := $(VENV)/.ultrabm_jax_docs_requirements
REQUIREMENTS := requirements.txt requirements-dev.txt

# Each candidate is tried, because a pyenv shim may fail and Debian's python3 may lack the venv module.
CANDIDATES := python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python) python3.11 \
	$(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python) python3
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))

# Compiled programs are cached and shared by tests and by later runs.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.5

# `make test` compiles much and computes little, so it uses XLA's fastest compilation. Metrics are compared with published
# values at tight tolerances; their tests and `make soak` use XLA's default optimisation, as users do.
QUICK_XLA := --xla_backend_optimization_level=0
# Parallel test processes; each takes up to 4 GB.
WORKERS ?= 2

.PHONY: help setup demo test soak lint docs clean

help:
	@sed -n 1,2p Makefile

setup: $(STAMP)

$(STAMP): $(REQUIREMENTS) $(wildcard requirements/*.txt)
	@if ! $(PYTHON) -c '' 2>/dev/null; then \
	  for python in $(CANDIDATES); do \
	    if "$$python" -c '$(SUITABLE)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "error: no Python 3.12 or 3.11 with the venv module; on Debian: apt install python3-venv" >&2; exit 1; \
	  fi; \
	  echo "making $(VENV) with $$found" && "$$found" -m venv --clear --upgrade-deps "$(VENV)"; \
	fi
	@$(PYTHON) -c '$(SUITABLE)' || { echo "error: $(VENV) is not Python 3.11 or 3.12" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip --default-pip >/dev/null
	@echo "installing $(REQUIREMENTS) into $(VENV) (a minute or two)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check $(REQUIREMENTS:%=-r %)
	@touch "$@"

DARKEN := -m input_pipeline.darken skimage --config configs/demo.py --scale 1 --pairs

demo: setup
	@echo "1. dark versions of three photos, restored by the bundled model"
	$(PYTHON) $(DARKEN) --output demo/test
	$(PYTHON) restore.py demo/test/low --output demo/restored --overwrite
	$(PYTHON) -m ultrabm_jax.tools.before_after dark=demo/test/low restored=demo/restored --output demo/before_after.jpg
	@echo "2. fine-tuning on nine pairs: 30 steps, then the run is resumed for 30 more"
	$(PYTHON) $(DARKEN) --split train --output demo/train
	$(PYTHON) train.py --config configs/demo.py --workdir demo/run --config.data.root=demo/train --config.train.steps=30
	$(PYTHON) train.py --config configs/demo.py --workdir demo/run --config.data.root=demo/train
	@echo "3. both models, measured beside formulas without learning"
	$(PYTHON) eval.py --workdir demo/run --config.data.eval_root=demo/test
	@echo "before and after: demo/before_after.jpg   restored: demo/restored   page: demo/run/eval/report/index.html"

test: lint
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile tests/metrics
	XLA_FLAGS="$(QUICK_XLA) $(XLA_FLAGS)" $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --ignore=tests/metrics

soak: setup
	$(PYTHON) -m pytest -m soak --timeout 7200

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

# Pages without the notebook's outputs, faster: EXECUTE_NOTEBOOK=0 make docs
docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict
	@echo "open site/index.html, or serve it: $(PYTHON) -m http.server --directory site"

$(DOCS_STAMP): $(STAMP) requirements/docs.txt
	@echo "installing requirements/docs.txt into $(VENV)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements/docs.txt
	@touch "$@"

clean:
	rm -rf demo site .cache .pytest_cache .mypy_cache .ruff_cache
