# Everything a bare machine needs: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.built
BENCH  := .bench
DOCS   := $(VENV)/.docs

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow check format wheel docs bench-env clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

env: $(STAMP)    ## build .venv from the lock file

# The stamp is written last, so a build that was interrupted is done again.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

demo: $(STAMP)   ## the main job on a generated earth with known truth
	@$(BIN)/python -m wellposed.demo --out demo

test: $(STAMP)   ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(STAMP) ## what is slow by nature
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

docs: $(DOCS)    ## build the documentation into docs/_build/html
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

$(DOCS): $(STAMP) docs/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --requirement docs/requirements.lock
	touch $@

bench-env: $(BENCH)/.built ## build .bench: wellposed and the rivals that benchmarks measure against

$(BENCH)/.built: requirements.lock benchmarks/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --constraint requirements.lock torch numpy scipy hatchling editables
	$(BENCH)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/requirements.lock
	$(BENCH)/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

clean:           ## remove what these targets made
	rm -rf $(VENV) $(BENCH) dist demo docs/_build docs/api docs/examples .pytest_cache .mypy_cache .ruff_cache .hypothesis
