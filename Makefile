# make setup   an environment in .venv with the extras `models` and `dev`, from the pinned versions
#              (others: make setup EXTRAS=models,dev,dask,ray,decord,dlib,insightface)
# make demo    the whole way on the embedded data set, to an HTML report in demo/
# make test    the test suite
# make lint    formatting, linting, types, import contracts
# make bench   the quick speed measurements, as ratios; the long ones are in benchmarks/, see docs/speed.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= models,dev
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

.PHONY: setup demo test lint bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $(STAMP)

demo: setup
	$(BIN)/dfbench demo --out demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/reader.py
	$(BIN)/python benchmarks/faces.py

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
