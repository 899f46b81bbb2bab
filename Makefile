# Each target is what you would type by hand. The lab behind `demo` and `test` needs root: it makes
# network namespaces. Everything runs without standard input.

CARGO  ?= cargo
PREFIX ?= /usr
TARGET ?= $(or $(CARGO_TARGET_DIR),target)

# check_mysql runs each second: linked statically and to a fixed address it starts 0.3 ms sooner,
# because there is nothing to load and nothing to relocate. Empty where no static C library is at hand.
STATIC ?= -C target-feature=+crt-static -C relocation-model=static

HOOKS = check_mysql notify_master notify_backup notify_fault notify_stop

# program:package. The core package holds the server alone: no service that starts by itself.
NEEDED = mariadbd:mariadb-server-core mariadb-binlog:mariadb-client keepalived:keepalived \
         ip:iproute2 nft:nftables ps:procps patchelf:patchelf strace:strace

export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help setup servers demo test test-servers bench lint build install

help:
	@echo "make demo     kill a database under load in a lab on this machine, and watch the take-over"
	@echo "make test     all tests, those of the lab included"
	@echo "make test-servers  failover, hang, switch, rejoin and divergence on five servers, as a table"
	@echo "make bench    what a check costs, beside its rivals, in a lab on this machine"
	@echo "make lint     formatting and clippy, as the CI runs them"
	@echo "make build    the programs, optimised, in $(TARGET)/release"
	@echo "make install  copy them to DESTDIR and PREFIX (/usr); run make build first"
	@echo "make setup    install what the lab needs, where it is missing (Debian, Ubuntu)"
	@echo "make servers  fetch four other MySQL and MariaDB servers into a cache folder (1.2 GB)"

setup:
	@missing=""; \
	for pair in $(NEEDED); do \
		command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	test -n "$$missing" || exit 0; \
	echo "missing:$$missing"; \
	test "$$(id -u)" = 0 || { echo "run: sudo make setup" >&2; exit 1; }; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -q </dev/null && \
	apt-get install -q -y --no-install-recommends $$missing </dev/null

servers: setup
	tests/servers/fetch

demo: setup
	$(CARGO) run -p lab -- demo

# Each test of the lab starts two servers and two keepaliveds: two labs at a time are enough.
test: servers
	$(CARGO) test --workspace -- --test-threads=2

test-servers: servers
	$(CARGO) run -p lab -- servers

# Each rival in turn, the same number of times, on both nodes of a healthy pair.
bench: setup build
	LAB_BIN_DIR=$(abspath $(TARGET)/release) $(CARGO) run -p lab -- bench-check

lint:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --features keepalived-mysql/test-switches -- -D warnings

build:
	$(CARGO) build --release --workspace --exclude lab --exclude check_mysql
	$(CARGO) rustc --release -p check_mysql -- $(STATIC)

install:
	install -d $(DESTDIR)$(PREFIX)/libexec/keepalived-mysql $(DESTDIR)$(PREFIX)/sbin
	cd $(TARGET)/release && install -m 0755 $(HOOKS) $(DESTDIR)$(PREFIX)/libexec/keepalived-mysql
	install -m 0755 $(TARGET)/release/keepalived-mysql $(DESTDIR)$(PREFIX)/sbin
