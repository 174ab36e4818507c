# Builds, tests, runs and installs the module. `make help` lists the targets.

.DEFAULT_GOAL := all
SHELL := /bin/bash

CARGO ?= cargo
APXS ?= $(or $(shell command -v apxs 2>/dev/null),$(shell command -v apxs2 2>/dev/null),apxs)
DESTDIR ?=
APP ?=
PYTHON ?=
FILTER ?=
# Frameworks are tested on the newest Python.
TEST_PYTHON ?= $(shell .ci/newest-python $(MOD_WSGI_PYTHON))

# The interpreter of groups that name none; remembered by the module.
MOD_WSGI_PYTHON ?= $(firstword $(wildcard /usr/bin/python3) $(shell command -v python3 2>/dev/null))
export MOD_WSGI_PYTHON
export PYO3_PYTHON ?= $(MOD_WSGI_PYTHON)
# Where the commands look for httpd's modules first; remembered by them.
export MOD_WSGI_MODULES ?= $(shell $(APXS) -q LIBEXECDIR 2>/dev/null)

TARGET := $(or $(CARGO_TARGET_DIR),target)
MODULE := build/module
VENV := build/venv
COMMANDS := wsgi-httpd wsgictl
# Native workers for one interpreter each.
WORKERS := build/workers
# mod_wsgi itself, to compare with.
REFERENCE := build/reference
# Two httpds at a time: more would only wait for the processor.
HTTPD_TESTS := $(CARGO) test --package mod_wsgi --test httpd -- --test-threads=2
# The two workers, the second one on Python 2 if there is one.
WORKER_PYTHONS = $(MOD_WSGI_PYTHON) $(wildcard $(HOME)/.pyenv/versions/2.7.*/bin/python2) --pure \
    $(MOD_WSGI_PYTHON)
# What an MPM can change.
MPM_TESTS := conformance::site_ environ faults groups karrigell lanes lifecycle load queue restarts \
    scoreboard sites streaming supervisor

##@ Use

all: deps ## Build the module with its supervisor and worker, in build/module
	$(CARGO) build --release --workspace
	@rm -rf $(MODULE)
	@mkdir -p $(MODULE)/bin $(MODULE)/mod_wsgi/mod_wsgi $(MODULE)/mod_wsgi/mod_wsgi_pure
	@install -m 755 $(TARGET)/release/libmod_wsgi.so $(MODULE)/mod_wsgi.so
	@install -m 755 $(TARGET)/release/wsgi-supervisor $(MODULE)/mod_wsgi/
	@install -m 755 $(addprefix $(TARGET)/release/,$(COMMANDS)) $(MODULE)/bin/
	@install -m 755 $(TARGET)/release/lib_mod_wsgi_worker.so \
	    $(MODULE)/mod_wsgi/_mod_wsgi_worker.abi3.so
	@for worker in $(WORKERS)/*.so; do [ ! -e "$$worker" ] || install -m 755 "$$worker" $(MODULE)/mod_wsgi/; done
	@install -m 644 python/boot.py python/apache.pyi $(MODULE)/mod_wsgi/
	@install -m 644 python/mod_wsgi/*.py python/mod_wsgi/*.pyi python/mod_wsgi/py.typed \
	    $(MODULE)/mod_wsgi/mod_wsgi/
	@install -m 644 python/mod_wsgi_pure/*.py $(MODULE)/mod_wsgi/mod_wsgi_pure/
	@echo "built $(MODULE)/mod_wsgi.so"

run: all ## Serve the example on a loopback port (APP=file.py PYTHON=venv: your own)
	@exec $(MODULE)/bin/wsgi-httpd serve $(if $(PYTHON),--python "$(PYTHON)") \
	    "$(or $(APP),apache-conf/example/app.py)"

worker: deps ## Build a native worker for one interpreter, such as one without a GIL (PYTHON=file)
	@test -n "$(PYTHON)" || { echo "for which interpreter? make worker PYTHON=/path/to/python3.14t" >&2; exit 1; }
	PYO3_PYTHON="$(PYTHON)" $(CARGO) build --release --package wsgi-worker --no-default-features \
	    --target-dir $(TARGET)/worker
	@suffix=$$("$(PYTHON)" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))') && \
	    for folder in $(WORKERS) $(MODULE)/mod_wsgi; do \
	        install -d $$folder && \
	        install -m 755 $(TARGET)/worker/release/lib_mod_wsgi_worker.so \
	            $$folder/_mod_wsgi_worker$$suffix || exit 1; \
	    done && echo "built $(WORKERS)/_mod_wsgi_worker$$suffix; install it by make install"

install: ## Install what make has built (DESTDIR is honoured)
	@test -f $(MODULE)/mod_wsgi.so || { echo "nothing to install: run make first" >&2; exit 1; }
	@apache-conf/install.sh "$(APXS)" "$(DESTDIR)" "$(MODULE)"

uninstall: ## Remove what install has put there
	@apache-conf/install.sh --remove "$(APXS)" "$(DESTDIR)"

deb: all ## Make a Debian package of it, build/deb/*.deb
	@packaging/deb $(MODULE)

rpm: all ## Make an RPM package of it, build/rpm/RPMS/*/*.rpm
	@packaging/rpm $(MODULE)

