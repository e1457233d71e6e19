# What there is to do here: `make help`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check examples torture powerloss bench format lint deps peers first-job deb deb-test container-test

SWIFT ?= swift
BIN := .build/debug
SWIFT_SOURCES := Sources Tests Package.swift
# An interrupt, so that what it started ends as well.
LIMITED := timeout --foreground -s INT -k 30 1200

# A target is listed by its `##`. A path in brackets must exist: what is not here yet is not offered.
help: ## Show this list
	@echo "jobspool: a job queue that is a directory. Targets:"
	@while IFS= read -r line; do \
	  name=$${line%%:*}; text=$${line#*## }; \
	  if [[ $$text =~ ^\[([^]]*)\]\ (.*) ]]; then \
	    [[ -e $${BASH_REMATCH[1]} ]] || continue; text=$${BASH_REMATCH[2]}; \
	  fi; \
	  printf '  make %-14s %s\n' "$$name" "$$text"; \
	done < <(grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)))

run: deps ## Build it, drop a first job and run the daemon on ./spool (Ctrl-C ends it)
	@echo "Building (some minutes the first time) ..."
	$(SWIFT) build --product jobspoold
	$(SWIFT) build --product jobspool
	$(SWIFT) build --product jobspool-watch
	$(SWIFT) build --product jobspool-web
	@$(BIN)/jobspool init ./spool >/dev/null
	@$(MAKE) --no-print-directory first-job
	@printf '%s\n' '' \
	  'The daemon runs on ./spool until Ctrl-C. From another terminal in this folder:' \
	  '  the first job:     cat spool/done/first-job.json' \
	  '  drop another:      cp spool/examples/first-job.json spool/tmp/second.json' \
	  '                     mv -n spool/tmp/second.json spool/new/' \
	  '  the command line:  $(BIN)/jobspool ls     (submit, show, log, requeue: $(BIN)/jobspool --help)' \
	  '  where to look:     spool/done  spool/dead  spool/log    how it works: spool/README.md' ''
	@echo '  the dashboard, logged in (the link works once, for 10 minutes):'; \
	printf '                     %s\n\n' "$$($(BIN)/jobspool dashboard --spool ./spool 2>/dev/null)"
	@exec $(BIN)/jobspoold --spool ./spool

# The two steps of the producer protocol, as anybody would type them; not again while that job is anywhere to be seen.
first-job:
	@there=$$(compgen -G 'spool/*/first-job.json' | grep -vE '^spool/(examples|tmp)/' || true); \
	if [[ -n $$there ]]; then \
	  echo "The first job was dropped before; it is $$there"; \
	else \
	  echo "Dropping the first job:"; set -x; \
	  cp spool/examples/first-job.json spool/tmp/first-job.json; \
	  mv -n spool/tmp/first-job.json spool/new/first-job.json; \
	fi

# SoleOwnerTests run by themselves: they need a process whose children are all theirs, and the test runner waits for its
# own children in a way that another test's unreaped child can hold up. A failure does not hide the ones after it, and all
# are named once more at the end. Tests that hang are ended after 20 minutes (they take two), a script after ten (the longest
# takes one), and the rest is run all the same.
test: deps peers ## Build and run every test, unattended
	$(SWIFT) build --build-tests
	@mkdir -p .build
	@set -x; status=0; \
	: > .build/test.log; \
	for which in --skip --filter; do \
	  $(LIMITED) $(SWIFT) test --skip-build --disable-xctest $$which SoleOwnerTests 2>&1 | tee -a .build/test.log || \
	    { code=$${PIPESTATUS[0]}; status=1; [[ $$code -ne 124 && $$code -ne 137 ]] || \
	      printf '\nFAILED: the Swift tests (%s SoleOwnerTests) did not end by themselves\n' $$which | tee -a .build/test.log; }; \
	done; \
	LIMIT=600 Tests/run-scripts 2>&1 | tee .build/scripts.log || status=1; \
	{ set +x; } 2>/dev/null; printf '\nClosing lines:\n'; \
	grep -hE '^✘ .* (recorded an issue|failed after)|^FAILED|^    WRONG' .build/test.log .build/scripts.log || true; \
	grep -E 'Test run with ' .build/test.log || status=1; \
	tail -n 1 .build/scripts.log; \
	exit $$status

check: lint test ## All that a change must pass: lint, documents, warnings as errors, tests
	Tests/check-docs

examples: deps ## [examples/run-all] Run five real back-office systems on it, end to end, and tick their rows
	for program in jobspoold jobspool jobspool-watch jobspool-web; do $(SWIFT) build --product $$program; done
	examples/run-all

torture: deps peers ## [Tests/Torture] Run the long tests (three hours; SOAK=600 for less): crashes, races, full disks, fuzzing
	$(SWIFT) build --product jobspoold
	$(SWIFT) build --product jobspool
	$(SWIFT) build --product jobspool-watch
	$(SWIFT) build --product jobspool-web
	$(SWIFT) build --product spoolfuzz
	Tests/run-scripts Tests/Torture

powerloss: deps ## [Tests/PowerLoss] Cut the power of ext4, xfs and btrfs, 200 times each (root; an hour)
	$(SWIFT) build --product jobspoold
	$(SWIFT) build --product jobspool
	$(SWIFT) build --product jobspool-watch
	$(SWIFT) build --product jobspool-web
	IMAGES=$${IMAGES:-200} Tests/run-scripts Tests/PowerLoss

bench: deps ## [Sources/spoolbench] Measure this machine, jobspool and other queues (release build)
	for program in jobspoold jobspool jobspool-watch jobspool-web spoolbench; do \
	  $(SWIFT) build -c release -Xswiftc -static-stdlib --product $$program; \
	done
	Sources/spoolbench/install-peers
	python3 Sources/spoolbench/bench.py $(BENCH)

deb: deps ## [packaging/debian] Build the Debian packages into .build/deb
	packaging/build-deb

deb-test: deb ## [packaging/debian] Install the packages in a clean root, with systemd, and try them there (as root)
	packaging/test-deb

container-test: deb ## [packaging/container] Build the container image and try it (as root; needs podman)
	packaging/test-container

format: ## Rewrite the Swift sources in the house style
	$(SWIFT) format format --in-place -r $(SWIFT_SOURCES)

lint: ## Check the style of the Swift sources; changes nothing
	$(SWIFT) format lint --strict -r $(SWIFT_SOURCES)

deps: ## Install what the build needs, if it is missing (apt-get)
	@.ci/install-deps

# Other programs that tests compare with. Without them those comparisons fail, and this says why.
peers:
	@.ci/install-peers
