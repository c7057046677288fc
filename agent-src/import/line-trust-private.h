/* line-trust-private.h: what the files of line-trust.h share: the option that is looked at, and what becomes of it. */
#ifndef VMFERRY_LINE_TRUST_PRIVATE_H
#define VMFERRY_LINE_TRUST_PRIVATE_H

#include "line-trust.h"
#include "qemu-opts.h"
#include "qemu-props.h"

#define NOT_HARMLESS "which may lead to what is not in the bundle"

struct judge {
	const struct args_result *line;
	bool trusted;
	json_t *named; /* the bundle's files that were named already: true where they are written to */
	struct line_words *out;
	struct err *e;
	const char *option, *value; /* the one that is looked at */
};

/* The guest uses something of this host, which the plan says. 0. */
int judge_say_host(struct judge *j, const char *what);
/* Refused unless the line is trusted; then it is said. */
int judge_object(struct judge *j, const char *what);
/* The plan says that it is open; a monitor is only to this host. host: "" is every address. */
int judge_open_port(struct judge *j, const char *host, bool monitor);
/* A monitor that others reach, which the plan says first. 0. */
int judge_say_monitor(struct judge *j, const char *text);
/* Whether it is one of these; one that ends with a star is what names begin with. */
bool judge_among(const char *name, const char *const *patterns, size_t count);
/* A file that the rewriter knows, or one of every host's. */
bool judge_is_known(const struct judge *j, const char *value);
/* A file that is known, and is not read as one thing and written to as another. */
int judge_name(struct judge *j, const char *value, bool writable);
/* A property: what is not known to be harmless is objected to. */
int judge_pair(struct judge *j, const char *key, const char *value);
/* All properties from that one on. */
int judge_list(struct judge *j, const struct kv_list *l, size_t from);

/* -drive and -blockdev: line-trust-block.c. */
int judge_block(struct judge *j);
/* -chardev; -serial, -monitor and their like; -s; -vnc and -spice: line-trust-chars.c. */
int judge_chardev(struct judge *j);
int judge_compat(struct judge *j);
int judge_gdb(struct judge *j);
int judge_display(struct judge *j);
/* All monitors of the line, by whichever way others may reach one. */
int judge_monitors(struct judge *j);
/* -netdev, -nic and -net: line-trust-net.c. */
int judge_network(struct judge *j);

#endif
