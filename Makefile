# Every target is a few plain commands; README spells them out for machines without make.

HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run install install-dev test test-sqlite test-postgresql coverage faults lint bench \
	screenshots browser postgresql clean

help:
	@echo "make run           start the clinic at http://$(HOST):$(PORT)   (HOST=… PORT=… choose the address)"
	@echo "make test          the whole suite on SQLite and on PostgreSQL, browser tests included"
	@echo "make faults        long rounds of races, kills and full disks; writes reports/faults.json"
	@echo "make coverage      which lines and branches no test goes through (TESTS=… chooses tests)"
	@echo "make lint          style, templates, migrations, deployment checks"
	@echo "make bench         measure this machine and write docs/benchmarks.md"
	@echo "make screenshots   pictures of the main pages in reports/"
	@echo "make install       only make .venv with what the site needs"
	@echo "make install-dev   and with what the tests need"

run: install
	@exec $(BIN)/python manage.py serve --demo-week --host "$(HOST)" --port "$(PORT)"

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python cannot make a virtual environment. Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making .venv …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt | $(VENV)/bin/pip
	@echo "Installing what the site needs …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "Installing what the tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| { echo "The browser tests need Chromium: install the package chromium"; exit 1; }

# Debian's own: the one in the wheel has no TLS. Its programs alone; the tests start a server of theirs.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
		|| { echo "The tests of docs/running.md need PostgreSQL: install the package postgresql"; exit 1; }

test: test-sqlite test-postgresql

test-sqlite: $(VENV)/installed-dev browser
	$(BIN)/pytest -n 2

test-postgresql: $(VENV)/installed-dev browser postgresql
	$(BIN)/pytest -n 2 --pg

# One process on SQLite, without browsers: what servers started by a test go through is not counted.
coverage: $(VENV)/installed-dev
	@mkdir -p reports
	$(BIN)/coverage run -m pytest -m "not night and not browser" $(TESTS)
	$(BIN)/coverage report
	@for room in lifecycle availability messaging; do echo; echo "bookings/$$room"; \
		$(BIN)/coverage report --show-missing --include "bookings/$$room/*" || exit 1; done

# The long rounds of the fault tests, half an hour or more on each database; as root they also fill
# a small disk. Their counts are in reports/faults.json, for both databases. Before a release,
# FAULTS_LONG_RUN_SECONDS=7200 lets visits go on for two hours.
faults: $(VENV)/installed-dev
	$(BIN)/pytest -m night; sqlite=$$?; $(BIN)/pytest -m "night or browser" --pg && exit $$sqlite

# The deployment check reads the settings of a public site, as docs/running.md has them.
lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find templates -name '*.html' -print0 | xargs -0 $(BIN)/djade --check --target-version 5.2
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	SITE_URL=https://clinic.example TRUSTED_PROXIES=1 EMAIL_URL=submission://user:password@mail.example \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench

screenshots: $(VENV)/installed-dev browser
	$(BIN)/python -m tests.browser.screenshots

clean:
	rm -rf $(VENV) reports .pytest_cache .ruff_cache .mypy_cache
