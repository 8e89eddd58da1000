# Everything runs in .venv, made on first use from the locked, hashed requirements:
# a Python >= 3.11 and make are all that has to be there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin
UV ?= uv
PYTEST_ARGS ?=
TEST_PROCESSES ?= 5
# Compiled once, not by each of the hundreds of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
# Most tests wait, so more of them run at once than there are CPUs; what measures time runs alone.
# Exit status 5: of what was asked for there is nothing in this part.
PYTEST := $(RUN)/python -m pytest --durations=20 --durations-min=5 $(PYTEST_ARGS)
BESIDE := -n $(TEST_PROCESSES)
# Only the files that have such tests: to collect all takes longer than some of them run.
ALONE := -o "testpaths=$(shell grep -rl 'mark\.alone' tests)"
OR_NONE := || [ $$? -eq 5 ]
# What walks the ledger, queue, worker and runner step by step; sizes of other tests are in test-full.
WALKS := $(patsubst %,tests/faults/test_%.py,random_kills chaos redis_away comparison_kills kill_points \
	orphans frozen_owner retries deploys spoiled_processes durability api_kills)
# Both parts, also if the first one fails, so that `make test-again` knows of all that failed.
both = failed=0; { $(1) $(OR_NONE); } || failed=1; { $(2) $(OR_NONE); } || failed=1; exit $$failed

.PHONY: help demo test test-again test-full test-walks chaos bench lint lint-js check docs screenshots lock clean
help:  ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.local  ## Run the notebook's six ways and one job on real input
	@$(RUN)/batchpool demo

test: $(VENV)/.dev  ## Test each behaviour once, in minutes (what needs Docker is skipped without one)
	@$(call both,$(PYTEST) $(BESIDE) -m 'not full and not alone',$(PYTEST) $(ALONE) -m 'alone and not full')

test-again: $(VENV)/.dev  ## Run the tests that failed last time once more, one after the other
	$(PYTEST) --last-failed --last-failed-no-failures none -m '' $(OR_NONE)

test-full: $(VENV)/.dev  ## Test at full size: all walks, drills and other seeds too
	@$(call both,$(PYTEST) $(BESIDE) -m 'not alone',$(PYTEST) $(ALONE) -m alone)

test-walks: $(VENV)/.dev  ## Run the full walks of the ledger, queue, worker and runner alone
	$(PYTEST) $(BESIDE) -m full $(WALKS)

chaos: $(VENV)/.dev  ## Kill and freeze a stack at random: make chaos SECONDS=300 SEED=1
	@$(RUN)/python -m tests.faults.chaos $(or $(SECONDS),300) $(SEED)

bench: $(VENV)/.dev  ## Measure ours beside its peers: make bench BENCH_ARGS='--quick --only W1,W4'
	@$(RUN)/python -m benchmarks $(BENCH_ARGS)

lint: $(VENV)/.dev  ## Format, lint, types, layers: check only
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy --strict
	$(RUN)/lint-imports

lint-js: tests/browser/node_modules  ## Check the pages' JavaScript (needs npm; the pages do not)
	$</.bin/tsc --project tests/browser
	$</.bin/eslint --config tests/browser/eslint.config.js service/batchpool/pages/static

check: lint lint-js test  ## What CI runs

docs: $(VENV)/.dev  ## Write the pages that are made from the code
	@$(RUN)/python docs/make_configuration.py
	@$(RUN)/python docs/make_reference.py

screenshots: $(VENV)/.dev  ## Take the pictures of the pages anew (needs chromium)
	@$(RUN)/python docs/make_images.py

lock:  ## Write the locked requirements anew (needs uv)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(LOCK_ARGS) \
		pyproject.toml --extra local --extra dev --group build -o requirements/dev.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.lock \
		pyproject.toml --extra local --group build --no-annotate -o requirements/local.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.lock \
		pyproject.toml --extra service --no-annotate -o requirements/image.lock

clean:  ## Remove .venv and all caches
	rm -rf $(VENV) tests/browser/node_modules dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

tests/browser/node_modules: tests/browser/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is not on PATH; on Debian and Ubuntu: apt install npm' >&2; exit 1; }
	@npm ci --prefix tests/browser --no-audit --no-fund --silent
	@touch $@

# A stamp says that the environment holds what its lock names, so that set-up is done once.
# The tests are compiled with it, once: else each test process would, all at the same time.
$(VENV)/.local: requirements/local.lock pyproject.toml | $(VENV)/bin/python
	@echo 'setting up $(VENV) ...' >&2
	@$(RUN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/local.lock
	@$(RUN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.local
	@$(RUN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(RUN)/python -m pytest --collect-only -qq >/dev/null || true
	@touch $@

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'batchpool needs Python 3.11 or newer; none is on PATH (PYTHON=... names one)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'this Python makes no virtual environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
