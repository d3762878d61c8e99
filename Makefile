# Two commands on a fresh machine: `make demo` and `make test`. Python 3.11 and make are all they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BEAM := 2.77.0
PRISM := .engines/bin/prism
# An emulator of Cloud Storage; that of S3 is among requirements-engines.txt.
GCS := .engines/bin/fake-gcs-server
GCS_VERSION := 1.56.1
# The job servers of Flink and Spark; Maven knows from its own settings where jars come from.
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DincludeScope=runtime

# Processes that tests are dealt out to, and which tests: all, unless ONLY names folders or files.
JOBS ?= auto
ONLY ?=
# What `make touched` compares with.
SINCE ?= HEAD

# Bytecode is kept, whatever the environment says: lanes and commands that tests start would else compile all of pmd anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-long touched test-engines test-consumers consumers check docs bench engines prism flink spark jars emulators lock platforms wheel clean

help:
	@echo "make demo     run the whole thing on a small built-in web"
	@echo "make test     run the tests, or some of them: make test ONLY=tests/store"
	@echo "make test-long  run the tests that make test leaves out: kills, builds again and again, other engines, the wheel"
	@echo "make touched  run the tests that a change touches: make touched SINCE=main"
	@echo "make check    format, lint, types"
	@echo "make docs     write the tables of docs that are made of what the code declares: options, reasons"
	@echo "make bench    run the benchmarks"
	@echo "make engines  get Prism (needs Go), and the job servers of Flink and Spark (need Maven and Java 17); each alone: make flink"
	@echo "make test-engines  run the tests on these engines and on emulators of object stores"
	@echo "make test-consumers  try what the demo publishes with those whom it is for"

# Of makes that are run at once one installs, and the others wait for it: what holds the lock is this make's own process.
ALONE := $(PYTHON) -c 'import fcntl, os, sys; lock = os.open("pyproject.toml", os.O_RDWR); os.set_inheritable(lock, True); \
fcntl.flock(lock, fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])' $(MAKE) --no-print-directory IS_ALONE=1

# Stamps: nothing is installed again while the pins are the same.
ifndef IS_ALONE
$(VENV)/.core: requirements.txt pyproject.toml
	@echo "installing into $(VENV), once no other make does"
	@$(ALONE) $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	@$(ALONE) $@
else
# An environment that was begun and left has no pip. Compat: by a path, as in a wheel; by setuptools' finder a folder called pmd, as
# the demo's ROOT is, is what `import pmd` gives in the folder in which it stands.
$(VENV)/.core: requirements.txt pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	--config-settings editable_mode=compat --editable .
	$(BIN)/python -m compileall -q -j 0 pmd pipelines
	touch $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	touch $@
endif

demo: $(VENV)/.core
	$(BIN)/pmd demo --out out/demo

# Modules stay together, so that what they share is made once. What is long is apart, unless it is named (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadscope --no-loadscope-reorder --durations 30

test: $(VENV)/.dev
	$(PYTEST) $(or $(ONLY),-m "not long")
	@test -n "$(ONLY)" || echo "The others: make test-long. Some of them: make test ONLY=tests/store. What a change touches: make touched SINCE=main"

test-long: $(VENV)/.dev
	$(PYTEST) -m long

touched: $(VENV)/.dev
	only=$$($(BIN)/python -m tests.touched $(SINCE)) && $(MAKE) test ONLY="$$only"

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/python -m tests.documents

bench: $(VENV)/.dev
	@failed=; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo "not reached, or not to be run here:$$failed"; exit 1; }

ON_STORES := $(addprefix tests/end_to_end/, test_prism.py test_dataflow.py test_engines_on_stores.py)

# On object stores: clients and emulators are in a folder of their own, so that what users install is tested without them.
test-engines: $(VENV)/.dev engines emulators
	PYTHONPATH=$(CURDIR)/.engines/lib PMD_WHOLE_ENGINES=1 $(BIN)/python -m pytest -rs tests/object_stores $(ON_STORES)
	PMD_WHOLE_ENGINES=1 $(BIN)/python -m pytest -rs tests/end_to_end/test_clusters.py

# Readers of what is published: in a folder of their own, likewise. PMD_DEMO names a demo that is built already.
test-consumers: $(VENV)/.dev consumers
	PMD_CONSUMERS=1 PYTHONPATH=$(CURDIR)/.consumers/lib $(BIN)/python -m pytest -rs tests/consumers

consumers: .consumers/.lib

.consumers/.lib: requirements-consumers.txt $(VENV)/.core
	rm -rf .consumers/lib
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .consumers/lib -r requirements-consumers.txt
	touch $@

engines: prism flink spark

prism: $(PRISM)

flink: .engines/.flink

spark: .engines/.spark

# By version and digest: neither more jars than are listed, nor others.
.engines/.flink .engines/.spark: .engines/.%: engines/%/pom.xml engines/%/jars.sha256
	rm -rf .engines/$*
	mvn --quiet --batch-mode --file engines/$*/pom.xml $(MAVEN_COPY) -DoutputDirectory=$(CURDIR)/.engines/$*
	cd .engines/$* && sha256sum --check --quiet --strict $(CURDIR)/engines/$*/jars.sha256
	cd .engines/$* && LC_ALL=C sha256sum *.jar | cmp - $(CURDIR)/engines/$*/jars.sha256
	touch $@

# The lists anew, when a pom has changed: look at what has.
jars:
	for engine in flink spark; do rm -rf .engines/$$engine && \
	mvn --quiet --batch-mode --file engines/$$engine/pom.xml $(MAVEN_COPY) -DoutputDirectory=$(CURDIR)/.engines/$$engine && \
	(cd .engines/$$engine && LC_ALL=C sha256sum *.jar) > engines/$$engine/jars.sha256 || exit 1; done

emulators: $(GCS) .engines/.lib

$(PRISM):
	GOBIN=$(CURDIR)/.engines/bin go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(BEAM)

$(GCS):
	GOBIN=$(CURDIR)/.engines/bin go install github.com/fsouza/fake-gcs-server@v$(GCS_VERSION)

.engines/.lib: requirements-engines.txt $(VENV)/.core
	rm -rf .engines/lib
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .engines/lib -r requirements-engines.txt
	touch $@

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

# Pins with hashes, and no index: wherever packages come from, they are these.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev -o requirements-dev.txt
	sed 's/ *--hash.*//; s/ \\$$//; s/ ;.*//' requirements-dev.txt | grep == > .constraints
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group environment -c .constraints -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group engines -c .constraints -o requirements-engines.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group consumers -c .constraints -o requirements-consumers.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra gcp --group environment -c .constraints -o requirements-dataflow.txt
	rm .constraints

# Whether what users install has wheels for each machine and Python that metadata allows; nothing is installed. pycld2 has none
# for Linux on arm64: pip compiles it there (C++).
platforms:
	@for machine in x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin; do for python in 3.11 3.12 3.13; do \
	case $$machine in aarch64-manylinux*) but=pycld2;; *) but=;; esac; \
	uv pip compile -q --python-platform $$machine --python-version $$python --only-binary :all: $${but:+--no-binary $$but} \
	pyproject.toml -o /dev/null && echo "$$machine, Python $$python: wheels of all$${but:+ but $$but}" || exit 1; done; done

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
