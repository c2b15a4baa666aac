# The doors to Varve; `make help` lists them. Everything happens in build/ and data/.

JOBS ?= $(shell nproc)
NINJA := $(if $(shell command -v ninja),-G Ninja)
CTEST = ctest --output-on-failure -j $(JOBS) --no-tests=error

# $(call configure,directory,options): a directory that has a generator keeps it.
configure = cmake -S . -B $(1) $(if $(wildcard $(1)/CMakeCache.txt),,$(NINJA)) $(2) > /dev/null

.DEFAULT_GOAL := help
.PHONY: help setup build run test test-slow simulate test-asan test-tsan check bench bench-engine bench-huge bench-memory format clean

help:  ## list the targets (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install from Debian what is missing for building and testing
	@scripts/setup build

build: setup  ## build build/varve-server, optimised
	@$(call configure,build,-DCMAKE_BUILD_TYPE=RelWithDebInfo)
	@cmake --build build -j $(JOBS) --target varve-server

run: build  ## build, then serve on 127.0.0.1:6379 with the data in ./data
	@mkdir -p data
	@exec build/varve-server --bind 127.0.0.1 --port 6379 --dir data

test: setup  ## build, then run all fast tests
	@$(call configure,build,-DCMAKE_BUILD_TYPE=RelWithDebInfo)
	@cmake --build build -j $(JOBS)
	@$(CTEST) --test-dir build

test-slow: setup  ## build, then run the slow tests
	@$(call configure,build,-DCMAKE_BUILD_TYPE=RelWithDebInfo)
	@cmake --build build -j $(JOBS)
	@$(CTEST) --test-dir build -C slow -R '^slow/'

SEEDS ?= 1-1000
simulate: setup  ## run a primary, replicas and their disks on one seeded thread: make simulate SEEDS=1-1000
	@$(call configure,build,-DCMAKE_BUILD_TYPE=RelWithDebInfo)
	@cmake --build build -j $(JOBS) --target varve-test-replication
	@VARVE_SEEDS=$(SEEDS) build/varve-test-replication --no-skip -ts='slow/replication/simulation'

test-asan: setup  ## run the fast tests under AddressSanitizer and UBSan (build/asan)
	@$(call configure,build/asan,-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=address$(comma)undefined)
	@cmake --build build/asan -j $(JOBS)
	@$(CTEST) --test-dir build/asan

# ThreadSanitizer of g++ 12 cannot place its memory where the kernel randomises many address bits.
test-tsan: setup  ## run the fast tests under ThreadSanitizer (build/tsan)
	@$(call configure,build/tsan,-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=thread)
	@cmake --build build/tsan -j $(JOBS)
	@if setarch -R true 2> /dev/null; then exec setarch -R $(CTEST) --test-dir build/tsan; else exec $(CTEST) --test-dir build/tsan; fi

check: setup  ## check format, layers and the top level, and run clang-tidy
	@scripts/setup check
	@$(call configure,build,)
	@scripts/check

bench: build  ## measure Varve beside redis-server: requests/s, p50, p99.9; with replicas, too
	@scripts/setup bench
	@scripts/bench
	@scripts/bench-replication

bench-engine: build  ## measure the engine beside RocksDB and LevelDB (10 million records, three rounds: a quarter of an hour)
	@scripts/setup bench
	@cmake -S . -B build
	@cmake --build build -j $(JOBS) --target varve-bench-engine
	@build/varve-bench-engine

bench-huge: build  ## measure a collection of each type ten times maxmemory: memory, disk space, how others fare
	@cmake --build build -j $(JOBS) --target varve-bench-huge
	@scripts/bench-huge

bench-memory: build  ## measure a data set ten times maxmemory: memory, and latency while it loads
	@cmake --build build -j $(JOBS) --target varve-bench-memory
	@scripts/bench-memory

format:  ## format all C++ in place
	@scripts/setup check
	@git ls-files -z '*.h' '*.cc' | xargs -0 clang-format -i

clean:  ## remove build/ (never data/)
	@rm -rf build

comma := ,
