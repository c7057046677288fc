/*
 * unit-words.h: the syntax of systemd's unit files (systemd.syntax(7), systemd.service(5) "Command lines", systemd.exec(5), systemd.unit(5) "Specifiers").
 * Pure. What is not known here is refused, with what it is; nothing is guessed.
 */
#ifndef VMFERRY_GUEST_UNIT_WORDS_H
#define VMFERRY_GUEST_UNIT_WORDS_H

#include "err.h"
#include "qemu-opts.h"

/* Values of a unit's specifiers. */
struct unit_names {
	const char *unit;			      /* "qemu@web1.service" */
	const char *home, *runtime_dir, *user, *host; /* NULL: not known, and refused */
	unsigned uid;
	bool is_user; /* unit is one of a user's own systemd */
};

struct unit_word_list {
	char **v; /* n strings and a NULL */
	size_t n;
};

/* Appends the settings of one file's [Service], in their order, to l. 0 or -EINVAL. */
int unit_parse(struct kv_list *l, const char *text, struct err *e);
/* A value's words, without quotes and escapes. unit_words_fini() in any case. */
int unit_split(struct unit_word_list *out, const char *value, struct err *e);
void unit_words_fini(struct unit_word_list *w);
/* Malloc'ed, or NULL: a specifier that is not known. */
char *unit_specifiers(const char *text, const struct unit_names *names, struct err *e);
/* Environment=, one value; EnvironmentFile=, a file's text: later ones replace earlier ones in env. */
int unit_environment(struct kv_list *env, const char *value, const struct unit_names *names, struct err *e);
int unit_environment_text(struct kv_list *env, const char *text, struct err *e);
/* $NAME that is a word by itself, which becomes as many words as its value has, and ${NAME} within one. The first word is a program. */
int unit_expand(struct unit_word_list *out, const struct unit_word_list *in, const struct kv_list *env, struct err *e);

#endif
