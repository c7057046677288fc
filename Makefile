# vmferry: `make help` lists the targets.
VARIANT ?= release
CC      ?= gcc
B       := build/$(VARIANT)
PKGS    := jansson liburing liblz4 libzstd libxxhash
have     = $(shell pkg-config --exists $(PKGS) 2>/dev/null && echo yes)

WARN    := -Wall -Wextra -Wshadow -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes -Wvla
WARN    += $(shell $(CC) -Wjump-misses-init -x c -c /dev/null -o /dev/null 2>/dev/null && echo -Wjump-misses-init)
ifdef CI
WARN    += -Werror
endif
CPPFLAGS += -D_GNU_SOURCE -Iproto -Icommon -Iagent-src -Iagent-dst
CFLAGS_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan   := -fsanitize=address,undefined
LDFLAGS_tsan   := -fsanitize=thread
CFLAGS  := -std=gnu11 -pthread $(CFLAGS_$(VARIANT)) $(WARN) $(EXTRA_CFLAGS)
LDFLAGS := -pthread $(LDFLAGS_$(VARIANT))
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

objs     = $(patsubst %.c,$(B)/%.o,$(1))
LIB_OBJ := $(call objs,$(wildcard proto/*.c common/*.c))
SRC_OBJ := $(call objs,$(wildcard agent-src/*.c))
DST_OBJ := $(call objs,$(wildcard agent-dst/*.c))
TESTS   := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test-*.c))
BINS    := $(B)/vmferry $(B)/vmferry-dst

.PHONY: all
all: $(BINS) ## Build vmferry and vmferry-dst under build/$(VARIANT)/

$(B)/vmferry: $(SRC_OBJ) $(B)/libvmferry.a
$(B)/vmferry-dst: $(DST_OBJ) $(B)/libvmferry.a
$(BINS):
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/libvmferry.a: $(LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A unit test links everything but the two mains; each agent's modules are in an archive of their own.
$(B)/libagents.a: $(filter-out %/main.o,$(SRC_OBJ) $(DST_OBJ))
	rm -f $@ && ar rcs $@ $^
$(B)/tests/%: $(B)/tests/unit/%.o $(B)/libagents.a $(B)/libvmferry.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(B)/libagents.a $(B)/libvmferry.a $(LDLIBS) -lcmocka

.PHONY: unit
unit: $(TESTS) ## Build and run the unit tests only
	@for t in $(TESTS); do echo "== $$t"; $$t || exit 1; done

.PHONY: clean
clean: ## Remove what was compiled (packages and guest under build/ stay)
	rm -rf build/release build/debug build/asan build/tsan build/fuzz

.PHONY: help
help: ## This list
	@grep -hE '^[a-z_.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

-include $(LIB_OBJ:.o=.d) $(SRC_OBJ:.o=.d) $(DST_OBJ:.o=.d) $(patsubst %,%.d,$(TESTS:$(B)/tests/%=$(B)/tests/unit/%))
