/*
 * command-options.h: a command's options, a row each: its name, what it takes, where that goes, and what --help says of it.
 *
 * A row is all that there is of an option in C; docs/vmferry.1.scd and scripts/vmferry.bash have it as well, and
 * tests/e2e/project/documents-name-every-option.sh compares the three.
 */
#ifndef VMFERRY_COMMAND_OPTIONS_H
#define VMFERRY_COMMAND_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPT_FLAG,	/* a bool, which becomes true */
	OPT_SET,	/* an int or an enum, which becomes `base` */
	OPT_JSON,	/* a struct life_options: `--json`, or `--json=fine` */
	OPT_TEXT,	/* a const char * */
	OPT_WORD,	/* an int or an enum: the index in `words`, plus `base` */
	OPT_WORD_TEXT,	/* a const char *, which is one of `words` */
	OPT_RATE,	/* a uint64_t: bytes a second */
	OPT_RATE_ABOVE, /* the same, and not 0 */
	OPT_CALL,	/* `take` deals with it */
};

struct command_option {
	const char *name;     /* without "--" */
	const char *argument; /* as --help calls it; NULL: it takes none. "[=WORD]": it may take one */
	const char *help;     /* lines, which --help indents */
	enum option_kind kind;
	size_t offset; /* in the command's options */
	const char *const *words;
	int base;
	char letter; /* a short one beside it; 0: there is none */
	/* arg: NULL where it may be left out. 0, or EXIT_USAGE after saying why. */
	int (*take)(void *into, const char *arg);
};

struct command_usage {
	const char *name;   /* "storage" */
	const char *before; /* --help: what stands before the options, and behind them */
	const char *after;
	const struct command_option *options; /* ends with a row without a name */
};

enum { COMMAND_HELPED = -1 };

/* Takes the options out of argv. *words: index of the first word in argv that is none. 0; COMMAND_HELPED: --help was all; EXIT_USAGE: it is said what is
 * wrong. into: the command's options, by the rows' offsets. */
int command_take(const struct command_usage *u, int argc, char **argv, void *into, int *words);
/* "vmferry storage: --format: 'x' is not raw or qcow2"; returns EXIT_USAGE. */
int command_bad(const char *command, const char *option, const char *value, const char *want);
/* The words before "--", behind which other words are QEMU's; *behind: the first of those, NULL if there is no "--". */
int command_words_before(int argc, char **argv, char ***behind, size_t *count);

#endif
