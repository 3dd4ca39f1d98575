# make install: the environment that a run needs. make run: the quickstart grid, with seeds added until its claims are decided.
# make tables-mini: every table of the paper, small. make test: the tests. make slow: those that start trainings.
# make check: lint, types and the fast tests of what changed, in a minute. make docs: the documentation.
# make release, make oldest: see there; they publish nothing, and are no part of CI.
# Each command makes the virtual environment, and installs what it needs there, and only that.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# What has been installed: the package itself, and beside it extras of pyproject.toml, each when a command first needs it.
READY := $(VENV)/.ready
TEST := $(VENV)/.ready-test
LINT := $(VENV)/.ready-lint
DOCS := $(VENV)/.ready-docs
INSTALL = $(VENV)/bin/python -m pip install --quiet --use-pep517 --constraint constraints.txt --editable
# Tests run side by side, one process for each core, which computes with one thread.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n auto --dist worksteal
OLDEST := tests/config tests/grid tests/store tests/ssm tests/models tests/plan tests/report/claims tests/report/statistics tests/test_api.py

install: $(READY)

run: $(READY)
	$(VENV)/bin/python run_grid.py grids/quickstart.yaml --decide

tables-mini: $(READY)
	$(VENV)/bin/python run_grid.py grids/table*.yaml --profile mini --jobs 2

test: $(TEST)
	$(PYTEST) -m "not slow and not gpu and not slurm"
	$(PYTEST) -m "slow and not gpu and not slurm"

slow: $(TEST)
	$(PYTEST) -m "slow and not gpu and not slurm"

check: lint $(TEST)
	$(PYTEST) -m "not slow and not gpu and not slurm" `$(VENV)/bin/python tools/changed_tests.py`

slurm: $(TEST)
	tests/slurm_cluster run $(VENV)/bin/python -m pytest -q -m slurm

gpu: $(TEST)
	$(VENV)/bin/python -m pytest -q -m gpu

bench: $(READY)
	$(VENV)/bin/python run_grid.py grids/kernels.yaml --only 'L=1,024' --only 'size=N 64, H 128'
	$(VENV)/bin/python run_grid.py grids/step.yaml --only task=sCIFAR

# The documentation, into build/site. It fails on a warning: a link that leads nowhere, a page in no menu.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

# The pictures of README and documentation, drawn from kept results.
pictures: $(READY)
	$(VENV)/bin/python tools/docs_pictures.py

# The transcript of docs/cluster.md, made again on a SLURM that is started for it.
transcript: $(READY)
	tests/slurm_cluster run $(VENV)/bin/python tools/slurm_transcript.py

# What a user gets: source archive and wheel, checked; then the wheel in a new environment with the pinned packages, and
# the study of `init` run to the end. Publishes nothing.
release: $(TEST)
	$(VENV)/bin/python -m pytest -q tests/cli/test_wheel.py tests/docs/test_project.py
	rm -rf build/release && mkdir -p build/release
	$(PYTHON) -m venv build/release/tools
	build/release/tools/bin/python -m pip install --quiet build twine
	build/release/tools/bin/python -m build --outdir build/release .
	build/release/tools/bin/python -m twine check --strict build/release/*.whl build/release/*.tar.gz
	$(PYTHON) -m venv build/release/venv
	build/release/venv/bin/python -m pip install --quiet --constraint constraints.txt build/release/*.whl
	cd build/release && venv/bin/s4d-suite plan suite:quickstart.yaml && venv/bin/s4d-suite init study
	cd build/release/study && ../venv/bin/s4d-suite grids/mine.yaml

# The oldest packages that pyproject.toml allows, in an environment of their own (torch stays at its pin).
oldest:
	rm -rf build/oldest && mkdir -p build/oldest
	$(PYTHON) tools/oldest.py > build/oldest/constraints.txt
	$(PYTHON) -m venv build/oldest/venv
	build/oldest/venv/bin/python -m pip install --quiet --constraint build/oldest/constraints.txt --editable . pytest hypothesis
	build/oldest/venv/bin/python -m pytest -q -m "not slow and not gpu and not slurm" $(OLDEST)

lint: $(LINT)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

exactness: $(READY)
	PYTHONPATH=tests/support $(VENV)/bin/python tools/exactness.py

$(READY): pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) .
	touch $@

$(VENV)/.ready-%: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) '.[$*]'
	touch $@ $(READY)

$(VENV)/bin/pip:  # the last file of a new environment
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or later is needed: make PYTHON=…"'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)

.PHONY: install run tables-mini test slow check slurm gpu bench docs pictures transcript release oldest lint exactness clean
.NOTPARALLEL:  # one pip at a time in an environment
