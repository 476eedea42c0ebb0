# The targets are the jobs of .ci/run, which need Go and make only; those that try out
# image, unit and package need more, and say what. The race detector also needs a C
# compiler and is left out, with a line that says so, where there is none.

GO       ?= go
FUZZTIME ?= 60s
FUZZBUILD ?= -fuzz .
SOAKTIME ?= 3600
BENCH    ?= -json ../docs/bench.json -svg ../docs/bench.svg

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Without C, as what is shipped is built: build, tests, fuzzing and demo then share
# what they compile. The race detector needs C, so make race is the run with it.
build test fuzz demo: export CGO_ENABLED := 0

# Packages whose own tests are about concurrency: make test runs them under the
# race detector; make race does the same for everything with goroutines.
RACEPKGS := ./tpc/... ./wal/...

# Nested modules keep heavy test and benchmark dependencies out of go.mod.
NESTED := $(patsubst %/go.mod,%,$(wildcard bench/go.mod internal/servertest/go.mod))

.PHONY: all build test race lint fuzz bench lambda lambda-check coldstart release package package-check package-boot image-root image image-check unit-check demo soak clean

all: build test

# TRIM= shares its compiled packages with the tests, as .ci/run wants it.
TRIM ?= -trimpath

build:
	$(GO) build $(TRIM) -o bin/ ./cmd/...

# -vet=all is go vet with all its checks, in the same pass over the packages.
test:
	$(GO) test -vet=all ./...
	@set -e; for m in $(NESTED); do echo "== module $$m"; (cd $$m && CGO_ENABLED= $(GO) test -vet=all ./...); done
	@if command -v "$${CC:-cc}" >/dev/null; then set -x; CGO_ENABLED=1 $(GO) test -race -vet=off -short -skip '$(NORACE)' $(RACEPKGS); \
	else echo "no C compiler: race detector not run"; fi

# Left to make test: faults below Pebble. In race builds Pebble asserts that its
# compaction bookkeeping is exact, which it is not on a store whose manifest
# write was made to fail, and that now and then ends the process.
# And the tests of gathering, which fire thousands of timers in testing/synctest:
# the race detector of Go 1.26 now and then crashes there, inside the runtime.
# And what dies at each request in turn, one after the other: there is nothing
# for the race detector in it, and it takes a minute there.
NORACE := DiesAnywhere|CrashAtEveryOperation|FlipEveryByte|TestGather|ErrorAtEveryOperation|AdmitWhenFlushesFail|FaultAtEveryOperation|Fault_EveryOperation|FailingFlush|DiskFull

# Packages without a goroutine, a lock or a channel in code or tests, each of
# which would be linked for the race detector, with nothing for it to see:
#   archive/retain    what to keep, decided from a list
#   internal/cost     prices, added up
#   internal/draw     histories drawn as text or SVG
#   internal/lint     reads the documents and the source of this repository
#   internal/loadfmt  one reader or writer of lines
#   lambda/cmd/pack   writes a zip
NOTHREADS := archive/retain|internal/cost|internal/draw|internal/lint|internal/loadfmt|lambda/cmd/pack

# make test has vetted the same sources.
race:
	CGO_ENABLED=1 $(GO) test -race -vet=off -short -skip '$(NORACE)' $$($(GO) list ./... | grep -vE '/($(NOTHREADS))$$')

# Whoever adds a requirement to go.mod owes every nested module its sums.
lint:
	@set -ex; for d in . bench internal/servertest internal/servertest/gcs; do (cd $$d && $(GO) mod tidy -diff); done
	$(GO) run $(GOLANGCI) run ./...
	cd bench && $(GO) run $(GOLANGCI) run -c ../.golangci.yml ./...

# Every fuzz target, one after the other. Each package is built once, which for a
# short run is most of the time.
fuzz:
	@set -e; bin=$$(mktemp -d); trap 'rm -rf "$$bin"' EXIT; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		pkg=$$($(GO) list $$dir); \
		$(GO) test -c $(FUZZBUILD) -o "$$bin/test" $$dir; \
		for name in $$("$$bin/test" -test.list '^Fuzz'); do \
			echo "== $$pkg $$name"; \
			(cd $$dir && "$$bin/test" -test.run '^$$' -test.fuzz "^$$name\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/$$pkg"); \
		done; \
	done

# 30 to 45 minutes, on an otherwise idle machine. BENCH="-quick" is a first look
# in five, BENCH="-only put" a part.
bench:
	@mkdir -p docs
	cd bench && $(GO) run . $(BENCH)

# The functions for AWS Lambda: static, for both architectures, one zip each. The
# same source and Go version give the same bytes, which lambda-check shows.
LAMBDAS := index sweep compact

lambda:
	@set -e; mkdir -p dist/lambda; $(GO) build -o dist/lambda/pack ./lambda/cmd/pack; \
	for f in $(LAMBDAS); do for arch in arm64 amd64; do \
		out=dist/lambda/$$f-$$arch; mkdir -p $$out; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -tags lambda.norpc -o $$out/bootstrap ./lambda/cmd/$$f; \
		dist/lambda/pack $$out/bootstrap $$out.zip; \
		sha256sum $$out.zip; \
	done; done

lambda-check: lambda
	@set -e; sha256sum dist/lambda/*.zip > dist/lambda/sums; rm -r dist/lambda/*.zip dist/lambda/*/; \
	$(MAKE) lambda >/dev/null; sha256sum -c dist/lambda/sums

# From the start of the index function's process to its first answer.
coldstart:
	cd internal/servertest && $(GO) test -count=1 -run xxx -bench ColdStart -benchtime 10x .

