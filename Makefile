# make reproduce: run every notebook, rewrite figures and tables     make test: all checks
# make students: the notebooks without the solutions of their exercises
# make test-browser: the notebooks in a JupyterLab that a headless Chromium drives (its chromedriver has to be there)
# They start from nothing but Python 3.11 and need a network for the installation alone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export UV_LINK_MODE ?= copy

.PHONY: help install reproduce students test test-browser lint clean

help:
	@sed -n 's/^# //p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "hamner needs Python 3.11: install it, or name it with 'make PYTHON=/path/to/python3.11'" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".[notebooks,minitweets,test]"
	@touch $@

reproduce: install
	$(BIN)/hamner reproduce

students: install
	$(BIN)/hamner students

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

test-browser: $(VENV)/.browser
	$(BIN)/pytest -rs tests/browser

$(VENV)/.browser: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".[browser]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
