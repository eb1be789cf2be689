# make reproduce: run every notebook, rewrite figures and tables     make test: all checks
# make base: the weights of the text encoder mpnet, of base size (404 MB)
# make models: train the models that come along again, in data/models (needs the corpus twitter2017; an hour on one core)
# make book: the notebooks and docs as a site, in build/book/html     make slides: two lectures, also as PDF
# make students: the notebooks without the solutions of their exercises; FORMAT=nbgrader or otter for these graders
# make mutants: single wrong lines in hamner/model, one by one; the tests must notice each
# make test-browser: the notebooks in a JupyterLab that a headless Chromium drives (its chromedriver has to be there)
# make kills: 200 processes killed at random moments; nothing may be lost (some minutes)
# make lock: pin pyproject.toml's dependencies, with hashes (newer versions: make lock UPGRADE=--upgrade)
# They start from nothing but Python 3.11, 3.12 or 3.13 and need a network for the installation alone.
# make install TORCH=cpu: no CUDA libraries (4.1 GB less on Linux); TORCH=auto: so where there is no NVIDIA GPU
PYTHON ?= $(or $(shell command -v python3.11 || command -v python3.12 || command -v python3.13),python3.11)
export TORCH ?= cuda
VENV := .venv
FORMAT ?= plain
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: help install base lock reproduce models students book slides kills test mutants test-browser lint clean

help:
	@sed -n '/^# /!q; s/^# //p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml installer.txt constraints.txt postBuild
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2> /dev/null || \
		{ echo "hamner needs Python 3.11, 3.12 or 3.13: install one, or name it with 'make PYTHON=/path/to/python3.11'" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PATH="$(abspath $(BIN)):$$PATH" ./postBuild
	@touch $@

base: install
	PATH="$(abspath $(BIN)):$$PATH" ./postBuild base.txt

# Locked versions stay as they are while pyproject.toml allows them: the committed results were made with them.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-annotate --custom-compile-command "make lock" $(UPGRADE)

extras = $(BIN)/python -c "import tomllib; \
	extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; \
	print(*[line for name in '$(1)'.split() for line in extras[name]], sep='\n')"

lock: install
	$(LOCK) --no-binary seqeval --extra notebooks --output-file constraints.txt pyproject.toml
	$(LOCK) --group installer --constraints constraints.txt --output-file installer.txt
	$(call extras,minitweets test browser) | $(LOCK) --constraints constraints.txt --output-file test.txt -
	$(call extras,base) | $(LOCK) --no-deps --output-file base.txt -
	$(call extras,site) | $(LOCK) --constraints constraints.txt --constraints test.txt --output-file site.txt -

reproduce: install
	$(BIN)/hamner reproduce

models: install
	$(BIN)/python -m hamner.reproduction.bundle

students: install
	$(BIN)/hamner students --format $(FORMAT)

# The address behind the buttons for Binder and Colab is this checkout's; `make book BOOK="--repository URL"` names another.
book: $(VENV)/.site
	$(BIN)/hamner book $(BOOK)

slides: $(VENV)/.site
	$(BIN)/hamner slides --pdf

$(VENV)/.site $(VENV)/.test: $(VENV)/.%: $(VENV)/.installed %.txt
	PATH="$(abspath $(BIN)):$$PATH" ./postBuild $*.txt
	@touch $@

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes of one thread each; a file's tests stay in one process, for they share what was trained for them.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile

mutants: $(VENV)/.test
	$(BIN)/python tests/mutants.py

kills: $(VENV)/.test
	$(BIN)/python tests/kills.py

test-browser: $(VENV)/.site $(VENV)/.test
	$(BIN)/pytest -rs tests/browser

clean:
	rm -rf $(VENV) build *.egg-info
