# wgd: build, test, measure. `make test` is all that CI runs; see CONTRIBUTING.md.
GO       ?= go
FUZZTIME ?= 5s
BENCH    ?=
SCALE    ?=
STORE    ?= 1000000
HELD      = 100000
SEED     ?= 0
FINDINGS ?=
# Packages other than test/e2e and internal/archtest, which have parts of their own. Of these, test/spread needs simulated
# hosts too.
PACKAGES  = $(shell $(GO) list ./... | grep -v -e '^wgd/test/e2e' -e '^wgd/internal/archtest')
# Rooms whose arithmetic must hold on 32 bits too (A37, B4).
NARROW    = ./key ./conf ./internal/clock ./internal/wire ./internal/replay ./internal/session ./internal/core ./internal/allowedips

# The module of wgd-peers, so that its stores are in no daemon.
PEERS     = cmd/wgd-peers

# With the time, which shows how long each part takes.
part = @printf '\n=== %s %s\n' "$$(date +%T)" '$(1)'

.PHONY: build install deb debtest generate setup test check vet archtest commits unit narrow alloc kernels processors cross fuzz e2e interop page etcd fleet bench scale scale-peers scale-etcd scale-fleet scale-virtual findings clean

# The parts run one after the other, with -j as well: each uses the whole machine.
.NOTPARALLEL:

build:
	$(GO) build -o bin/ ./cmd/...
	$(GO) build -C $(PEERS) -o $(CURDIR)/bin/ .

install:
	$(GO) install ./cmd/...
	$(GO) install -C $(PEERS) .

# bin/wgd_VERSION_ARCH.deb, with nfpm, which go.mod of packaging/deb pins.
deb:
	GO="$(GO)" sh packaging/deb/build.sh bin

generate:
	$(GO) generate ./...

# The programs that the tests call. As root on Debian this installs them; elsewhere it says what is missing.
setup:
	@sh test/setup.sh

test: setup check unit alloc kernels processors narrow cross fuzz e2e interop page etcd fleet debtest
	$(call part,all parts passed)

check: vet archtest commits

vet:
	$(call part,gofmt: the form of every file)
	@out=$$(gofmt -l .) || exit 1; test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	$(call part,vet)
	$(GO) vet ./...
	cd test/interop && $(GO) vet ./...
	cd test/page && $(GO) vet ./...
	cd test/etcd && $(GO) vet ./...
	cd $(PEERS) && $(GO) vet ./...
	$(call part,staticcheck)
	$(GO) tool staticcheck ./...
	@staticcheck=$$($(GO) tool -n staticcheck) && cd $(PEERS) && "$$staticcheck" ./...

archtest:
	$(call part,archtest: the arrows and rules of docs/architecture.md)
	$(GO) test ./internal/archtest

commits:
	$(call part,commits: the messages have the form of CONTRIBUTING.md)
	@$(GO) run ./test/commits

unit:
	$(call part,unit tests under the race detector)
	$(GO) test -race -timeout 10m $(PACKAGES)
	$(call part,unit tests of wgd-peers$(comma) without the race detector$(comma) with which SQLite takes long to compile)
	cd $(PEERS) && $(GO) test -timeout 10m ./...

