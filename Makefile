PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
# One thread a process: tests run side by side, and greedy and torch each take what they are given.
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test lint full faults browser study benchmarks containers slurm docs descriptor clean

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

## install: install the app into .venv (2 minutes)
install: $(VENV)/.installed

# The stamp is written last: heads that are not whole, or of other code, are made anew with all that
# was made of them; otherwise `make demo` goes on where it stopped.
$(DEMO)/.phantom: $(wildcard bidsapp/phantom/*.py) | $(VENV)/.installed
	rm -rf $(DEMO)
	@echo "Making 24 synthetic heads ..."
	$(BIN)/python -m bidsapp.phantom $(DEMO)/phantom --participants 24 --effect 0.6
	touch $@

## demo: install, make a small BIDS dataset with a known answer, run the app on it, name the report
demo: $(DEMO)/.phantom
	$(BIN)/nocicast $(DEMO)/phantom $(DEMO)/out participant
	$(BIN)/nocicast $(DEMO)/phantom $(DEMO)/out group --recipe t1w \
		--outcome chronic_pain --positive 1 --set protocol.folds=4
	@echo "The planted effect is found if the held-out AUC is near 1 and the saliency lies in the right insula."
	@echo "Open in a browser: $(DEMO)/out/group/t1w/report.html (the answer),"
	@echo "  $(DEMO)/out/quality.html (all participants), $(DEMO)/out/sub-01.html (one of them)."

## test: install, check style, types and layers, and pass the fast tests
test: $(VENV)/.installed lint
	$(BIN)/pytest -n 2 --dist worksteal -q -m "not slow"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## full: the tests that take minutes, on whole cohorts at the participant level
full: $(VENV)/.installed
	$(BIN)/pytest -n 2 --dist loadfile -q -m slow --deselect tests/integration/test_group_cohorts.py

## faults: damaged files of every kind, 500 each; runs killed, disks full; for a night:
##   NOCICAST_FUZZ_CASES=10000 NOCICAST_KILLS=30 NOCICAST_JOBS_AT_ONCE=20
faults: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt mfusepy || echo "no mfusepy: hosts that see files late are skipped"
	$(BIN)/pytest -n 2 -q tests/faults

## browser: the reports in a real browser, their validity and accessibility; needs chromium, java, node
browser: $(VENV)/.installed
	npm install --silent --no-audit --no-fund --prefix tests/browser || echo "npm brought nothing"
	$(BIN)/pytest -q -n 0 tests/unit/test_group_browser.py tests/unit/test_pages_browser.py tests/unit/test_spine_placing.py

## study: a whole study on real people, a quarter of an hour
study: $(VENV)/.installed
	$(BIN)/pytest -q -m slow tests/integration/test_group_cohorts.py

## benchmarks: all figures of docs/measured.md anew, hours; one: python -m tests.benchmarks NAME --write
benchmarks: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt antspyx
	$(BIN)/python -m tests.benchmarks --write

## containers: build the image; run it as Docker, Singularity and Boutiques do
containers: $(VENV)/.installed
	$(BIN)/pytest -q -s tests/containers

## slurm: both levels on a real one-node cluster, through the plugin and as job arrays
slurm: $(VENV)/.installed
	$(BIN)/pytest -q tests/cluster

## docs: make the generated pages anew, build the site into build/site, check every link
docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt mkdocs-material
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

## descriptor: make descriptors/nocicast.json anew from the command line
descriptor: $(VENV)/.installed
	$(BIN)/python -m bidsapp.descriptor descriptors/nocicast.json

clean:
	rm -rf $(VENV) $(DEMO) *.egg-info .pytest_cache .mypy_cache .ruff_cache
