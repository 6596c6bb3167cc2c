# workflow-manager's tasks; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install dev demo demo-aws serve test check fuzz lint format generate lambda lock docs bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.txt pyproject.toml tools/make_venv.sh
	@PYTHON=$(PYTHON) tools/make_venv.sh $(VENV) requirements.txt

$(VENV)/installed-dev: requirements-dev.txt pyproject.toml tools/make_venv.sh
	@PYTHON=$(PYTHON) tools/make_venv.sh $(VENV) requirements-dev.txt
	@touch $(VENV)/installed

install: $(VENV)/installed ## Put wfm and what it needs into .venv

dev: $(VENV)/installed-dev ## The same, with what tests, lint and benchmarks need

demo: install ## Run a workflow from definition to output, kill the server in the next one, see it finish
	@$(BIN)/python examples/demo.py

demo-aws: install ## The same on the AWS backend, through boto3, with a stand-in for AWS
	@$(BIN)/python examples/demo_aws.py

serve: install ## Start the server on 127.0.0.1:8080 with its data in ./wfm-data
	@$(BIN)/wfm serve

test: dev ## Prepare what the checks need and run all of them
	@$(BIN)/python tools/local_dynamodb.py >/dev/null
	@$(MAKE) --no-print-directory check

check: ## Lint, types and tests, without installing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/generate_stepfunctions.py --check
	$(BIN)/python tools/write_api_reference.py --check
	$(BIN)/python tools/generate_clients.py --check
	$(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: coverage
coverage: dev ## Run the tests and show which lines and branches none of them reaches
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term

fuzz: dev ## Hand in hostile definitions, expressions and requests, many and others every time
	WFM_FUZZ_EXAMPLES=$${WFM_FUZZ_EXAMPLES:-20000} $(BIN)/python -m pytest -q --timeout 3600 tests/fuzz

lint: dev ## Lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only -q .

generate: dev ## Write what is made from botocore's model and from the API: seam, clients, reference
	$(BIN)/python tools/generate_stepfunctions.py
	$(BIN)/python tools/write_api_reference.py
	$(BIN)/python tools/generate_clients.py

docs: dev ## Build the documentation into site/, which needs no network to be read
	$(BIN)/python tools/write_openapi.py docs/openapi.json
	$(BIN)/python tools/write_asl_support.py docs/asl-support.md
	$(BIN)/python tools/write_api_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "read site/index.html"

bench: dev ## Measure the hot paths and how they grow, into bench/results; see bench/README.md
	$(BIN)/python bench/workloads.py
	$(BIN)/python bench/growth.py
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/distributed_map.py
	$(BIN)/python bench/list_workflows.py

lambda: dev ## Put the code of the Lambda functions into dist/workflow-manager-lambda.zip
	@UV=$(BIN)/uv tools/make_lambda.sh dist/workflow-manager-lambda.zip

.PHONY: soak
soak: dev ## Kill a server at work a thousand times, with power cuts, and see that nothing was lost
	WFM_TEST_KILLS=$${WFM_TEST_KILLS:-1000} $(BIN)/python -m pytest -q -s tests/acceptance/test_kill.py

.PHONY: mutations
mutations: dev ## Break every valid definition in 400 places, and see each run or be refused for that place
	WFM_MUTATIONS=400 $(BIN)/python -m pytest -q tests/unit/engine/test_mutations.py
	WFM_MUTATIONS=40 $(BIN)/python -m pytest -q tests/unit/engine/test_state_tester_anywhere.py

lock: dev ## Resolve the dependencies anew into the lock files
	$(BIN)/uv pip compile -q --no-emit-index-url --generate-hashes --universal --python-version 3.11 pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --no-emit-index-url --generate-hashes --universal --python-version 3.11 pyproject.toml \
		--group dev -c requirements.txt -o requirements-dev.txt

clean: ## Remove what the targets above made
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
