# make setup         an environment in .venv with the extras `models` and `dev`, from the pinned versions
#                    (others: make setup EXTRAS=models,dev,docs,dask,ray,decord,dlib,insightface,diffusion)
# make demo          end to end on the embedded data set, to an HTML report in demo/
# make test          the test suite
# make test-fast     the tests that take no longer than a few seconds each: under 2 minutes on two idle cores
# make test-long     simulations, many fuzzing examples and million-row tables; not part of `make test`;
#                    writes benchmarks/results/long-tests.md
# make test-lowest   the test suite with the lowest versions that pyproject.toml allows
# make coverage      the test suite with line and branch coverage; HTML in build/coverage
# make lint          formatting, linting, types, import contracts, workflows
# make docs          the documentation site in build/site; fails on any warning
# make bench         the quick speed measurements, as ratios; the long ones are in benchmarks/, see docs/speed.md
# make resolution    resolve every extra for every Python version and platform (network) -> docs/results/resolution.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= models,dev
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

LOWEST := .venv-lowest
PARALLEL := -n 2 --dist worksteal

.PHONY: setup demo test test-fast test-long test-lowest coverage lint docs bench resolution clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $(STAMP)

demo: setup
	$(BIN)/dfbench demo --out demo

test: setup
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: setup
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not end_to_end and not long"

test-long: setup
	mkdir -p benchmarks/results
	LONG_TESTS_PAGE=benchmarks/results/long-tests.md $(BIN)/python -m pytest $(PARALLEL) -m long --timeout 3600 tests/long

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest $(PARALLEL)

# Without the linters of the extra `dev`, whose lowest versions say nothing about dfbench.
$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-lowest.txt \
	  --editable ".[models,test]"
	touch $@

coverage: setup
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term --cov-report=html

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_imports.py
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
	  $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

# The variable silences an advertisement of MkDocs' successors.
docs: export NO_MKDOCS_2_WARNING = 1
docs:
	@$(BIN)/python -c "import mkdocs" || { echo "needs the extra docs: make setup EXTRAS=$(EXTRAS),docs"; exit 1; }
	$(BIN)/python -m mkdocs build --strict

bench: setup
	$(BIN)/python benchmarks/reader.py
	$(BIN)/python benchmarks/faces.py

resolution: setup
	$(BIN)/python tools/resolution.py

clean:
	rm -rf $(VENV) $(LOWEST) demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
