# Two commands on a fresh machine: `make demo` and `make test`. Python 3.11 and make are all they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BEAM := 2.77.0
PRISM := .engines/bin/prism

.PHONY: help demo test check bench engines lock wheel clean

help:
	@echo "make demo     run the whole thing on a small built-in web"
	@echo "make test     run the tests"
	@echo "make check    format, lint, types"
	@echo "make bench    run the benchmarks"
	@echo "make engines  build Prism, a portable Beam runner (needs Go)"

# Stamps: nothing is installed again while the pins are the same.
$(VENV)/.core: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	touch $@

demo: $(VENV)/.core
	$(BIN)/pmd demo --out out/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	@failed=; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo "not reached, or not to be run here:$$failed"; exit 1; }

engines: $(PRISM)

$(PRISM):
	GOBIN=$(CURDIR)/.engines/bin go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(BEAM)

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

# Pins with hashes, and no index: wherever packages come from, they are these.
lock:
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev -o requirements-dev.txt
	sed 's/ *--hash.*//; s/ \\$$//' requirements-dev.txt | grep == > .constraints
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group environment -c .constraints -o requirements.txt
	rm .constraints

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
