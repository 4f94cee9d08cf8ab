# One virtual environment for everything; every target is idempotent.
PYTHON ?= python3
BIN := .venv/bin
# what users import or request: documented in full
PUBLIC := stance_suite/spectra/analysis.py stance_suite/spectra/comparison.py stance_suite/spectra/audit.py stance_suite/pytest_plugin/fixtures.py

.PHONY: findings test test-browser test-slow test-exhaustive mutation benchmark check setup pictures wheel lock clean

findings: setup  ## fine-tune, measure and judge: the main job; ends with the report's path
	$(BIN)/pytest stance_tests $(ARGS)

test: setup  ## the project's own tests; one thread a worker, or the workers' threads would wait for each other
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -n 2 --dist worksteal $(ARGS)

test-browser: setup  ## the report in Chromium; on real weights, quick after `make findings`
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser -m browser -n 2 --dist loadfile $(ARGS)

test-slow: setup  ## the tests that fine-tune SmolLM2, lose machines of a Ray cluster, kill runs; after `make findings`, which measures cells of theirs; and property tests on many examples
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -m "slow or (hypothesis and not exhaustive and not browser)" --hypothesis-profile ci -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-exhaustive: setup  ## parity with WeightWatcher's slow paths on every matrix; ten trainings without a stance; sixty kills
	$(BIN)/pytest tests -m exhaustive $(ARGS)

mutation: setup  ## which share of deliberate mistakes in what judges and measures the tests notice
	rm -rf mutants
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children 2
	$(BIN)/python -m tests.mutation

benchmark: setup  ## ratios within one run: speed against WeightWatcher and the bare eigensolver, the report, estimates, sweeps; an hour
	$(BIN)/python benchmarks/spectra.py
	$(BIN)/python -m benchmarks.report
	$(BIN)/python benchmarks/estimates.py
	$(BIN)/python -m benchmarks.sweep speedup
	$(BIN)/python -m benchmarks.sweep growth

check: setup  ## lint, types, layers, docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc.hooks.validate_docstrings $(PUBLIC)
	$(BIN)/stance-suite validate

setup: .venv/.installed

# modules are compiled when they are imported; most never are
.venv/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

pictures: findings  ## renew the README's figures and picture, and docs/findings.md, from a real run
	$(BIN)/python docs/pages.py reports/findings.json

wheel: setup  ## build the wheel, which carries the fixtures
	$(BIN)/python -m build --wheel

lock:  ## renew requirements.lock; CUDA's packages are left out: PyTorch's own wheel asks for them where it needs them
	uv pip compile --universal --extra dev --python-version 3.11 --no-header --no-annotate --quiet \
	  --constraint constraints.txt pyproject.toml | grep -vE '^(nvidia|cuda|triton)' > requirements.lock

clean:
	rm -rf .venv build dist reports mutants .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
