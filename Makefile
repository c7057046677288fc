# vmferry: `make help` lists the targets.
VARIANT ?= release
PREFIX  ?= /usr/local
# for another kind of processor: make CROSS=aarch64-linux-gnu-
CROSS   ?=
CC      := $(if $(filter default,$(origin CC)),$(CROSS)gcc,$(CC))
PKG_CONFIG ?= $(CROSS)pkg-config
B       := build/$(CROSS)$(VARIANT)
PKGS    := jansson liburing liblz4 libzstd libxxhash openssl libseccomp
SRC_PKGS := libssh2 libxml-2.0 zlib liblzma
SRC_LIBS  = $(shell $(PKG_CONFIG) --libs $(SRC_PKGS) 2>/dev/null) -lbz2 -lm
# For the targets that call make again: as many jobs as processors, unless the caller said -j.
JOBS     = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

WARN    := -Wall -Wextra -Wshadow -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes -Wvla
# An option, where this compiler has it.
cc-option = $(shell $(CC) -O2 -Werror $(1) -include features.h -x c -c /dev/null -o /dev/null 2>/dev/null && echo ' $(1)')
WARN    += $(call cc-option,-Wjump-misses-init)
ifdef CI
WARN    += -Werror
endif
CPPFLAGS += -D_GNU_SOURCE
HARDEN  := $(call cc-option,-fstack-clash-protection)$(call cc-option,-fcf-protection)$(call cc-option,-ftrivial-auto-var-init=zero)
FORTIFY := $(or $(call cc-option,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CFLAGS_release := -O2 -g $(FORTIFY) -fstack-protector-strong -fPIE $(HARDEN)
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread
CFLAGS_fuzz    := -O1 -gline-tables-only -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS_cover   := -O1 -g -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan   := -fsanitize=address,undefined
LDFLAGS_tsan   := -fsanitize=thread
LDFLAGS_fuzz   := -fsanitize=fuzzer,address,undefined
LDFLAGS_cover  := -fsanitize=fuzzer -fprofile-instr-generate
CFLAGS  := -std=gnu11 -pthread $(CFLAGS_$(VARIANT)) $(WARN) $(EXTRA_CFLAGS)
LDFLAGS := -pthread $(LDFLAGS_$(VARIANT))
CPPFLAGS += $(shell $(PKG_CONFIG) --cflags $(PKGS) $(SRC_PKGS) 2>/dev/null)
LDLIBS  := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
$(B)/vmferry $(B)/vmferry-bench $(B)/%-tool $(B)/tests/%: LDLIBS += $(SRC_LIBS)

objs     = $(patsubst %.c,$(B)/%.o,$(1))
LIB_SRC := $(wildcard proto/*.c common/*/*.c)
LIB_OBJ := $(call objs,$(LIB_SRC))
BENCH_OBJ := $(call objs,$(wildcard agent-src/bench/*.c))
BENCH_DST_OBJ := $(call objs,$(wildcard agent-dst/bench/*.c))
SRC_OBJ := $(filter-out $(BENCH_OBJ),$(call objs,$(wildcard agent-src/*/*.c)))
DST_OBJ := $(filter-out $(BENCH_DST_OBJ),$(call objs,$(wildcard agent-dst/*/*.c)))
TESTS   := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test-*.c))
TOOLS   := $(patsubst tests/lib/%.c,$(B)/%,$(wildcard tests/lib/*-tool.c))
STATICS := $(B)/vmferry-dst $(B)/vmferry-bench-dst
BINS    := $(B)/vmferry $(B)/vmferry-bench $(STATICS)
MANS    := $(patsubst docs/%.scd,$(B)/%,$(wildcard docs/*.1.scd))
MAN_DIR := share/man/man1
COMPLETIONS := share/bash-completion/completions
UNIT_DIR := lib/systemd/system
UNITS   := vmferry-dst.service vmferry-drain@.service vmferry-guests.target vmferry-replica@.service

# ---- rooms ----

# Whose headers each may include, beside its own (docs/HACKING.md has the map). No room can look back at one that uses it: what is not
# named here is not found. Whoever includes a header may include what that does.
MAY_common/host      := common/base
MAY_common/wire      := common/host common/base proto
MAY_common/libvirt   := common/base
MAY_common/qemu      := common/libvirt common/base
MAY_common/args      := common/qemu common/base
MAY_common/disk      := common/wire common/host common/base proto
MAY_common/carry     := common/base proto
MAY_common/attempt   := common/wire common/qemu common/host common/base proto
MAY_common/here      := $(addprefix common/,attempt args libvirt qemu wire host base) proto
MAY_common/replica   := $(addprefix common/,disk host base)
MAY_common/bundle    := $(addprefix common/,args qemu base)
COMMON               := $(addprefix common/,bundle replica here attempt carry disk args libvirt qemu wire host base) proto
MAY_agent-src/ssh    := common/wire common/host common/base
MAY_agent-src/dest   := agent-src/ssh common/wire common/host common/base proto
MAY_agent-src/record := common/base
MAY_agent-src/guest  := agent-src/record $(addprefix common/,attempt args libvirt qemu disk wire host base) proto
MAY_agent-src/attach := agent-src/guest $(addprefix common/,attempt args qemu wire host base) proto
MAY_agent-src/freeze := agent-src/guest $(addprefix common/,here attempt args libvirt qemu wire host base) proto
MAY_agent-src/carry  := common/carry common/disk common/qemu common/wire common/base proto
MAY_agent-src/user   := common/host common/base
MAY_agent-src/life   := $(addprefix agent-src/,user carry) $(addprefix common/,attempt carry wire qemu host base) proto
MAY_agent-src/parts  := $(addprefix agent-src/,freeze user carry guest dest) $(COMMON)
MAY_agent-src/moves  := $(addprefix agent-src/,life parts freeze import user carry guest dest) $(COMMON)
MAY_agent-src/replica := $(addprefix agent-src/,moves life parts user guest dest) $(addprefix common/,replica here attempt disk carry args libvirt qemu wire host base) proto
MAY_agent-src/bundle := $(addprefix common/,bundle args qemu base)
MAY_agent-src/import := $(addprefix agent-src/,life user bundle guest) $(addprefix common/,bundle here attempt wire args qemu host base) proto
MAY_agent-src/export := $(addprefix agent-src/,freeze life user import bundle guest) $(addprefix common/,bundle here attempt wire args qemu disk host base) proto
MAY_agent-src/storage := $(addprefix agent-src/,life parts user carry guest dest) $(COMMON)
MAY_agent-src/page   := agent-src/user common/host common/base
MAY_agent-src/fleet  := agent-src/user common/host common/base
MAY_agent-src/cli    := $(addprefix agent-src/,replica fleet attach record page life moves export import storage parts user guest dest) $(addprefix common/,replica here attempt carry args libvirt qemu wire host base) proto
MAY_agent-src/bench  := $(addprefix agent-src/,page user dest ssh) $(addprefix common/,carry qemu wire host base) proto
MAY_agent-dst/peer   := common/wire common/base proto
MAY_agent-dst/launch := $(addprefix common/,here attempt args qemu wire host base) proto
MAY_agent-dst/carry  := common/carry common/disk common/qemu common/wire common/host common/base proto
MAY_agent-dst/parts  := $(addprefix agent-dst/,carry launch peer) $(COMMON)
MAY_agent-dst/moves  := $(addprefix agent-dst/,parts carry launch peer) $(COMMON)
MAY_agent-dst/bench  := $(addprefix common/,host base)
MAY_agent-dst/serve  := $(addprefix agent-dst/,moves parts peer) $(addprefix common/,replica attempt args qemu disk wire host base) proto
MAY_tests/unit       := $(wildcard agent-src/* agent-dst/*) $(COMMON)
MAY_tests/unit/both  := $(COMMON)
MAY_tests/unit/both/src := agent-src/moves $(MAY_agent-src/moves)
MAY_tests/unit/both/dst := agent-dst/moves $(MAY_agent-dst/moves)
MAY_tests/lib        := $(wildcard agent-src/*) $(COMMON)
MAY_tests/fuzz       := $(COMMON)
includes = $(addprefix -I,$(1) $(MAY_$(1)))

# ---- building ----

# A line a file; V=1 shows whole commands.
quiet = $(if $(V),,@printf '  %-4s %s\n' $(1) $(patsubst $(B)/%,%,$@) && )

.PHONY: all
all: $(BINS) ## Build vmferry, vmferry-dst and vmferry-bench under build/$(VARIANT)/ (the default)

$(B)/vmferry: $(SRC_OBJ) $(B)/libvmferry.a
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/vmferry-bench: $(BENCH_OBJ) $(B)/libsource.a $(B)/libvmferry.a
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What goes to another host is one static binary, as nothing is installed there; but a sanitizer needs its library.
$(B)/vmferry-dst: $(DST_OBJ)
$(B)/vmferry-bench-dst: $(BENCH_DST_OBJ)
$(STATICS): $(B)/libvmferry.a
ifneq ($(filter asan tsan,$(VARIANT)),)
$(STATICS):
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)
else
# Their objects are those that all have, but for one of vmferry-dst's: a static program loads no code, so confine.c forbids it to.
# no-warnings: libcrypto could resolve names, for which it would need glibc's shared libraries; we never ask it to
$(B)/vmferry-dst: $(B)/static/common/host/confine.o
$(STATICS):
	$(call quiet,LINK)$(CC) -r -nostdlib -o $@.o $(filter %.o,$^) $(filter %.a,$^)
	$(if $(V),,@)$(CROSS)objcopy --keep-global-symbol=main $@.o # so that no name of ours is taken for one inside a library
	$(call quiet,LINK)$(CC) $(filter-out -pie,$(LDFLAGS)) -static-pie -Wl,--gc-sections,--no-warnings,-z,defs -o $@.full $@.o \
		$(shell $(PKG_CONFIG) --static --libs $(PKGS) 2>/dev/null)
	$(if $(V),,@)$(CROSS)strip -o $@ $@.full
	@printf '%s: %s bytes, static\n' $@ $$(stat -c %s $@)
$(B)/static/%.o: %.c | packages
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(call includes,$(<D)) $(CPPFLAGS) -DVMFERRY_STATIC $(CFLAGS) -MMD -MP -c -o $@ $<
endif

$(B)/libvmferry.a: $(LIB_OBJ)
	$(call quiet,AR)rm -f $@ && $(CROSS)ar rcs $@ $^

# which its headers do not tell
LIBURING = -DLIBURING_VERSION='"$(shell $(PKG_CONFIG) --modversion liburing)"'
$(B)/common/base/libraries.o: CPPFLAGS += $(LIBURING)
$(B)/proto/xxh-avx2.o: CFLAGS += $(call cc-option,-mavx2)
$(B)/%.o: %.c | packages
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(call includes,$(<D)) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A unit test links everything but the mains; each agent's modules are in an archive of their own, with those of the bench. Names that both
# have are the source's.
AGENTS := $(B)/libsource.a $(B)/libdestination.a
$(B)/libsource.a: $(filter-out %/main.o,$(SRC_OBJ) $(BENCH_OBJ))
	$(call quiet,AR)rm -f $@ && $(CROSS)ar rcs $@ $^
$(B)/libdestination.a: $(filter-out %/main.o,$(DST_OBJ) $(BENCH_DST_OBJ))
	$(call quiet,AR)rm -f $@ && $(CROSS)ar rcs $@ $^
$(B)/tests/%: $(B)/tests/unit/%.o $(AGENTS) $(B)/libvmferry.a
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $< $(AGENTS) $(B)/libvmferry.a $(LDLIBS) -lcmocka

# One test has both agents, whose names clash: in it the destination's begin with dst_. What is named here its own functions stand in for.
BOTH := $(B)/tests/unit/both
BOTH_WRAPS := now_ns loop_step loop_run loop_stop loop_post poll send sendmsg shutdown close pthread_create pthread_join pwrite \
	      fallocate fdatasync kill fault_point qmp_call journal_state pwrite_all handoff_message_send handoff_message_take process_hold \
	      process_end guard_dismiss dest_connect dest_disconnect dest_connect_data ram_let_qemu_go_on data_plane_end_of disks_say_done \
	      capture_start capture_stall capture_cut_round capture_return_path capture_end_streams capture_runstate capture_drain \
	      capture_stop capture_free capture_rounds capture_bytes converge_step \
	      data_plane_unacked program_start systemd_scope
$(BOTH)/dst-side.o: $(BOTH)/dst/side.o $(filter-out %/main.o,$(DST_OBJ))
	$(call quiet,LINK)$(CC) -r -nostdlib -o $@.all $^
	$(if $(V),,@)$(CROSS)nm --defined-only -g $@.all | sed 's/.* \(.*\)/\1 dst_\1/' >$@.names
	$(if $(V),,@)$(CROSS)objcopy --redefine-syms=$@.names $@.all $@
$(B)/tests/test-both-conductors: $(addprefix $(B)/tests/unit/,test-both-conductors.o both/qemu.o both/disk.o both/src/side.o both/dst-side.o) \
				 $(filter-out %/main.o,$(SRC_OBJ)) $(B)/libvmferry.a
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(LDFLAGS) $(BOTH_WRAPS:%=-Wl,--wrap=%) -o $@ $^ $(LDLIBS) -lcmocka

# Fuzzers, in VARIANT fuzz or cover, with clang: for tests/fuzz/run. Each has one agent, as both have a transfer.h: the source's if it
# names agent-src, otherwise the destination's.
FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
FUZZ_SRC := $(patsubst tests/fuzz/%.c,%,$(shell grep -l agent-src tests/fuzz/fuzz-*.c))
FUZZ_DST := $(filter-out $(FUZZ_SRC),$(FUZZERS))
$(FUZZ_SRC:%=$(B)/tests/fuzz/%.o): CPPFLAGS := $(addprefix -I,$(wildcard agent-src/*)) $(CPPFLAGS)
$(FUZZ_DST:%=$(B)/tests/fuzz/%.o): CPPFLAGS := $(addprefix -I,$(wildcard agent-dst/*)) $(CPPFLAGS)
FUZZ_BINS := $(FUZZERS:%=$(B)/%)
SEED_BINS := $(FUZZERS:%=$(B)/seeds/%)
$(FUZZ_SRC:%=$(B)/%) $(FUZZ_SRC:%=$(B)/seeds/%): $(B)/libsource.a
$(FUZZ_DST:%=$(B)/%) $(FUZZ_DST:%=$(B)/seeds/%): $(B)/libdestination.a
$(FUZZ_BINS): $(B)/%: $(B)/tests/fuzz/%.o $(B)/libvmferry.a
# which only run their seeds, in any variant
$(SEED_BINS): $(B)/seeds/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/seeds.o $(B)/libvmferry.a
$(FUZZ_BINS) $(SEED_BINS):
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter $(AGENTS),$^) $(B)/libvmferry.a $(LDLIBS) $(SRC_LIBS)

# The agents with their libraries shared, so that a test's own can stand in between (tests/lib/power-failure.h, shim.h).
SHARED := $(B)/shared/vmferry-dst $(B)/shared/vmferry $(B)/shared/power.so $(B)/shared/error.so $(B)/shared/clock.so $(B)/shared/qmp.so
$(B)/shared/vmferry-dst: $(DST_OBJ) $(B)/libvmferry.a
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/shared/vmferry: $(B)/vmferry
	@mkdir -p $(@D)
	$(if $(V),,@)cp $< $@
$(B)/shared/power.so: tests/lib/power-failure.h
# no sanitizer in them: QEMU loads them as well
$(B)/shared/%.so: tests/lib/%-shim.c tests/lib/shim.h
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -fPIC -shared -o $@ $<

# What end-to-end tests call: the source agent's SSH client and the benchmark's collector, each on its own.
# It is called so often that it has no library but the one it needs; the demo calls it, too.
$(B)/ask-tool: $(B)/tests/lib/ask-tool.o
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $< $(shell $(PKG_CONFIG) --libs jansson)
$(B)/%-tool: $(B)/tests/lib/%-tool.o $(AGENTS) $(B)/libvmferry.a
	$(call quiet,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: man
man: $(MANS) $(B)/man/done ## Build the man pages, of each command, too (needs scdoc: scripts/install-deps --docs)
scdoc = @command -v scdoc >/dev/null || { echo "scdoc is missing: run scripts/install-deps --docs --without-qemu" >&2; exit 1; }
$(B)/%.1: docs/%.1.scd
	$(scdoc)
	@mkdir -p $(@D)
	$(call quiet,MAN)scdoc <$< >$@.new && mv $@.new $@
$(B)/man/done: docs/vmferry.1.scd agent-src/cli/main.c scripts/man-commands
	$(scdoc)
	@rm -rf $(@D)
	$(call quiet,MAN)scripts/man-commands $(@D) && for page in $(@D)/*.scd; do scdoc <$$page >$${page%.scd} && rm $$page; done
	@touch $@

.PHONY: packages tests test-tools fuzz-seeds
packages:
	@$(PKG_CONFIG) --exists $(PKGS) $(SRC_PKGS) || { echo "libraries are missing: run scripts/install-deps first" >&2; exit 1; }
tests: $(TESTS) test-tools fuzz-seeds ## Build the unit tests, what end-to-end tests call, and the fuzzers with their seeds alone
test-tools: $(TOOLS) $(SHARED)
fuzz-seeds: $(SEED_BINS)

.PHONY: install
install: all ## Install under $(DESTDIR)$(PREFIX); man pages if they were built
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BINS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vmferry README.md LICENSE proto/PROTOCOL.md docs/*.md
	install -D -m 644 scripts/vmferry.bash $(DESTDIR)$(PREFIX)/$(COMPLETIONS)/vmferry
	ln -sf vmferry $(DESTDIR)$(PREFIX)/$(COMPLETIONS)/vmferry-dst
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	sed 's|/usr/local/|$(PREFIX)/|' scripts/vmferry.zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_vmferry
	sed 's|/usr/local/|$(PREFIX)/|' scripts/vmferry.fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vmferry.fish
	ln -sf vmferry.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vmferry-dst.fish
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/share/vmferry scripts/lab
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/vmferry scripts/ocf/vmferry
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/vmferry/ansible scripts/ansible/*
	$(if $(wildcard build/guest/initrd.img),install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/vmferry/guest build/guest/vmlinuz build/guest/initrd.img)
	install -D -m 644 docs/vmferry-guests.conf $(DESTDIR)$(PREFIX)/$(UNIT_DIR)/session-.scope.d/vmferry-guests.conf
	$(foreach unit,$(UNITS),sed 's|/usr/local/|$(PREFIX)/|' docs/$(unit) >$(DESTDIR)$(PREFIX)/$(UNIT_DIR)/$(unit) && chmod 644 $(DESTDIR)$(PREFIX)/$(UNIT_DIR)/$(unit) && ):
	$(if $(wildcard $(MANS)),install -D -m 644 -t $(DESTDIR)$(PREFIX)/$(MAN_DIR) $(wildcard $(MANS) $(B)/man/*.1))

# Builds in build/deb so that the working tree stays clean; the source package needs no git.
.PHONY: deb
PACKAGE := build/deb
deb: ## Build a Debian package, build/vmferry_*.deb, and its source package in build/deb (needs debhelper and what debian/control names)
	@cd $(CURDIR) && dpkg-checkbuilddeps
	rm -rf $(PACKAGE) build/vmferry_*.deb && mkdir -p $(PACKAGE)/vmferry
	tar -c --exclude=./build --exclude-vcs . | tar -x --no-same-owner -C $(PACKAGE)/vmferry
	cd $(PACKAGE)/vmferry && dpkg-buildpackage --no-sign
	cp $(PACKAGE)/vmferry_*.deb build/

.PHONY: uninstall
uninstall: ## Remove what install put there
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(BINS:$(B)/%=bin/%) $(UNITS:%=$(UNIT_DIR)/%) $(UNIT_DIR)/session-.scope.d/vmferry-guests.conf \
		$(COMPLETIONS)/vmferry $(COMPLETIONS)/vmferry-dst share/zsh/site-functions/_vmferry $(addprefix share/fish/vendor_completions.d/vmferry,.fish -dst.fish) \
		$(MANS:$(B)/%=$(MAN_DIR)/%)) $(DESTDIR)$(PREFIX)/$(MAN_DIR)/vmferry-*.1
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/vmferry $(DESTDIR)$(PREFIX)/share/vmferry $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/vmferry

# ---- trying and testing: these install what they need first (scripts/install-deps) ----

.PHONY: demo
demo: ## Move a busy guest live on this machine and let it say whether anything was lost
	@scripts/install-deps
	@echo "building vmferry, which takes about a minute (build/build.log)"
	@$(MAKE) --no-print-directory $(JOBS) all $(B)/ask-tool >build/build.log 2>&1 || { tail -n 30 build/build.log; exit 1; }
	@VARIANT=$(VARIANT) scripts/demo

.PHONY: check
check: check-prepared ## The gate: unit tests, and of end-to-end tests what nothing cheaper covers; T=WORD: whichever have it in their names
	TIER=$(if $(T),,gate) GUEST_IS_BUILT=yes VARIANT=$(VARIANT) tests/lib/run $(T)

.PHONY: check-all check-prepared
check-all: check-prepared ## Every test, whole, and end-to-end ones on every QEMU (hours); T=WORD; C='COLUMN...' (tests/lib/check-all --list); goes on where it was cut off
	scripts/install-deps --callers
	GUEST_IS_BUILT=yes VARIANT=$(VARIANT) tests/lib/check-all $(C)
check-prepared:
	@cd "$(CURDIR)" 2>/dev/null || { echo "this user may not enter $(CURDIR): move the checkout, or be its owner" >&2; exit 1; }
	@! command -v python3 >/dev/null || tests/lib/run --place # at once, and not after all is built
	scripts/install-deps --cross
	$(MAKE) $(JOBS) all tests
	tests/guest/build-guest

# Every version of clang-format lays some lines out in its own way: Debian 12's is the one.
SOURCES = $(shell git ls-files '*.c' '*.h')
.PHONY: format format-check
format: ## Lay the sources out with clang-format 14
	@clang-format -i $(SOURCES)
format-check: ## Say what is not laid out so
	@version=$$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/'); if [ "$$version" = 14 ]; then \
		clang-format --dry-run --Werror --ferror-limit=3 $(SOURCES) || { echo "make format lays them out" >&2; exit 1; }; \
	else echo "layout is not looked at: this is clang-format $$version, and 14 is meant"; fi

.PHONY: check-long
check-long: check-prepared ## The campaigns that are not green at this commit: faults, mutants, fuzzing, sanitizers, other releases (days); P=PART: those
	scripts/install-deps --check --model --cross --callers
	VARIANT=$(VARIANT) tests/long/run $(P)

.PHONY: check-faults
check-faults: ## The table of faults: what goes wrong in which moment, and where the guest is then; T=WORD: those cells (hours)
	scripts/install-deps
	$(MAKE) $(JOBS) all tests
	tests/guest/build-guest
	VARIANT=$(VARIANT) tests/faults/run $(T)

.PHONY: unit
unit: tests ## Unit tests only; VARIANT=asan or tsan: under a sanitizer
	VARIANT=$(VARIANT) tests/lib/run unit/

.PHONY: model
model: ## Check the model of the hand-off with spin (about two minutes)
	scripts/install-deps --model --without-qemu
	tests/model/run

.PHONY: fuzz
fuzz: ## Fuzz what reads what others wrote: T=WORD: those targets; N=SECONDS each, or N=EXECUTIONSx; says how fast, and what was covered
	scripts/install-deps --check --without-qemu
	tests/fuzz/run --coverage $(or $(N),60) $(T)

.PHONY: bench bench-quick bench-ram
BENCH := build/bench/latest.json
bench: ## Measure moves over 1 Gb/s beside QEMU's own, as the guest feels them (needs root; half an hour); BENCH_OPTIONS='...'
	scripts/install-deps
	$(MAKE) $(JOBS) all
	tests/guest/build-guest
	@mkdir -p $(dir $(BENCH))
	@if [ -s $(BENCH) ]; then mv -v $(BENCH) $(BENCH:.json=.before.json); fi
	$(B)/vmferry bench --lab -o $(BENCH) $(BENCH_OPTIONS)
	$(B)/vmferry report $(BENCH) -o $(BENCH:.json=.html)

bench-quick: ## The same, smaller: one workload, twice (five minutes)
	$(MAKE) bench BENCH=build/bench/quick.json \
		BENCH_OPTIONS='--mem 512M --disk-data 384M --workloads writer --repeat 2 $(BENCH_OPTIONS)'

bench-ram: ## Memory alone, as fast as loopback carries it
	$(MAKE) bench BENCH=build/bench/ram.json BENCH_OPTIONS='--links unshaped --mem 4G --disks 0 --workloads idle \
		--tools single,multifd,vmferry+codec=none $(BENCH_OPTIONS)'

# ---- the rest ----

.PHONY: compile_commands.json
ROOMS := proto $(sort $(patsubst %/,%,$(dir $(wildcard common/*/*.c agent-*/*/*.c tests/unit/*.c tests/unit/both/*.c tests/unit/both/*/*.c tests/lib/*.c))))
# FILES, OPTIONS, as directories of headers: a line of JSON each. Older clangs refuse an option of HARDEN.
commands_of = printf '%s\n' $(1) | sed 's|.*|{"directory": "$(CURDIR)", "file": "&", "command": "$(CC) $(2) $(CPPFLAGS) $(filter-out $(HARDEN),$(CFLAGS)) -c &"}|';
compile_commands.json: ## For clangd and other tools: each file with the headers of its own room
	@{ $(foreach d,$(ROOMS),$(call commands_of,$(wildcard $(d)/*.c),$(call includes,$(d)))) \
	   $(call commands_of,$(wildcard tests/guest/*.c)) $(call commands_of,tests/fuzz/seeds.c,$(call includes,tests/fuzz)) \
	   $(call commands_of,$(wildcard tests/guest/tiny/*.c),-m32 -ffreestanding -fno-pic) \
	   $(call commands_of,$(FUZZ_SRC:%=tests/fuzz/%.c),$(addprefix -I,$(wildcard agent-src/*)) $(call includes,tests/fuzz)) \
	   $(call commands_of,$(FUZZ_DST:%=tests/fuzz/%.c),$(addprefix -I,$(wildcard agent-dst/*)) $(call includes,tests/fuzz)) \
	} | sed '1s/^/[/; $$!s/$$/,/; $$s/$$/]/' >$@

.PHONY: clean
clean: ## Remove what was compiled (QEMU, kernel and guest under build/ stay)
	rm -rf build/release build/debug build/asan build/tsan build/fuzz build/cover build/clang compile_commands.json

.PHONY: help
help: ## This list
	@grep -hE '^[a-z_.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

-include $(patsubst %.o,%.d,$(B)/static/common/host/confine.o $(LIB_OBJ) $(SRC_OBJ) $(DST_OBJ) $(BENCH_OBJ) $(BENCH_DST_OBJ)) $(patsubst %,%.d,$(TESTS:$(B)/tests/%=$(B)/tests/unit/%)) $(TOOLS:$(B)/%=$(B)/tests/lib/%.d) $(wildcard $(BOTH)/*.d $(BOTH)/*/*.d $(B)/tests/fuzz/*.d)
