# Everything a newcomer or CI needs: `make help` lists it. Each verb sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DETECTION := $(VENV)/.detection
REQUIREMENTS := requirements/runtime.txt requirements/dev.txt requirements/docs.txt requirements/mmcv.txt
# More workers or threads than cores only slow the small models of the tests down.
# Each worker keeps to its half of the files, whose fixtures are then made once, and takes over what the other has left.
# What takes two seconds is listed: the suite is to stay short.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations 40 --durations-min 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup det lint format test test-gpu test-slow demo demo-det docs clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@grep -hE '^# [A-Z_]+: ' $(MAKEFILE_LIST) | sed -E 's/^# ([A-Z_]+): /  \1\t/' | expand -t 20

# Variables, as `make help` lists them:
# PYTHON: which Python .venv is made with, for instance make setup PYTHON=python3.12

setup: $(STAMP) ## make .venv with the pinned dependencies and mixssl, editable

det: $(DETECTION) ## add what detection needs

lint: $(STAMP) ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## put the code into the style that lint wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(DETECTION) ## run the test suite; needs det
	$(PYTEST) -m "not slow and not gpu"

test-gpu: $(DETECTION) ## run on a GPU all tests that can; needs det
	@$(BIN)/python -c 'import sys, torch; torch.cuda.is_available() or sys.exit("make test-gpu: torch finds no GPU here")'
	MIXSSL_TEST_DEVICE=cuda $(PYTEST) -m "gpu or device"

test-slow: $(DETECTION) ## run the tests that take minutes; needs det
	$(PYTEST) -m "slow and not gpu"

demo: $(STAMP) ## pre-train with and without mixtures on real images, compare, draw
	$(BIN)/python tools/demo.py

demo-det: $(DETECTION) ## pre-train, transfer to detection and compare AP, on scenes of digits; needs det
	$(BIN)/python tools/demo_det.py

docs: $(STAMP) ## build docs/en into a site, docs/_build/docs/en/index.html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . docs/_build
	@echo "docs/_build/docs/en/index.html"

clean: ## remove .venv, caches and build products; keeps work_dirs
	rm -rf $(VENV) build dist docs/_build docs/en/reference *.egg-info mixssl/.mim .mypy_cache .ruff_cache .pytest_cache
	find mixssl configs tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

# mmcv without its dependencies, see requirements/runtime.txt, and without its operators, which would have to be compiled:
# torchvision's stand in for those that are needed.
$(STAMP): $(REQUIREMENTS) setup.py mixssl/utils/versions.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || { \
	  echo "mixssl needs Python 3.10 to 3.13, but $(PYTHON) is $$($(PYTHON) --version 2>&1); choose one: make setup PYTHON=python3.12" >&2; \
	  exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned dependencies into $(VENV) (about 5 GB, a few minutes)"
	$(BIN)/pip install -q -r requirements/runtime.txt -r requirements/dev.txt -r requirements/docs.txt
	MMCV_WITH_OPS=0 $(BIN)/pip install -q --no-deps -r requirements/mmcv.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import mixssl; print("mixssl", mixssl.__version__, "is installed; use it with: source $(VENV)/bin/activate")'
	@touch $@

# Without dependencies for the same reason.
$(DETECTION): $(STAMP) requirements/det.txt
	$(BIN)/pip install -q --no-deps -r requirements/det.txt
	@$(BIN)/python -c 'import mixssl, mmdet.datasets, mmdet.models; print("mmdet", mmdet.__version__, "is installed")'
	@touch $@
