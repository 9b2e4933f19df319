PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# One virtual environment: what the demo needs, then what the tests need on top of it.
$(VENV)/.train: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[train,viz]'
	touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/pip install --quiet --editable '.[all,dev]' setuptools wheel ninja
	# torch-scatter publishes no wheel: it is compiled against the torch installed above.
	MAX_JOBS=$$(nproc) $(BIN)/pip install --quiet --no-build-isolation torch-scatter
	touch $@

demo: $(VENV)/.train  ## Train SGM on a synthetic world, print its recall, draw one match
	$(BIN)/python examples/quickstart.py

lint: $(VENV)/.dev  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## Run every test and doctest, with and without torch-scatter
	$(BIN)/pytest
	PYG_SGM_TEST_WITHOUT_SCATTER=1 $(BIN)/pytest

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
