# demo, test, quick, replay, lint, oracle, clients, ray, arm, bench, peers: the only commands to learn.
PYTHON ?= python3
VENV := .venv
ORACLE := .venv-oracle
CLIENTS := .venv-clients
RAY := .venv-ray
BIN := $(VENV)/bin
# pytest workers; the graphs themselves use every core
WORKERS ?= 2
DEMO := build/smollm2-135m-instruct

.PHONY: demo test quick bench peers oracle clients ray arm references golden replay lint audit lock clean

demo: $(VENV)/installed
	$(BIN)/intaglio pull smollm2-135m-instruct
	$(BIN)/intaglio compile smollm2-135m-instruct -o $(DEMO) --slots 4
	$(BIN)/intaglio generate $(DEMO) --chat -p "Why is the sky blue?" -n 160

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $(WORKERS)

# what needs no compiled graph
quick: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $(WORKERS) -m "not compiles and not oracle and not arm and not clients and not ray"

bench: $(VENV)/installed
	$(BIN)/intaglio bench smollm2-135m-instruct

# llama.cpp (with cmake and a C++ compiler) and others beside it; ROWS=decode PEERS=ik for less
peers: $(VENV)/installed-plot
	$(BIN)/python benchmarks/peers.py $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers $(PEERS)) \
	    --plot build/peers/peers.png

oracle: $(ORACLE)/installed
	$(ORACLE)/bin/python -m pytest -n $(WORKERS) -m oracle

# batches and replicas on a Ray cluster of this machine, bounded to 5 minutes
ray: $(RAY)/installed
	timeout 300 $(RAY)/bin/python -m pytest -m ray

# other projects' clients against a server of ours; guidellm takes torch from the oracle's folder
clients: $(VENV)/installed-test $(CLIENTS)/installed $(ORACLE)/installed
	$(BIN)/python -m pytest -m clients tests/clients

# aarch64 under qemu's emulation; says why and passes where that cannot be had
arm: $(VENV)/installed-test
	tests/arm/run $(BIN)/python -n $(WORKERS)

references: $(ORACLE)/installed
	$(ORACLE)/bin/python tests/reference/make_references.py

golden: $(VENV)/installed
	$(BIN)/intaglio golden check

# what this tree emits beside what BASE does, by function; ONLY=text for fewer combinations
BASE ?= HEAD
replay: $(VENV)/installed
	PYTHONPATH=tests $(BIN)/python -m replay "$(BASE)" --only "$(ONLY)"

# mypy reads the rooms by their import names, which the folders alone do not have
lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/mypy/intaglio
	for room in cli codegen runtime templates; do ln -sfn ../../../$$room build/mypy/intaglio/$$room; done
	ln -sfn ../../../intaglio/__init__.py build/mypy/intaglio/__init__.py
	MYPYPATH=build/mypy $(BIN)/mypy -p intaglio

audit: $(VENV)/installed-audit
	.ci/audit $(BIN)/pip-audit

$(VENV)/pip:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/pip pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[serve]'
	touch $@

$(VENV)/installed-%: $(VENV)/pip pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[$*]'
	touch $@

$(RAY)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet -c requirements.lock -e '.[test,ray]'
	touch $@

$(ORACLE)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet -c requirements.lock -e '.[test,oracle]'
	touch $@

$(CLIENTS)/installed: tests/clients/requirements.txt tests/clients/fetch_openai_node.py
	$(PYTHON) -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --no-deps --no-compile -r $<
	$(CLIENTS)/bin/python tests/clients/fetch_openai_node.py $(CLIENTS)/openai-node
	touch $@

# the versions CI and make install; run in a fresh .venv after changing pyproject.toml
lock: $(VENV)/pip
	$(BIN)/python -m pip install --quiet --upgrade -e '.[test,lint,audit]'
	$(BIN)/python -m pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf build $(VENV) $(ORACLE) $(CLIENTS) $(RAY) *.egg-info
