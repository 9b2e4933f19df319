PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
BENCH ?= bench_results
# Where segment operations are called; kernels know nothing of torch-scatter.
WITHOUT_SCATTER := $(foreach room,ops nn models,tests/$(room) pyg_sgm/$(room)) \
	--ignore=tests/ops/test_kernels.py --ignore=pyg_sgm/ops/kernels

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz kill lint docs linkcheck bench clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

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

$(VENV)/.docs: $(VENV)/.train
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

demo: $(VENV)/.train  ## Train SGM on a synthetic world, print its recall, draw one match
	$(BIN)/python examples/quickstart.py

lint: $(VENV)/.dev  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/mypy

test: lint  ## Run every test and doctest, with and without torch-scatter
	$(BIN)/pytest
	PYG_SGM_TEST_WITHOUT_SCATTER=1 $(BIN)/pytest $(WITHOUT_SCATTER)

docs: $(VENV)/.docs  ## Build the documentation in docs/_build/html; warnings are errors
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs docs/_build/html

linkcheck: $(VENV)/.docs  ## Try every link of the documentation (needs the network)
	$(BIN)/sphinx-build --builder linkcheck --quiet docs docs/_build/linkcheck

FUZZ ?= 20000

fuzz: $(VENV)/.dev  ## Open mutated files with every reader (minutes; FUZZ=number of inputs)
	$(BIN)/python -m tests.fuzz.fuzz --inputs $(FUZZ)

# Small sizes, minutes in all; the sizes of the reported figures are in each script's help.
bench: $(VENV)/.dev  ## Run the speed benchmarks on small sizes
	for model in sgm hoad; do for dtype in float32 bfloat16; do \
		$(BIN)/python benchmarks/throughput.py --model $$model --dtype $$dtype \
			--images 100 --captions 200 --out $(BENCH) || exit 1; \
		$(BIN)/python benchmarks/scaling.py --model $$model --dtype $$dtype \
			--sizes 50x100 100x200 200x400 --out $(BENCH) || exit 1; \
	done; done
	$(BIN)/python benchmarks/scaling.py --sizes 100x500 200x1000 --stream --out $(BENCH)
	$(BIN)/python benchmarks/ranks.py --images 1000 --captions 5000 --out $(BENCH)
	$(BIN)/python benchmarks/segment.py --out $(BENCH)
	$(BIN)/python benchmarks/training_throughput.py --steps 3 --out $(BENCH)

kill: $(VENV)/.dev  ## Kill trainings, extractions and changes of an index; all go on
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.kills
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.index.killed

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) $(BENCH) docs/_build .pytest_cache .mypy_cache .ruff_cache
