# The habits of this project. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo shipped bench performance test test-unit test-integration test-models test-faults test-bench test-netem fuzz soak lint format up down clean

SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTEST_ARGS ?=
# One chain, three networks, one transport and one repeat: the demo is to be over in minutes.
DEMO_OPTIONS ?= -e chains=pi_to_gpu -e networks=lan,wifi,lte -e budget=quick -e transports=tcp

# What `make bench` is told: BENCH_OPTIONS="--quick --repeats 3 --cell-s 1" is over within the hour.
BENCH_OPTIONS ?=
PERFORMANCE := docs/performance.md

# What the shipped reports are made with: no PNG and no tables that say again what the journal says, for size.
SHIPPED_OPTIONS ?= --format svg --no-runs --all-figures

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' Makefile

setup: ## make .venv and install what the system lacks (quick when nothing is to do)
	@scripts/setup.sh

setup-dev: ## the same, with what tests and linters need
	@scripts/setup.sh dev

demo: setup ## the main job: sweep MobileNetV2 over virtual devices and three networks
	ansible-playbook sweep.yml -e model=mobilenet_v2 $(DEMO_OPTIONS) -e report=false
	python -m analysis.front

shipped: setup ## make report, figures and verdicts of the campaigns under docs/ again from their journals
	@set -e; for journal in docs/*/journal.jsonl.gz; do \
	  folder=$$(dirname $$journal); \
	  python -m analysis.front $$folder --out $$folder/report $(SHIPPED_OPTIONS); \
	  python -m analysis.reproduction $$folder; \
	done

bench: setup ## who is faster: TCP, RPC, a pickle transport, the unsplit model, the bounds (root; hours)
	python -m bench $(BENCH_OPTIONS)

performance: setup-dev ## all benchmarks, into docs/performance.md (root; hours, on an idle machine)
	python -m bench $(BENCH_OPTIONS) --document $(PERFORMANCE)
	python -m bench.engines --document $(PERFORMANCE)
	python -m bench.nearness --document $(PERFORMANCE)
	python -m bench.scaling --document $(PERFORMANCE)
	python -m bench.payloads --document $(PERFORMANCE)

# The live half waits a lot, and lasts longest; the other half, at a lower priority, computes meanwhile.
test: setup-dev ## everything a change must pass: lint and the tests in two halves, side by side
	@echo "linters and two halves of the tests run side by side; the output of each follows at its end"
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target lint test-integration test-unit

# Where a test takes its worker down, xdist can wait for ever: hence the time-out.
test-unit: setup-dev ## the tests that need no root
	OMP_NUM_THREADS=1 nice timeout --foreground --signal=INT --kill-after=60 2400 python -m pytest -m 'not integration and not models' --numprocesses=2 --dist=loadfile $(PYTEST_ARGS)

test-integration: setup-dev ## the tests with real namespaces, sshd, plays and stages (root)
	python -m pytest -m 'integration and not netem and not faults and not bench' $(PYTEST_ARGS)

test-models: setup-dev ## the models that take longest, of tests that go through many (minutes)
	OMP_NUM_THREADS=1 python -m pytest -m models --numprocesses=2 $(PYTEST_ARGS)

test-faults: setup-dev ## each fault of docs/faults.md that takes longer than test-integration has time for (root; minutes)
	python -m pytest -m faults $(PYTEST_ARGS)

test-bench: setup-dev ## benchmarks end to end, of seconds each, on virtual devices of their own (root; minutes)
	python -m pytest -m bench $(PYTEST_ARGS)

test-netem: setup-dev ## netem in an emulated guest beside the link emulator (root, qemu-system-x86, debootstrap; minutes)
	python -m pytest -m netem $(PYTEST_ARGS)

fuzz: setup-dev ## a million inputs to the wire format, guided by coverage (pip install atheris==3.0.0; minutes)
	python -m tests.fuzz $(FUZZ_OPTIONS)

soak: setup ## 2,000 short cells: what grows of memory, descriptors, threads and time per cell (minutes)
	python -m bench.soak $(SOAK_OPTIONS)

lint: setup-dev ## ruff, mypy --strict, ansible-lint (profile production)
	ruff check
	ruff format --check
	mypy
	ansible-lint --offline --profile production

format: setup-dev ## let ruff format and mend what it can
	ruff check --fix
	ruff format

up: setup ## bring the inventory's virtual devices up
	ansible-playbook playbooks/virtual_up.yml

down: ## take them down without a trace
	@if [ -x .venv/bin/ansible-playbook ]; then ansible-playbook playbooks/virtual_down.yml; fi

clean: down ## remove all that make made: virtual devices, .venv, caches (results/ stays)
	rm -rf .venv .splitbed .carry .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
