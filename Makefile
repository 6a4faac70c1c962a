PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check format bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 12

setup: $(STAMP)  ## create .venv with everything in it

# interegular stands apart: its mere presence doubles the time that Lark takes to build its tables; only the
# test of the grammar's strictness needs it.
$(STAMP): pyproject.toml constraints.txt
	command -v $(PYTHON) >/dev/null && $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers,devices,digits,lsp,tensorboard,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/strict 'interegular>=0.3'
	touch $(STAMP)

demo: setup  ## run examples/quickstart.space on Fashion-MNIST, from search to report
	$(BIN)/onepath run examples/quickstart.space --out runs/quickstart

test: setup  ## run the tests, each file in one of two processes
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: setup  ## format, lint, types, layers, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

check: lint test  ## all of it: before each commit

format: setup  ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## the benchmarks that take minutes
	$(BIN)/python benchmarks/search_memory.py --format json
	$(BIN)/python benchmarks/front_end.py --format json

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
