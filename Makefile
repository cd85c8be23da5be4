# Everything here works on a fresh machine that has Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile -q
# Two workers share two cores; without this each would start a thread for every core.
THREADS := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

.PHONY: demo test check lint format types docs test-jax test-tensorflow test-torch clean help

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 20

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[demo]'
	@touch $@

# The tests of the report open it in a browser.
.venv/.test: .venv/bin/python pyproject.toml tools/install_browser.sh
	$(BIN)/pip install --quiet --editable '.[test]'
	bash tools/install_browser.sh
	@touch $@ .venv/.demo

demo: .venv/.demo  ## Train on the data in the package; ends with the answer in demo/
	KERAS_BACKEND=jax $(BIN)/coloss demo

test: lint types docs test-jax test-tensorflow test-torch  ## Everything that CI runs

check: lint types  ## What a developer needs between two edits, in a minute
	KERAS_BACKEND=torch $(PYTEST) tests/test_layers.py tests/objective tests/aggregation \
		tests/transfer tests/joint/values tests/joint/supervision tests/joint/steps \
		tests/joint/balance tests/study/test_statistics.py \
		$(addprefix --ignore=tests/,aggregation/test_references.py \
		joint/balance/test_balance_equal.py joint/balance/test_aggregator_torchjd.py)

lint: .venv/.test  ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test  ## Types
	$(BIN)/mypy

# Without --quiet: what is not logged is not counted either, and nothing would fail.
docs: .venv/.test  ## The documentation, in dist/docs; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Most of the time on JAX goes into machine code that runs once: it is made in the way that
# is quickest to make (no optimization, one emitter, one piece), without places in the source.
QUICK_XLA := XLA_FLAGS="--xla_backend_optimization_level=0 \
	--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1" \
	JAX_TRACEBACK_IN_LOCATIONS_LIMIT=0
# The same program is made once, for all files, workers and processes.
KEPT := JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.pytest_cache/programs \
	JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.02 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1

test-jax: .venv/.test  ## All tests, on JAX
	$(THREADS) $(QUICK_XLA) $(KEPT) KERAS_BACKEND=jax $(PYTEST)

test-tensorflow: .venv/.test  ## The tests that concern a backend, on TensorFlow
	$(THREADS) KERAS_BACKEND=tensorflow $(PYTEST) -m backend

test-torch: .venv/.test  ## The tests that concern a backend, on PyTorch
	$(THREADS) KERAS_BACKEND=torch $(PYTEST) -m backend

format: .venv/.test  ## Mend style where a machine can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove everything that can be made again
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis demo dist
