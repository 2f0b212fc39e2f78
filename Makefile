# Everything a bare machine needs: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.built

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow check format wheel clean

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
	$(BIN)/python -m pytest -m slow

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean:           ## remove what these targets made
	rm -rf $(VENV) dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
