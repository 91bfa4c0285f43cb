# Everything a contributor runs. 'make' alone lists the targets.
#
# The machine needs git, make and Python 3.11 or newer with its venv module; the rest is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Picks the first interpreter that is new enough, and says plainly what is missing when there is none.
define find_python
for candidate in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
done; \
if [ -z "$${python:-}" ]; then \
	echo "make: dbx needs Python 3.11 or newer, and none was found" >&2; \
	echo "make: install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name yours: make install PYTHON=/path/to/python3.11" >&2; \
	exit 1; \
fi; \
if ! "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	echo "make: '$$python' has no venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; \
	exit 1; \
fi
endef

.PHONY: help
help: ## list the targets (this text)
	@echo "usage: make TARGET"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(STAMP) ## make .venv and install dbx into it

$(VENV)/pyvenv.cfg:
	@$(find_python); "$$python" -m venv $(VENV)

# A recent pip writes a console script that starts faster than the one an older pip writes.
$(STAMP): $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

.PHONY: demo
demo: $(STAMP) ## import real events, look at them, tamper with a copy, see it found
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh fixtures/demo.sh

.PHONY: lint
lint: $(DEV_STAMP) ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

.PHONY: test
test: $(DEV_STAMP) ## every test but those of 'crash' and 'bench'; under ten minutes on two cores
	$(BIN)/pytest -n 3 --dist worksteal --ignore=tests/crash --ignore=tests/bench

.PHONY: retest
retest: $(DEV_STAMP) ## what failed in the last 'make test', one test at a time
	$(BIN)/pytest -n 0 --last-failed --last-failed-no-failures none --ignore=tests/crash --ignore=tests/bench

.PHONY: crash
crash: $(DEV_STAMP) ## kill dbx at every system call that writes, and look (needs strace)
	@command -v strace >/dev/null 2>&1 || { \
		echo "make: the crash tests need strace, and it is not installed (Debian, Ubuntu: apt-get install strace)" >&2; exit 1; }
	$(BIN)/pytest -n 2 --dist worksteal tests/crash

.PHONY: bench
bench: $(DEV_STAMP) ## measure speed and memory beside plain sqlite3
	$(BIN)/python tests/bench/run.py

.PHONY: check
check: lint test ## lint and test

.PHONY: clean
clean: ## remove what make and the tools made, .venv included
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