##@ Work

test: all $(VENV)/ready ## Run every test: units, then a real httpd under each MPM
	$(CARGO) test --workspace --exclude mod_wsgi
	$(CARGO) test --package mod_wsgi --lib --test dependencies --test coverage
	tests/workers $(MODULE)/mod_wsgi $(WORKER_PYTHONS)
	MPM=event $(HTTPD_TESTS)
	MPM=worker $(HTTPD_TESTS) $(MPM_TESTS)
	MPM=prefork $(HTTPD_TESTS) $(MPM_TESTS)

test-httpd: all $(VENV)/ready ## Run tests through httpd (FILTER=name MPM=event|worker|prefork)
	$(HTTPD_TESTS) $(FILTER)

deb-check: deb ## Install the package in a fresh Debian root and have it serve (root, network)
	@packaging/deb-check

conformance: all $(REFERENCE)/ready ## Ask mod_wsgi 6.1.1 and this module the same (FILTER=scene RECORD=1)
	MODULE=$$(ls $(CURDIR)/$(REFERENCE)/lib/python3*/site-packages/mod_wsgi/server/*.so) \
	    PYTHON=$(CURDIR)/$(REFERENCE) REFERENCE=1 $(HTTPD_TESTS) --nocapture conformance::$(FILTER)
	$(HTTPD_TESTS) --nocapture conformance::$(FILTER)

chaos: all ## Kill and stop processes at random under load (CHAOS=seconds, 600 if not given)
	CHAOS=$(or $(CHAOS),600) $(CARGO) test --package mod_wsgi --test httpd -- chaos --nocapture

restarts: all ## 1,200 graceful restarts without load and 100 under load, under each MPM (RESTARTS=number)
	for mpm in event worker prefork; do \
	    MPM=$$mpm RESTARTS=$(or $(RESTARTS),1200) $(CARGO) test --package mod_wsgi --test httpd -- \
	        --test-threads=1 --nocapture restarts:: || exit 1; \
	done

test-worker: all ## Run the workers' tests without httpd (PYTHON=interpreter WORKER=pure)
	cd python/tests && WORKER_DIR=$(CURDIR)/$(MODULE)/mod_wsgi PYTHON=$(or $(PYTHON),$(MOD_WSGI_PYTHON)) \
	    $(MOD_WSGI_PYTHON) -m unittest test_worker test_pure

test-workers: all ## Run the workers' tests without httpd on every Python here
	tests/workers $(MODULE)/mod_wsgi

check: deps ## Check style, lints, generated pages and the direction of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --quiet --package mod_wsgi --lib --test dependencies --test coverage

bench: all ## Measure, if there is something to measure with
	@if [ -x bench/run ]; then exec bench/run; else echo "bench/run is not there"; fi

deps: ## Install the packages that the build and the tests need, or say which they are
	@.ci/deps "$(APXS)"

clean: ## Remove everything that was built
	rm -rf build
	$(CARGO) clean

help: ## Show this list
	@awk -F':.*## ' '/^##@/ { print "\n" substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

$(VENV)/ready: tests/requirements.txt | deps
	rm -rf $(VENV)
	$(TEST_PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --requirement tests/requirements.txt
	@touch $@

$(REFERENCE)/ready: | deps
	rm -rf $(REFERENCE)
	$(MOD_WSGI_PYTHON) -m venv $(REFERENCE)
	APXS=$(APXS) $(REFERENCE)/bin/python -m pip install --quiet --disable-pip-version-check \
	    mod_wsgi==6.1.1
	@touch $@

.PHONY: all run worker install uninstall deb rpm deb-check test test-httpd test-worker test-workers conformance chaos restarts check bench deps clean help
