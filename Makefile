# `make demo` and `make test` each go from a bare clone to done. Set PYTHON to choose another interpreter (3.11 or later).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Peers that do not install beside lemmata have environments of their own (benchmarks/peers/README.md): the interpreters
# with neural-tangents, with torchattacks and with auto_LiRPA. Without one its benchmark runs, and says who was missing.
KERNEL_PEERS ?= $(BIN)/python
ATTACK_PEERS ?= $(BIN)/python
BOUND_PEERS ?= $(BIN)/python

.PHONY: demo test slow lint types imports docs benchmarks clean

demo: $(VENV)/installed
	$(BIN)/lemmata run heckel-2021
	$(BIN)/lemmata run zhang-2021

test: lint types imports $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) -m "not slow and not gpu" -rs

slow: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "slow and not gpu" -rs --timeout 1800

lint: $(VENV)/installed
	$(BIN)/ruff check --output-format concise
	$(BIN)/ruff format --check

types: $(VENV)/installed
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

imports: $(VENV)/installed
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

benchmarks: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[benchmarks]'
	$(BIN)/python benchmarks/ensemble.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/curvature.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/landscape.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/worst_case.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/certificates.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/softmax.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/varpro.py
	OMP_NUM_THREADS=1 $(KERNEL_PEERS) benchmarks/kernels.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/smoothing.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robust_training.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/gibbs_risk.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/pac_bayes.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/operator_norms.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/measure_grid.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/critical.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/paths.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/permutation.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/pruning.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/teacher_student.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/propagation.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/flows_reversible.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/flows_parallel.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/studies.py
	OMP_NUM_THREADS=1 PYTHONPATH=src $(ATTACK_PEERS) benchmarks/attacks.py
	OMP_NUM_THREADS=1 PYTHONPATH=src $(BOUND_PEERS) benchmarks/linear_bounds.py
ifdef LEMMATA_DATA
	$(BIN)/python benchmarks/certification_samples.py --data-dir $(LEMMATA_DATA)
endif

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	$(BIN)/python -m pip check
	touch $@

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .ruff_cache
