# make setup   an environment in .venv with the extras `models` and `dev`, from the pinned versions
#              (others: make setup EXTRAS=models,dev,dask,ray,decord,dlib,insightface)
# make demo    the whole way on the embedded data set, to an HTML report in demo/
# make test    the test suite
# make test-lowest   the test suite with the lowest versions that pyproject.toml allows
# make lint    formatting, linting, types, import contracts
# make bench   the quick speed measurements, as ratios; the long ones are in benchmarks/, see docs/speed.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= models,dev
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

LOWEST := .venv-lowest

.PHONY: setup demo test test-lowest lint bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $(STAMP)

demo: setup
	$(BIN)/dfbench demo --out demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal

# Without the linters of the extra `dev`, whose lowest versions say nothing about dfbench.
$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-lowest.txt \
	  --editable ".[models,test]"
	touch $@

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/reader.py
	$(BIN)/python benchmarks/faces.py

clean:
	rm -rf $(VENV) $(LOWEST) demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
