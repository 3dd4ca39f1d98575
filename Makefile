# make run: the quickstart grid, with seeds added until its claims are decided. make tables-mini: every table of the paper, small. make test: the tests.
# make check: lint, types and the fast tests of what changed, in a minute. make slow: tests that start trainings.
# They make the virtual environment that they need.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
READY := $(VENV)/.ready

run: $(READY)
	$(VENV)/bin/python run_grid.py grids/quickstart.yaml --decide

tables-mini: $(READY)
	$(VENV)/bin/python run_grid.py grids/table*.yaml --profile mini --jobs 2

test: $(READY)
	$(VENV)/bin/python -m pytest -q -n auto -m "not slow and not gpu and not slurm"
	$(VENV)/bin/python -m pytest -q -m "slow and not gpu and not slurm"

slow: $(READY)
	$(VENV)/bin/python -m pytest -q -m "slow and not gpu and not slurm"

check: lint
	$(VENV)/bin/python -m pytest -q -n auto -m "not slow and not gpu and not slurm" `$(VENV)/bin/python tools/changed_tests.py`

slurm: $(READY)
	tests/slurm_cluster run $(VENV)/bin/python -m pytest -q -m slurm

gpu: $(READY)
	$(VENV)/bin/python -m pytest -q -m gpu

bench: $(READY)
	$(VENV)/bin/python run_grid.py grids/kernels.yaml --only 'L=1,024' --only 'size=N 64, H 128'
	$(VENV)/bin/python run_grid.py grids/step.yaml --only task=sCIFAR

# What a user gets: the wheel in a new environment, with the pinned packages, and the study of `init` run to the end.
release: $(READY)
	$(VENV)/bin/python -m pytest -q tests/cli/test_wheel.py
	rm -rf build && mkdir -p build/release
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/release .
	$(PYTHON) -m venv build/release/venv
	build/release/venv/bin/python -m pip install --quiet --constraint constraints.txt build/release/*.whl
	cd build/release && venv/bin/s4d-suite plan suite:quickstart.yaml && venv/bin/s4d-suite init study
	cd build/release/study && ../venv/bin/s4d-suite grids/mine.yaml

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

exactness: $(READY)
	PYTHONPATH=tests/support $(VENV)/bin/python tools/exactness.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or later is needed: make PYTHON=…"'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV)

.PHONY: run tables-mini test slow check slurm gpu bench release lint exactness clean
