# SPDX-License-Identifier: MIT
# A thin front: what is built and how stands in meson.build.

BUILD ?= build
PREFIX ?= /usr/local
MESON_ARGS ?=

.PHONY: all build run test campaign soak fuzz bench check install clean help

all: build
	@echo '$(BUILD)/firn is there. Try: make run'

build:
	@tools/install-deps build
	@tools/build $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS)

run: build
	@tools/run-demo $(BUILD)/firn

test:
	@tools/install-deps test
	@tools/run-tests

campaign:
	@tools/install-deps test
	@tools/build build/test-plain -Dwerror=true -Dtests=enabled
	@tools/campaign build/test-plain

soak:
	@tools/install-deps test
	@tools/soak

fuzz:
	@tools/install-deps fuzz
	@tools/fuzz

bench:
	@tools/install-deps build bench
	@tools/run-bench

check:
	@tools/install-deps test check
	@tools/run-checks

install: build
	@echo '$(BUILD)/firn is there. Try: make run'
	@meson install --no-rebuild -C $(BUILD)

clean:
	rm -rf build $(BUILD)

help:
	@echo 'make          build the library and the command, $(BUILD)/firn'
	@echo 'make run      a demonstration on real records of this machine'
	@echo 'make test     every test: plain, under sanitizers, by clang for plain POSIX'
	@echo 'make campaign the long campaigns: all crash states, many seeds'
	@echo 'make soak     many threads at once, under the thread sanitizer, SOAK_SECONDS (60) each'
	@echo 'make fuzz     each decoder and recovery under libFuzzer, FUZZ_SECONDS (60) each'
	@echo 'make bench    the benchmarks, against bare baselines and other stores'
	@echo 'make check    format, lint, static analysis, layering, style'
	@echo 'make install  install below PREFIX ($(PREFIX))'
	@echo 'make clean    remove what was built'
