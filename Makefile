# SPDX-License-Identifier: Apache-2.0
# DaDNS. One Makefile, not recursive. What a person types:
#
#   make demo               install what is missing, build, start the stack, show three zones served
#   make test               everything that must pass: unit, integration, whole-system stories
#   make up | down          the same stack, kept for hand work (build/run/endpoints.env)
#   make all                the programs, in build/$(MODE)/
#   make coredns            CoreDNS with our plugin, build/coredns/coredns; what starts a stack wants it
#   make check              unit tests            make check-integration   against real servers
#   make check-e2e          the stories           make bench               figures as ratios
#   make sim                histories on models of all that is outside, SECONDS=60; FIRST=n: from that seed on; SEED=n replays one
#   make sim-mutants        does the simulation find what it must find?
#   make chaos              the fault matrix; prints docs/faults.md
#   make lint | format | docs | analyze | clean | install
#
# MODE=release|debug|asan|tsan|analyze   CC=gcc|clang-14   WERROR= (empty: warnings do not stop)

MODE ?= release
CC = gcc
WERROR ?= -Werror
PREFIX ?= /usr/local
B := build/$(MODE)

SERVICES := ingest writer-bind writer-mysql
PROGRAMS := $(SERVICES) dadns

CSTD := -std=gnu17
WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wwrite-strings -Wpointer-arith -Wcast-qual \
	-Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wformat=2 \
	-Wimplicit-fallthrough -Wswitch-enum -Wnull-dereference $(WERROR)
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
OPT_release := -O2 -g $(HARDEN)
OPT_debug := -O0 -g3
OPT_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -g -fsanitize=thread
OPT_analyze := -O1 -g -fanalyzer
LINK_release := -Wl,-z,relro,-z,now -Wl,--as-needed
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

CPPFLAGS := -I. -D_GNU_SOURCE
CFLAGS ?=
ALL_CFLAGS := $(CSTD) $(WARN) $(OPT_$(MODE)) -fPIE -pthread -MMD -MP $(CFLAGS)
LDFLAGS ?=
ALL_LDFLAGS := $(OPT_$(MODE)) -pie -pthread $(LINK_$(MODE)) $(LDFLAGS)
LIBS := -lrdkafka -lmicrohttpd -lldns -ljansson -lyaml -lcrypto -lmariadb -lcurl -lhiredis -lm

