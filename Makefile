# Needs Python 3.11+ and make; everything else installs itself into .venv and .venv-sam.

PYTHON := .venv/bin/python
TOOLS := .venv/.installed
SAM_TOOLS := .venv-sam/.installed
ENVIRONMENT ?= default
MODE ?= managed

# The template check asks for a region and for nothing else of AWS.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY := 0

# The first interpreter that is new enough and can make environments; a pyenv shim may be neither.
FIND_PYTHON = for candidate in python3 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo "$$candidate" && break; done

# $(call install,ENVIRONMENT,LOCK): uv where pip can get it (5 s), else pip itself (50 s).
define install
	python=$$($(FIND_PYTHON)) || { echo "Python 3.11 or newer with venv is needed" >&2; exit 1; }; \
	"$$python" -m venv $(1)
	$(1)/bin/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt \
	&& $(1)/bin/uv pip sync --quiet --require-hashes --python $(1)/bin/python $(2) \
	|| $(1)/bin/python -m pip install --quiet --require-hashes --requirement $(2)
	touch $@
endef

.PHONY: bench build check clean crashes demo deploy dev e2e fuzz load lock mutants planted rotate simulate story test test-full

demo: $(TOOLS)
	$(PYTHON) -m infra.local

# make story MODE=self_managed
story: $(TOOLS)
	$(PYTHON) -m infra.local --exit --mode $(MODE)

dev: $(TOOLS)
	@test -f .env || { echo "Write the settings of a Recall workspace into .env first" >&2; exit 1; }
	set -a; . ./.env; set +a; $(PYTHON) -m infra.local --no-story

# The first worker waits for the story, which plays in real time; the others have the work.
PYTEST = $(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder
test: check
	$(PYTEST) -m "not full"

test-full: check
	$(PYTEST)

# A million deliveries to the verifier, and 100 requests to each operation of the API.
# make fuzz DELIVERIES=1000000 SEED=1
fuzz: $(TOOLS)
	$(PYTHON) -m tests.fuzz --deliveries $(or $(DELIVERIES),1000000) --seed $(or $(SEED),1)

# The pages in a real browser (Chromium or Chrome from the path): make e2e PICTURES=1 also writes
# docs/images anew.
e2e: $(TOOLS)
	$(PYTHON) -m pytest tests/e2e/pages -rs --capture=no --show-capture=no \
		$(if $(PICTURES),--pictures)

check: $(TOOLS) $(SAM_TOOLS)
	.venv/bin/ruff format --check --quiet .
	.venv/bin/ruff check --quiet .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv-sam/bin/sam validate --lint

bench: $(TOOLS)
	$(PYTHON) -m tests.bench

# make simulate SEEDS=10000, or one seed in full: make simulate SEED=4711
simulate: $(TOOLS)
	$(PYTHON) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000))

# make load MINUTES=20 SEED=4
load: $(TOOLS)
	$(PYTHON) -m tests.load --minutes $(or $(MINUTES),20) --seed $(or $(SEED),4)

# Bugs planted on purpose, each of which a seed or a test must notice: make planted ONLY=no-overlap
planted: $(TOOLS)
	$(PYTHON) -m tests.simulation.planted $(if $(ONLY),--only $(ONLY))

# Every scene with a death at every call, and at every call after that; hours. PAIRS= for minutes.
PAIRS = --pairs
crashes: $(TOOLS)
	$(PYTHON) -m tests.simulation.crashes $(PAIRS)

# make mutants MUTANTS="--part verifier"; a second run goes on where the first was stopped.
mutants: $(TOOLS)
	$(PYTHON) -m tests.mutation $(MUTANTS)

build: $(TOOLS) $(SAM_TOOLS)
	$(PYTHON) -m infra.packaging

# make deploy ENVIRONMENT=production
deploy: build
	.venv-sam/bin/sam deploy --config-env $(ENVIRONMENT)

# make rotate PLATFORM=google_calendar ENVIRONMENT=production; asks for the new client secret.
rotate: $(TOOLS)
	@$(PYTHON) -m infra.rotate --platform "$(PLATFORM)" --environment $(ENVIRONMENT)

# Resolves the names of pyproject.toml again; without UPGRADE=1 only what has to change does.
LOCK = .venv/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate \
	--no-emit-index-url $(if $(UPGRADE),--upgrade)
lock: $(TOOLS)
	$(LOCK) --universal --python-version 3.11 --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
		--constraint requirements/dev.txt pyproject.toml -o shared/requirements.txt
	$(LOCK) --python-version 3.13 --group runtime -o requirements/runtime.txt
	$(LOCK) --universal --python-version 3.11 --group sam -o requirements/sam.txt
	$(LOCK) --universal --python-version 3.11 --group uv -o requirements/uv.txt

clean:
	rm -rf .aws-sam .venv .venv-sam build

$(TOOLS): requirements/dev.txt requirements/uv.txt
	$(call install,.venv,requirements/dev.txt)

$(SAM_TOOLS): requirements/sam.txt requirements/uv.txt
	$(call install,.venv-sam,requirements/sam.txt)
