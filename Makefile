# Everything a fresh machine needs is Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# Folder of Banking77's train.csv and test.csv.
BANKING77 ?= ../shared/data/banking77

.PHONY: install demo test test-full browser check docs format bench mutants clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,demo]"
	# An oracle of the tests; of what it declares, they need statsmodels only (the rest would pull pandas back).
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pylimma==0.2.0
	touch $@

demo: install
	$(BIN)/python fixtures/demo.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal -m "not slow and not minilm and not gpu"

test-full: check browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal --hypothesis-profile search

docs: install
	$(BIN)/python scripts/write_reference.py
	$(BIN)/python scripts/write_schemas.py
	$(BIN)/python scripts/write_models_page.py
	$(BIN)/python scripts/write_checkpoints.py
	$(BIN)/python scripts/write_picture.py
	$(BIN)/python scripts/write_front_page.py
	$(BIN)/mkdocs build --strict

# Pages are looked at in Chromium: installed where that can be done; else their tests fail and say so.
browser:
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v "$$name" >/dev/null && exit 0; \
	done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -qy chromium; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -q && sudo apt-get install -qy chromium; \
	else echo "no Chromium, and no right to install it: install it, or name one in CHROMIUM" >&2; fi

# Hours on two cores; the next call goes on from what was measured of this commit.
bench: install
	$(BIN)/python benchmarks/speed.py --data $(BANKING77) --keep runs/speed-$$(git describe --always --dirty)
	$(BIN)/python benchmarks/parity.py

# An hour or two on two cores: do the tests fall over when the code is changed? Goes on where it was left.
mutants: install
	$(BIN)/python scripts/mutants.py --jobs $(JOBS)

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) site runs band.json .pytest_cache .mypy_cache .ruff_cache