COMMON := $(wildcard common/*.c)
COMMON_O := $(COMMON:%.c=$(B)/%.o)
ifeq ($(MODE),tsan) # which does not see the C11 threads that librdkafka is made of
EXTRA_O := $(B)/tests/lib/c11_threads.o
export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/lib/tsan.suppressions
endif
LIBCOMMON := $(B)/libcommon.a

# Everything of a service but its main.c is a library, so that its tests can link it.
service_src = $(filter-out services/$(1)/main.c,$(wildcard services/$(1)/*.c))
define service_rules
$(B)/lib$(1).a: $(patsubst %.c,$(B)/%.o,$(call service_src,$(1)))
	@rm -f $$@
	@ar rcs $$@ $$^
$(B)/$(1): $(B)/services/$(1)/main.o $(EXTRA_O) $(B)/lib$(1).a $(LIBCOMMON)
	@echo "  link $$@"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef

UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
INTEGRATION := $(patsubst tests/integration/%.c,$(B)/tests/integration/%,$(wildcard tests/integration/test_*.c))
BENCH := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))
SERVICE_LIBS := $(SERVICES:%=$(B)/lib%.a) $(B)/libcli.a

# Go, for the server's side alone: the programs of `all` do without it.
COREDNS := build/coredns/coredns
COREDNS_FROM := $(shell find deploy/coredns -name '*.go' ! -name '*_test.go') deploy/coredns/go.mod deploy/coredns/go.sum

.PHONY: all coredns check integration check-integration check-e2e chaos bench sim sim-mutants demo test up down lint format docs analyze clean install install-tools help
.SECONDARY:

all: $(PROGRAMS:%=$(B)/%)

$(foreach s,$(SERVICES),$(eval $(call service_rules,$(s))))

$(B)/libcli.a: $(patsubst %.c,$(B)/%.o,$(filter-out cli/main.c,$(wildcard cli/*.c)))
	@rm -f $@
	@ar rcs $@ $^
$(B)/dadns: $(B)/cli/main.o $(EXTRA_O) $(B)/libcli.a $(LIBCOMMON)
	@echo "  link $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(LIBCOMMON): $(COMMON_O)
	@rm -f $@
	@ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -DDADNS_VERSION='"$(VERSION)"' -c -o $@ $<

# Literals go into char *argv[] in tests.
$(B)/tests/unit/%.o $(B)/tests/integration/%.o: ALL_CFLAGS += -Wno-write-strings -Wno-missing-prototypes
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(EXTRA_O) $(SERVICE_LIBS) $(LIBCOMMON)
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(B)/tests/integration/%: $(B)/tests/integration/%.o $(EXTRA_O) $(SERVICE_LIBS) $(LIBCOMMON)
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(EXTRA_O) $(SERVICE_LIBS) $(LIBCOMMON)
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# The simulation: the product's own code on models of Kafka, clock, threads, HTTP and backends, which
# come first at link time (docs/decisions/0011). Its children wrap what the models answer.
SIM_O := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c)) $(B)/tests/sim/main_of_ingest.o
SIM_WRAP := getrandom clock_gettime nanosleep $(addprefix pthread_,create join $(addprefix mutex_,init destroy lock unlock) \
	$(addprefix rwlock_,init destroy rdlock wrlock unlock) $(addprefix cond_,init destroy wait timedwait signal broadcast))
$(B)/tests/sim/main_of_ingest.o: services/ingest/main.c
	@mkdir -p $(@D)
	@echo "  cc $< for the simulation"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Dmain=ingest_main -Wno-missing-prototypes -c -o $@ $<
$(B)/tests/sim/sim: $(SIM_O) $(EXTRA_O) $(B)/libingest.a $(LIBCOMMON)
	@echo "  link $@"
	@$(CC) $(ALL_LDFLAGS) $(SIM_WRAP:%=-Wl,--wrap=%) -o $@ $^ $(LIBS) -llua5.1

SECONDS := 60
sim: $(B)/tests/sim/sim
ifdef SEED
	@$< --seed=$(SEED)
else
	@$< --seeds=tests/sim/seeds
	@$< --seconds=$(SECONDS) $(FIRST:%=--first=%)
endif

sim-mutants: $(B)/tests/sim/sim
	@B=$(B) CC='$(CC) $(CPPFLAGS) $(ALL_CFLAGS)' MODELS='$(SIM_O)' LINK='$(CC) $(ALL_LDFLAGS) $(SIM_WRAP:%=-Wl,--wrap=%)' \
		LAST='$(LIBS) -llua5.1' tests/sim/mutants.sh $(MUTANTS)

coredns: $(COREDNS)

$(COREDNS): $(COREDNS_FROM)
	@echo "  go $@"
	@tools/coredns.sh build $@

check: $(UNIT)
	@tools/run-tests.sh $(UNIT)

integration: all $(INTEGRATION)

check-integration: integration
	@BIN=$(B) tools/run-tests.sh $(INTEGRATION)

# STORIES='--but 3*', or some of them
check-e2e: all $(COREDNS)
	@BIN=$(B) tools/run-stories.sh $(STORIES)

# Loaded by LD_PRELOAD into the programs of a release build: makes chosen calls fail.
FAULT_LIB := $(B)/libfault.so $(B)/libfault-own-malloc.so
$(B)/libfault-own-malloc.so: CPPFLAGS += -DOWN_MALLOC
$(FAULT_LIB): tests/chaos/shim.c
	@mkdir -p $(@D)
	@echo "  cc $@"
	@$(CC) $(CPPFLAGS) $(CSTD) $(WARN) -O2 -g -fPIC -pthread -shared -fvisibility=hidden -o $@ $< -ldl

chaos: install-tools all $(COREDNS) $(FAULT_LIB)
	@tests/chaos/test_checker.py
	@BIN=$(B) tests/chaos/test_tools.py
	@BIN=$(B) tests/chaos/run.py

bench: install-tools all $(COREDNS) $(BENCH)
	@BIN=$(B) tools/bench.sh

install-tools:
	@tools/install.sh

demo: install-tools
	@$(MAKE) --no-print-directory -s MODE=release all coredns
	@BIN=build/release tools/stack.sh up
	@BIN=build/release tools/demo.sh

up: install-tools
	@$(MAKE) --no-print-directory -s MODE=release all coredns
	@BIN=build/release tools/stack.sh up

down:
	@tools/stack.sh down

test: install-tools
	@tools/test.sh

analyze:
	@$(MAKE) --no-print-directory MODE=analyze all

format:
	@clang-format-14 -i $(shell git ls-files '*.c' '*.h')

lint:
	@tests/lint.sh

docs: all
	@tools/docs.sh $(B)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS:%=$(B)/%) $(DESTDIR)$(PREFIX)/bin

clean:
	@rm -rf build/release build/debug build/asan build/tsan build/analyze build/coredns

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

-include $(shell find $(B) -name '*.d' 2>/dev/null)