# What is shipped knows its version: VERSION=1.2.3, or else what Go reads from git, the
# tag or a version of date and commit. Times in packages are the commit's. The same
# commit, Go version and VERSION give the same bytes, which package-check shows.
NFPM    := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
VERSION ?=
V       := $(VERSION:v%=%)
RELEASE := -trimpath -buildvcs=auto -ldflags "-s -w $(if $V,-X github.com/nodedb-go/nodedb/internal/cli.version=v$V)"
EPOCH    = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)
# Of the programs for Linux that make release has built, without the v.
version = $$(dist/host/nodedb --version | cut -d ' ' -f 2 | sed s/^v//)

# dist/bin for GOARCH, dist/host for this machine, which prints what is packed with it.
release:
	rm -rf dist/bin dist/host
	CGO_ENABLED=0 GOOS=linux $(GO) build $(RELEASE) -o dist/bin/ ./cmd/...
	@mkdir -p dist/package
	@if [ "$$($(GO) env GOARCH)/linux" = "$$($(GO) env GOHOSTARCH)/$$($(GO) env GOHOSTOS)" ]; then cp -r dist/bin dist/host; \
	else CGO_ENABLED=0 GOARCH= GOOS= $(GO) build $(RELEASE) -o dist/host/ ./cmd/nodedb; fi
	@dist/host/nodedb --version | grep -F " v$V" || { echo "the version is not known here: give VERSION=1.2.3" >&2; exit 1; }

# nodedb and pitr-restore as .deb and .rpm, with the unit, the manual page and
# completions, for GOARCH.
package: release
	rm -f dist/*.deb dist/*.rpm
	dist/host/nodedb manual | gzip -9n > dist/package/nodedb.1.gz
	@set -e; for s in bash zsh fish; do dist/host/nodedb completion $$s > dist/package/nodedb.$$s; done
	@set -ex; for p in deb rpm; do SOURCE_DATE_EPOCH=$(EPOCH) PKGARCH=$$($(GO) env GOARCH) VERSION=$(version) \
		GOARCH= $(GO) run $(NFPM) package -f docs/deploy/nfpm.yaml -p $$p -t dist/; done

package-check: package
	@set -e; sha256sum dist/*.deb dist/*.rpm > dist/package/sums; rm dist/*.deb dist/*.rpm; \
	(umask 077; $(MAKE) package >/dev/null); sha256sum -c dist/package/sums

# The root of an image: the programs, whom they trust, /tmp; and what the node owns.
CACERTS ?= $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
image-root: release
	@test -n "$(CACERTS)" || { echo "no CA certificates on this machine: install them, or give CACERTS=FILE" >&2; exit 1; }
	rm -rf dist/image
	install -d dist/image/root/etc/ssl/certs dist/image/root/usr/bin dist/image/own/data
	install -d -m 1777 dist/image/root/tmp
	install -m 0755 dist/bin/nodedb dist/bin/pitr-restore dist/image/root/usr/bin
	install -m 0644 $(CACERTS) dist/image/root/etc/ssl/certs/ca-certificates.crt

# An image without a registry: of programs that are built here.
IMAGE  ?= nodedb
ENGINE ?= $(firstword $(foreach e,podman buildah docker,$(if $(shell command -v $e),$e)))
image: image-root
	@test -n "$(ENGINE)" || { echo "make image needs podman, buildah or docker" >&2; exit 1; }
	$(ENGINE) build $(if $(filter docker,$(notdir $(ENGINE))),,--timestamp $(EPOCH)) $(IMAGEFLAGS) -f docs/deploy/Containerfile --target made -t $(IMAGE):$$(echo $(version) | tr + -) .

image-check: image
	@case "$(notdir $(firstword $(ENGINE)))" in podman|docker) ;; *) echo "make image-check needs podman or docker" >&2; exit 1; esac
	docs/deploy/check/image.sh "$(ENGINE)" $(IMAGE):$$(echo $(version) | tr + -) $(version)

# What systemd thinks of the unit, without starting anything.
unit-check: build
	@command -v systemd-analyze >/dev/null || { echo "make unit-check needs systemd-analyze" >&2; exit 1; }
	@mkdir -p dist/unit
	sed 's|^ExecStart=/usr|ExecStart=$(CURDIR)|' docs/deploy/nodedb.service > dist/unit/nodedb.service
	systemd-analyze verify --man=no dist/unit/nodedb.service
	systemd-analyze security --offline=yes --threshold=20 --no-pager dist/unit/nodedb.service | tail -1

# The .deb in a Debian of its own, under a systemd of its own.
package-boot: package
	docs/deploy/check/boot.sh dist/*.deb

demo:
	$(GO) run ./cmd/nodedb demo

# The randomised tests draw new seeds at every run: run them until the time is
# over or one fails (it logs the seed that brings the failure back).
SOAKPKGS := ./wal/... ./tpc/... ./archive/... ./node/... ./pitr/... ./internal/resp ./internal/e2e

soak:
	@set -e; end=$$(( $$(date +%s) + $(SOAKTIME) )); n=0; \
	while [ $$(date +%s) -lt $$end ]; do \
		n=$$((n + 1)); echo "== soak round $$n"; \
		CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 30m -skip '$(NORACE)' $(SOAKPKGS); \
		$(GO) test -count=1 -timeout 30m -run '$(NORACE)' $(SOAKPKGS); \
		(cd internal/servertest && $(GO) test -count=1 ./redistest -run TestLinearizable_Kill -kills 100); \
	done

clean:
	rm -rf bin dist
