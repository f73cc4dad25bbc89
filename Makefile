# Emporium. `make help` says what there is.

VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
DEV     := $(VENV)/.installed-dev
WORKERS ?= 2

# What is installed is what constraints.txt says, the build requirements included (older pips read the first variable).
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install \
       --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test prove clean

help: ## Show this help
	@echo "Emporium: make TARGET [PYTHON=python3.12]"
	@sed -n 's/^\([a-z]*\):.*## /  \1|/p' Makefile | while IFS='|' read -r name text; do printf '%-8s %s\n' "$$name" "$$text"; done

run: $(RUNTIME) ## Install what is needed and open the shop on http://127.0.0.1:8000 (HOST, PORT)
	@exec $(BIN)/emporium run

test: $(DEV) ## Run every check: ruff, mypy, import contracts, migrations, tests
	@exec $(BIN)/python tests/checks.py --workers $(WORKERS)

prove: $(DEV) ## Full sizes, other Pythons, a browser; an hour a call, goes on where it was (MINUTES=60, SALES=file.csv.gz)
	@exec $(BIN)/python benchmarks/prove.py --workers $(WORKERS) $(if $(MINUTES),--minutes "$(MINUTES)") \
	  $(if $(SALES),--sales "$(SALES)")

clean: ## Remove the virtual environment and every cache; the data under .data/ stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find modules platform migrations tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written only after its installation succeeded, so an interrupted one is done again.
$(RUNTIME): $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing Emporium into $(VENV)/ (a minute or two the first time) ..."
	@$(PIP) --editable .
	@touch $@

$(DEV): $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing Emporium and its development tools into $(VENV)/ (a minute or two the first time) ..."
	@$(PIP) --editable ".[dev]"
	@touch $(RUNTIME) $@

# PYTHON=... chooses an interpreter; else the first one on the PATH that is new enough is taken.
$(VENV)/.created:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV)/ with $$("$$python" --version) ..."; \
	    "$$python" -m venv $(VENV) && touch $@ && exit 0; \
	    echo "$$python could not create $(VENV)/ (Debian and Ubuntu: install the package python3-venv)." >&2; exit 1; \
	  fi; \
	done; \
	echo "Emporium needs Python 3.11 or newer; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1 || true)." \
	     "Name another one: make run PYTHON=/path/to/python3.11" >&2; exit 1
