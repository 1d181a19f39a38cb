# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
PEERS ?= .peers

.PHONY: demo test families figures check-slow bench lint format chromium clean

demo: $(STAMP)
	$(BIN)/merit-interp demo --out runs/demo --resume

figures: $(STAMP) chromium
	$(BIN)/python figures/gallery.py

test: $(STAMP) chromium lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not benchmark and not peers"

check-slow: $(STAMP) chromium
	$(BIN)/python -m pytest -m slow

bench: $(STAMP)
	MERIT_INTERP_PEERS_PYTHON=$(PEERS)/bin/python $(BIN)/python -m pytest tests -m benchmark -s

# Other tools have dependencies of their own, so they get an environment of their own.
peers: $(STAMP) $(PEERS)/.installed
	MERIT_INTERP_PEERS_PYTHON=$(PEERS)/bin/python $(BIN)/python -m pytest tests -m peers -s

$(PEERS)/.installed: constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt torch
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt "mergekit>=0.1.5"
	touch $@

# Runs every family through the whole path, and writes what went through into README.
families: $(STAMP)
	rm -f .families.jsonl
	MERIT_INTERP_VERIFIED=.families.jsonl \
	  $(BIN)/python -m pytest tests/families/test_whole_path.py -n $(WORKERS)
	$(BIN)/python -m tests.families.verified .families.jsonl
	rm .families.jsonl

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

# PNG, SVG and PDF of a figure need a browser; without one these are skipped with a message,
# except in CI, which must have it.
chromium:
	@command -v chromium >/dev/null || \
	{ command -v apt-get >/dev/null && apt-get update -qq && \
	  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	{ echo "chromium is not here and could not be installed: browser tests will be skipped"; \
	  test -z "$$CI"; }

clean:
	rm -rf $(VENV) $(PEERS) runs build dist .mypy_cache .pytest_cache .ruff_cache
