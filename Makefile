# The verbs of this project. `make run` and `make test` need only Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run demo test check fix bench e2e screenshots clean

run: .venv/run
	$(BIN)/codex-nexus

demo: .venv/run
	$(BIN)/codex-nexus demo

test: .venv/dev
	@sh tests/parts.sh
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest $(PYTEST)

check: .venv/dev
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/pyright
	$(BIN)/lint-imports

fix: .venv/dev
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: .venv/dev
	$(BIN)/python bench/run.py $(BENCH)

e2e: .venv/dev
	$(BIN)/python -m pytest -m e2e $(PYTEST)

screenshots: .venv/dev
	$(BIN)/python -m tests.e2e.screenshots $(SHOTS)

clean:
	rm -rf .venv .cache dist build .pytest_cache .ruff_cache .hypothesis

.venv/run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[socks,postgres]" --group test --group check
	@touch $@ .venv/run
