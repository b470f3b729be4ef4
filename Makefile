# Everything here works on a fresh machine with Go: what is missing is built or
# installed on the way, into .banyan/, which git ignores. `make` alone lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

TOOLS         := $(CURDIR)/.banyan/tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-2.15.0
SQLC          := $(TOOLS)/sqlc-1.31.1
DEVSTACK      := go run ./devstack/cmd/devstack

# Modules of their own keep heavy or test-only dependencies out of the product's go.mod.
MODULES := . devstack/temporal deploy/composetest deploy/watchtest bench

.PHONY: help
help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: demo
demo: postgres ## run the model campaign end to end and print its report
	@go run ./cmd/banyan demo

.PHONY: dev
dev: postgres ## Temporal, PostgreSQL, the API and a worker, until Ctrl-C; data is kept
	@go run ./cmd/banyan dev

.PHONY: build
build: ## the banyan binary, static, into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/banyan ./cmd/banyan

.PHONY: test
test: postgres ## all tests, on a real Temporal and PostgreSQL brought up for them
	$(DEVSTACK) run -- go test -timeout 30m ./...
	cd devstack/temporal && go test ./...
	cd deploy/composetest && go test -count=1 ./... # go's cache does not watch docker-compose.yml
	cd deploy/watchtest && go test -count=1 ./...
	cd bench && go test -count=1 -timeout 10m ./... # every benchmark in its smallest size

.PHONY: check
check: tidy-check fmt-check vet lint generate-check race chaos-short ## all that CI asks of a change

.PHONY: race
race: postgres ## the tests under the race detector (long kill tests are left to `make test`)
	$(DEVSTACK) run -- go test -race -short -timeout 20m ./...

.PHONY: e2e-postgres
e2e-postgres: postgres ## the end-to-end tests with Temporal on PostgreSQL, as in docker-compose.yml
	$(DEVSTACK) run --temporal-store=postgres -- go test -count=1 -timeout 20m ./e2e/...

# Both print their seed; SEED=… repeats the same faults at the same moments. MEMBERS=… suits
# a machine that has other work.
.PHONY: chaos
chaos: postgres ## 5,000 members and 50 faults in ten minutes, judged; the report goes to docs/reliability.md
	go build -o bin/chaos ./chaos && exec bin/chaos --seed=$(or $(SEED),0) --members=$(or $(MEMBERS),5000) --duration=10m --faults=50 --factor=900 --write=docs/reliability.md

.PHONY: chaos-short
chaos-short: postgres ## 300 members and 16 faults in 90 seconds, judged
	go build -o bin/chaos ./chaos && exec bin/chaos --seed=$(or $(SEED),0) --members=300 --duration=90s --faults=16 --factor=5400 --settle=3m

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s) each
	@set -e; for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),20s) $$p; done; done

.PHONY: bench
bench: postgres ## measure everything beside its alternative, and write docs/performance.md (half an hour)
	cd bench && go run . $(BENCH) && go run . --write ../docs/performance.md

.PHONY: histories
histories: postgres ## record Temporal histories for the replay tests
	$(DEVSTACK) run -- go test -count=1 -run "TestHistories|TestSliceHistories|TestStepHistories" ./e2e -record

.PHONY: vet
vet: ## go vet
	@set -e; for m in $(MODULES); do (cd $$m && go vet ./...); done

.PHONY: lint
lint: $(GOLANGCI_LINT) ## golangci-lint with the rules and reasons of .golangci.yml
	@$(GOLANGCI_LINT) run ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format all Go files
	@$(GOLANGCI_LINT) fmt ./...

.PHONY: fmt-check
fmt-check: $(GOLANGCI_LINT)
	@$(GOLANGCI_LINT) fmt --diff ./...

.PHONY: tidy-check
tidy-check:
	@set -e; for m in $(MODULES); do (cd $$m && go mod tidy -diff); done

.PHONY: generate
generate: $(SQLC) ## regenerate store/db from store/queries and store/migrations, and the JSON Schema from the checker
	@$(SQLC) generate
	@go run ./cmd/banyan schema > definitions/.schema.new && mv definitions/.schema.new definitions/campaign.schema.json

.PHONY: generate-check
generate-check: $(SQLC)
	@$(SQLC) diff
	@go run ./cmd/banyan schema | diff definitions/campaign.schema.json -

.PHONY: postgres
postgres: ## PostgreSQL binaries: those of the machine, else Debian's packages (as root)
	@./devstack/install-postgres.sh

.PHONY: clean
clean: ## remove what was built; keeps the data of `make dev`
	rm -rf bin .banyan/tools .banyan/bin

.PHONY: clean-all
clean-all: clean ## remove the data of `make dev` too
	rm -rf .banyan

$(GOLANGCI_LINT):
	@echo "building golangci-lint (once, some minutes)"
	@mkdir -p $(TOOLS) && GOBIN=$(TOOLS)/.new go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv $(TOOLS)/.new/golangci-lint $@

$(SQLC):
	@echo "building sqlc (once, some minutes)"
	@mkdir -p $(TOOLS) && GOBIN=$(TOOLS)/.new go install github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1
	@mv $(TOOLS)/.new/sqlc $@
