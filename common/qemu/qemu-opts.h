/*
 * qemu-opts.h: the two syntaxes of a QEMU command line: options in argv, and "key=value,key=value"
 * inside one. Pure: no I/O.
 */
#ifndef VMFERRY_QEMU_OPTS_H
#define VMFERRY_QEMU_OPTS_H

#include <stdbool.h>
#include <stddef.h>

/* An option of argv; the pointers lead into argv. */
struct qemu_opt {
	const char *name;  /* the option without its dashes; "" for a plain argument, which QEMU takes as -hda */
	const char *value; /* NULL: has none */
};

/* Walks argv[*i…]; start with *i = 1. False at the end. */
bool qemu_opt_next(char *const *argv, size_t argc, size_t *i, struct qemu_opt *out);

/* "a,b=c,,d" is {NULL, "a"}, {"b", "c,d"}: a part without '=' has no key. */
struct kv {
	char *key, *value;
};
struct kv_list {
	struct kv *v;
	size_t n;
};

void kv_parse(struct kv_list *l, const char *text);
/* malloc'ed, with commas doubled again. */
char *kv_print(const struct kv_list *l);
void kv_fini(struct kv_list *l);
/* Freed when the scope ends. */
#define AUTO_KV __attribute__((cleanup(kv_fini)))
/* Value of the last part with that key; with implied_key equal to key, a first part without key
 * counts too. */
const char *kv_get(const struct kv_list *l, const char *key, const char *implied_key);
/* "key", "key=on", "key=yes" against "nokey", "key=off"; the last one counts. */
bool kv_flag(const struct kv_list *l, const char *key, bool otherwise);
/* Replaces every "key", "nokey" and "key=…" by one "key=value" at the end. */
void kv_set_flag(struct kv_list *l, const char *key, const char *value);
void kv_append(struct kv_list *l, const char *key, const char *value);
/* The last part with that key, or NULL; implied_key as in kv_get(). */
struct kv *kv_find(const struct kv_list *l, const char *key, const char *implied_key);
/* Removes every part with that key. */
void kv_remove(struct kv_list *l, const char *key);
/* Frees *value and puts by, which it then owns, in its place. */
void kv_replace(char **value, char *by);

/* The type that -machine or -M of a line names, the last one; malloc'ed, NULL: none does. */
char *qemu_machine_type(char *const *argv, size_t argc);

/* True for "nbd:…", "rbd:…", but not for "/a:b": QEMU's path_has_protocol(). */
bool qemu_path_has_protocol(const char *path);
/* True if a block driver, or the protocol that a path begins with, leads to storage that other hosts can reach, too: "nbd",
 * "rbd:pool/image" … */
bool qemu_is_network_storage(const char *driver_or_path);

#endif
