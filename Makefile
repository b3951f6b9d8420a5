# Everything that is done with this repository, as one word each. Needs GNU make 3.81 and Python 3.11 or newer; the rest
# is installed into .venv, once for each content of the requirements files.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The newest Python wins; `make PYTHON=/path/to/python run` decides otherwise.
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq
STAMP := $(VENV)/.runs-$(shell cat requirements.txt | cksum | tr -d ' ')
DEV_STAMP := $(VENV)/.tests-$(shell cat requirements.txt requirements-dev.txt | cksum | tr -d ' ')
COMPILE := $(PY) -m piptools compile --quiet --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-emit-options

.PHONY: help run test check lint bench migrate flask replay requirements screenshots event-list clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: $(STAMP) ## Start the portal with a sandbox, on this machine; Ctrl-C stops it
	@$(PY) run.py

test: lint ## Lint, type check and run all tests; ARGS="-k wizard -x" goes to pytest
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

check: lint ## Lint, type check and the house rules, without the other tests
	$(PY) -m pytest -q tests/test_conventions.py

lint: $(DEV_STAMP) ## Ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(DEV_STAMP) ## Measure speed and memory; prints figures and ratios
	$(PY) -m bench $(ARGS)

migrate: $(STAMP) ## Bring the database of `make run` up to date
	@$(MAKE) --no-print-directory flask ARGS="db upgrade"

flask: $(STAMP) ## A command of the portal with the settings of `make run`, such as ARGS="doctor"
	@settings="$${PORTAL_DATA_DIR:-var}/settings.env"; \
	if [ -f "$$settings" ]; then . "$$settings"; fi; \
	$(PY) -m flask --app wsgi $(ARGS)

requirements: $(DEV_STAMP) ## Compile requirements.txt and requirements-dev.txt anew
	$(COMPILE) --upgrade --output-file requirements.txt requirements.in
	$(COMPILE) --upgrade --output-file requirements-dev.txt requirements-dev.in

replay: $(STAMP) ## Send a real purchase history to the running demo; ARGS="FILE --rows 500 --now"
	@$(PY) -m examples.replay $(ARGS)

screenshots: $(DEV_STAMP) ## Make the pictures of README anew
	$(PY) -m docs.screenshots $(ARGS)

event-list: $(STAMP) ## Write docs/events.md from the catalogue
	$(PY) -m docs.write_events

clean: ## Remove what was installed, built and cached; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment ---------------------------------------------------------------------

$(STAMP): requirements.txt
	@$(make_venv)
	@echo "Installing what the portal needs, once; about a minute ..."
	@$(PIP) install -r requirements.txt
	@rm -f $(VENV)/.runs-* && touch $@

$(DEV_STAMP): requirements.txt requirements-dev.txt
	@$(make_venv)
	@echo "Installing what the portal and its tests need ..."
	@$(PIP) install -r requirements.txt -r requirements-dev.txt
	@rm -f $(VENV)/.runs-* $(VENV)/.tests-* && touch $(STAMP) $@

# A name on the PATH is not enough: it may be a stub, too old, or (Debian) lack the parts that make an environment.
define make_venv
fits='import sys; sys.exit(sys.version_info < (3, 11))'; \
tells='import sys; print("%d.%d" % sys.version_info[:2])'; \
if $(PY) -c "$$fits" 2>/dev/null && $(PIP) --version >/dev/null 2>&1; then exit 0; fi; \
lacks=; old=; \
for python in $(PYTHONS); do \
	if ! "$$python" -c "$$fits" 2>/dev/null; then \
		version=$$("$$python" -c "$$tells" 2>/dev/null) && old="$$python is $$version"; \
		continue; \
	fi; \
	if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		"$$python" -m venv --clear $(VENV) && exit 0; \
	fi; \
	lacks="$$python"; \
done; \
if [ -n "$$lacks" ]; then \
	echo "$$lacks cannot make virtual environments. Install its venv package (Debian, Ubuntu: python3-venv)." >&2; \
elif [ -n "$$old" ]; then \
	echo "Python 3.11 or newer is needed; $$old. Install a newer one, or name it: make PYTHON=/path/to/python run" >&2; \
else \
	echo "Python 3.11 or newer is needed and was not found. Install it, or name it: make PYTHON=/path/to/python run" >&2; \
fi; \
exit 1
endef
