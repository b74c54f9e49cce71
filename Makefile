# `make` alone lists the verbs. Every verb that needs the environment makes it first, from the lock.

PYTHON ?= python3
VENV := $(or $(DATAHALL_VENV),.venv)
BIN := $(VENV)/bin
PRESET ?= smoke
# Bytecode is written once and read by every kernel; another project's modules stay out.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long lab lint fix unit notebook lock docs clean

help: ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## the environment, from the lock (ACCELERATOR=gpu, EXTRAS="jax ray runtimes"); nothing if current
	@$(PYTHON) tools/setup.py $(if $(ACCELERATOR),--accelerator $(ACCELERATOR)) $(if $(EXTRAS),--extras $(EXTRAS))

run: setup ## the main job: the course, executed in the quick preset, with a report in build/
	@$(BIN)/datahall run --preset $(PRESET)

lab: setup ## JupyterLab on the course
	@$(BIN)/datahall lab

test: setup ## everything CI runs, a table of minutes at the end; NB=06: what concerns that notebook
	@$(BIN)/python tools/test.py $(if $(NB),--notebooks $(NB))

test-long: setup ## the slow proofs: fresh clones, kill moments, other presets
	@$(BIN)/python tools/test.py long

unit: setup ## tests without notebooks and browser, in under a minute
	@$(BIN)/python tools/test.py unit

lint: setup ## style, types, structure; changes nothing
	@$(BIN)/python tools/test.py lint

fix: setup ## format, normalise notebooks, rebuild labs and generated tables
	@$(BIN)/python tools/fix.py

notebook: setup ## re-execute one notebook in place, then normalise: make notebook NB=03
	@$(BIN)/python -m datahall.course.notebooks execute $(NB)

docs: setup ## the documents that are generated from runs
	@$(BIN)/python tools/fix.py --from-runs

lock: setup ## renew the locks (KEEP=1: change no version; needs uv and network)
	@$(BIN)/python tools/lock.py $(if $(KEEP),--keep)

clean: ## remove what running has made; the environment and your own work stay
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