# Tests that the race detector would disturb, because it allocates memory
# itself: all tests in files that are built
# without it, or that count allocations.
alloc:
	$(call part,tests that the race detector would disturb: the hot paths allocate nothing$(comma) memory for each peer)
	@files=$$(grep -rlE --include='*_test.go' '^//go:build .*!race|AllocsPerRun' .); \
	tests=$$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(.*/\1/p' $$files | sort -u | paste -sd '|'); \
	$(GO) test -run "^($$tests)\$$" $$(dirname $$files | sort -u)

kernels:
	$(call part,kernels: assembly as its generators write it; proofs on a simulated processor)
	@GO="$(GO)" sh test/generated.sh
	$(GO) test -timeout 20m ./internal/aead ./internal/x25519 -exhaustive

processors:
	$(call part,other processors: arm64$(comma) 386 and older amd64)
	@GO="$(GO)" sh test/processors.sh

# make cross PLATFORMS=all, or PLATFORMS='windows/amd64 darwin/arm64'
cross:
	$(call part,cross: macOS$(comma) Windows$(comma) the BSDs$(comma) and Linux on other processors)
	@GO="$(GO)" PLATFORMS="$(PLATFORMS)" sh test/cross.sh

narrow:
	$(call part,32-bit: counters and lengths on GOARCH=386 (B4))
	GOARCH=386 CGO_ENABLED=0 $(GO) test $(NARROW)

fuzz:
	$(call part,fuzz: every target for $(FUZZTIME))
	@GO="$(GO)" FUZZTIME="$(FUZZTIME)" sh test/fuzz.sh

e2e:
	$(call part,e2e: simulated hosts in network namespaces)
	$(GO) test -v -count=1 -parallel 4 -timeout 20m ./test/e2e

# make interop WG_QUICK=/somewhere/wg-quick compares with another version.
interop:
	$(call part,interop: wireguard-go$(comma) wg and wg-quick; ours built with the race detector)
	cd test/interop && E2E_RACE=1 $(GO) test -v -count=1 -parallel 4 -timeout 15m ./...

# make page WGD_ARTIFACTS=/tmp/page keeps the screenshots.
page:
	$(call part,page: wgd web in Chromium$(comma) with the keyboard$(comma) with 10$(comma)000 peers$(comma) and with axe-core)
	cd test/page && $(GO) test -v -count=1 -timeout 15m ./...

# make etcd runs three members in one process, and kills them.
etcd:
	$(call part,etcd: the store of wgd-peers in a cluster of three members)
	cd test/etcd && $(GO) test -v -count=1 -timeout 10m .

# Times depend on what else the machine does, so the bounds are wide here, and those of scale-fleet are not.
fleet:
	$(call part,fleet: three gateways with one key$(comma) three members of etcd$(comma) and many peers with data)
	cd test/etcd && $(GO) test -v -count=1 -timeout 10m ./fleet

debtest:
	$(call part,debtest: the Debian package: built twice$(comma) installed$(comma) used$(comma) upgraded and removed)
	@GO="$(GO)" sh packaging/deb/test.sh

# As root; some ten minutes. make bench BENCH=-quick takes one or two, and
# make bench BENCH='-write README.md,docs/performance.md' replaces the tables.
bench:
	$(GO) run ./test/bench $(BENCH)

# make scale SCALE='-only storm'
scale:
	$(GO) run ./test/scale $(SCALE)

# A store with a million peers: memory, and times. make scale-peers STORE=100000
scale-peers:
	cd $(PEERS) && $(GO) test -count=1 -v -timeout 30m -run TestSize ./sqlite -peers $(STORE)
	cd $(PEERS) && $(GO) test -count=1 -v -timeout 30m -run TestSize ./serve -peers $(STORE) -held $(HELD)

# The same in etcd, with three members in one process. make scale-etcd STORE=100000
scale-etcd:
	cd test/etcd && $(GO) test -count=1 -v -timeout 60m -run TestSize . -sync -peers $(STORE)

# As root, and on a machine that does nothing else: 1,000 peers with data at three gateways. The figures are in docs/fleet.md.
scale-fleet:
	cd test/etcd && $(GO) test -v -count=1 -timeout 20m ./fleet -peers 1000 -within 2s -promptly 1s -revocations 1000 -handshakes 1000 -slack 25ms -down 150s

# Ten gateways and 100,000 clients through failures, in virtual time. make scale-virtual SEED=7; 0 is any
scale-virtual:
	cd $(PEERS) && $(GO) test -count=1 -v -timeout 60m -run TestFleet ./fleet -gateways 10 -clients $(HELD) -seed $(SEED)

# As root, and not in CI: do the findings still hold? make findings FINDINGS=findings/nft-netdev-chain.sh
findings:
	@sh test/findings.sh $(FINDINGS)

clean:
	rm -rf bin

comma := ,
