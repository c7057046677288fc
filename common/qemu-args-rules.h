/* qemu-args-rules.h: what the parts of the rewriter share; nobody else includes it. */
#ifndef VMFERRY_QEMU_ARGS_RULES_H
#define VMFERRY_QEMU_ARGS_RULES_H

#include "qemu-args.h"
#include "qemu-opts.h"

#include <stdbool.h>
#include <stddef.h>

struct moved {
	char *from, *to;
};

struct rewrite {
	const struct args_options *o;
	struct args_result *r;
	struct err *e;
	struct moved *moved; /* what went to socket_dir, so that two files never get one name */
	size_t moved_count;
	bool machine_typed, has_display;
};

/* Appends an option to the result; without a name ("") only its value. */
void args_emit(struct rewrite *w, const char *name, const char *value);
void args_emit_list(struct rewrite *w, const char *name, const struct kv_list *l);
/* A line for the plan. */
void args_note(struct rewrite *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool args_starts(const char *s, const char *prefix);
/* Without "//" and "/./", against cwd when relative; malloc'ed. */
char *args_absolute(const struct rewrite *w, const char *path);

/* Rules: 0 or -errno. */
int args_on_drive(struct rewrite *w, const struct qemu_opt *opt);
int args_on_blockdev(struct rewrite *w, const struct qemu_opt *opt);
int args_on_disk_file(struct rewrite *w, const struct qemu_opt *opt);
int args_on_media(struct rewrite *w, const struct qemu_opt *opt);

#endif
