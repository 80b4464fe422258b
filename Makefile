# What there is to do with this tree. `make` alone lists it.

include .versions

GO            ?= go
FUZZTIME      ?= 60s
TEST_TIMEOUT  ?= 8m
BENCHFLAGS    ?=
SEED          ?= 1
SEEDS         ?= 200
FOR           ?= 2m
SENTINEL      ?= false
CALM          ?= false
TTL           ?= 3s
GOLANGCI      := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
PLATFORMS     := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
QUICKSTART    := examples/quickstart
GUEST         := GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -ldflags '-s -w'

.DEFAULT_GOAL := help
.PHONY: help run test race soak sim model chaos lint fmt fuzz generate verify bench build check binary quickstart test-tools fmt-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: quickstart ## run the quickstart, until Ctrl-C
	@echo "The quickstart runs on the registry inside the process. Ctrl-C stops it."
	@bin/elasticjob run -c $(QUICKSTART)/elasticjob.yaml

binary: # bin/elasticjob for this machine
	@echo "Building bin/elasticjob"
	@$(GO) build -trimpath -o bin/ ./cmd/elasticjob

quickstart: binary # the modules of the quickstart
	@echo "Building the modules of the quickstart"
	@$(GUEST) -buildmode=c-shared -o $(QUICKSTART)/modules/departures.wasm ./$(QUICKSTART)/departures
	@$(GUEST) -o $(QUICKSTART)/modules/arrivals.wasm ./$(QUICKSTART)/arrivals

# vet runs in lint and verify; no debugger needs the tests' symbols.
# The race detector makes a life five times as expensive: eight run with it, and
# two hundred without.
test: test-tools ## run all tests with the race detector, in random order, and 200 simulated lives
	$(GO) test -race -vet=off -ldflags=-w -shuffle=on -timeout $(TEST_TIMEOUT) ./...
	@$(MAKE) --no-print-directory sim SEED=1 SEEDS=200

soak: test-tools ## what takes long: a Redis that is away for a minute, hundreds of random fleets
	$(GO) test -race -count=1 -timeout 30m ./cmd/elasticjob -run 'TestFleet/Redis' -fleet.outage 1m -v
	$(GO) test -race -count=1 -timeout 60m ./core/host -run 'Chaos|ComeAndGo|Storm' -host.seeds 200

sim: ## lives of simulated fleets under faults: SEEDS of them, from SEED on
	cd core/host/sim && $(GO) test -run '^TestLives$$' -count=1 -timeout 0 -sim.seed $(SEED) -sim.seeds $(SEEDS)

model: ## check the model of the marks, whole and with each rule taken out
	@scripts/check-model.sh

chaos: test-tools ## a fleet of real processes through faults FOR a time (2m), from SEED (0: a new one); CALM=true: one by one
	$(GO) test ./chaos -run '^TestChaos$$' -count=1 -timeout 0 -v -chaos.for $(FOR) -chaos.seed $(SEED) -chaos.sentinel=$(SENTINEL) -chaos.calm=$(CALM) -chaos.timeout $(TTL)

race: ## run all tests three times with the race detector
	$(GO) test -race -shuffle=on -count=3 -timeout $(TEST_TIMEOUT) ./...

test-tools: # compilers that some tests use
	@scripts/install-test-tools.sh

lint: ## run the linters, pinned in .versions
	$(GOLANGCI) run ./...
	@if [ -f bench/go.mod ]; then cd bench && $(GOLANGCI) run -c ../.golangci.yml ./...; fi

fmt: ## format the Go files
	$(GOLANGCI) fmt

fmt-check: # fail if a Go file is not formatted
	$(GOLANGCI) fmt --diff

fuzz: ## run every fuzz target for FUZZTIME (60s)
	@GO="$(GO)" scripts/fuzz.sh $(FUZZTIME)

generate: ## write generated files anew
	$(GO) generate ./...

verify: ## check modules, generated files, all platforms and links
	@GO="$(GO)" PLATFORMS="$(PLATFORMS)" scripts/verify.sh

bench: ## measure, beside peers; BENCHFLAGS="-quick -json" for less
	cd bench && $(GO) run . $(BENCHFLAGS)

build: ## compile the command for all platforms into dist/
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; suffix=; \
		if [ $$os = windows ]; then suffix=.exe; fi; \
		echo "dist/elasticjob-$$os-$$arch$$suffix"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '-s -w' \
			-o "dist/elasticjob-$$os-$$arch$$suffix" ./cmd/elasticjob || exit 1; \
	done

check: fmt-check lint test verify ## everything that must pass before a commit lands
