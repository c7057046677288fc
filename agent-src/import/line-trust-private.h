/* line-trust-private.h: shared by the files of line-trust.h: the option under examination, and the verdict. */
#ifndef VMFERRY_LINE_TRUST_PRIVATE_H
#define VMFERRY_LINE_TRUST_PRIVATE_H

#include "line-trust.h"
#include "qemu-opts.h"
#include "qemu-props.h"

#define NOT_HARMLESS "which may lead to what is not in the bundle"

struct judge {
	const struct args_result *line;
	bool trusted;
	json_t *named; /* files of the bundle named so far: true if written to */
	struct line_words *out;
	struct err *e;
	const char *option, *value; /* option under examination */
};

/* Notes for the plan that the guest uses something of this host. 0. */
int judge_say_host(struct judge *j, const char *what);
/* Refuses, or with a trusted line notes it for the plan. */
int judge_object(struct judge *j, const char *what);
/* Notes an open port for the plan; a monitor may only be open to this host. host: "" is every address. */
int judge_open_port(struct judge *j, const char *host, bool monitor);
/* Notes a monitor that others can reach, which comes first in the plan. 0. */
int judge_say_monitor(struct judge *j, const char *text);
/* True if name is one of these patterns; a pattern with a star at its end is a prefix. */
bool judge_among(const char *name, const char *const *patterns, size_t count);
/* True for a file that the rewriter knows, or that every host has. */
bool judge_is_known(const struct judge *j, const char *value);
/* Checks that the file is known, and not named twice if it is written to. */
int judge_name(struct judge *j, const char *value, bool writable);
/* Judges a property; one that is not known to be harmless is refused. */
int judge_pair(struct judge *j, const char *key, const char *value);
/* Judges all properties from that one on. */
int judge_list(struct judge *j, const struct kv_list *l, size_t from);

/* -drive and -blockdev: line-trust-block.c. */
int judge_block(struct judge *j);
/* -chardev; -serial, -monitor and their like; -s; -vnc and -spice: line-trust-chars.c. */
int judge_chardev(struct judge *j);
int judge_compat(struct judge *j);
int judge_gdb(struct judge *j);
int judge_display(struct judge *j);
/* Judges all monitors of the line, and all ways in which others may reach them. */
int judge_monitors(struct judge *j);
/* -netdev, -nic and -net: line-trust-net.c. */
int judge_network(struct judge *j);

#endif
