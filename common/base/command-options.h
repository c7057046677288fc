/*
 * command-options.h: the options of a command, a row each: name, value, the member that it goes to, and help. A row is the only place in C
 * that defines an option: rows are parsed and checked, printed by --help, offered by completion (--options), and printed as the words that
 * would give them again.
 */
#ifndef VMFERRY_COMMAND_OPTIONS_H
#define VMFERRY_COMMAND_OPTIONS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 64

/* The values of an option that may be repeated. */
struct option_list {
	const char *at[OPTION_LIST_MAX];
	unsigned count;
};

/* The type of the member, and what a value does to it. */
enum option_kind {
	OPT_FLAG,      /* bool: becomes true. A value, if there is one, is words[0] */
	OPT_SET,       /* int or enum: becomes `base` */
	OPT_TEXT,      /* const char * */
	OPT_LIST,      /* struct option_list: one value more */
	OPT_WORD,      /* int or enum: the index in `words`, plus `base` */
	OPT_WORD_TEXT, /* const char *: one of `words` */
	OPT_SECOND,    /* bool: whether it is the second of two words */
	OPT_BITS,      /* unsigned: words with commas between them, a bit each */
	OPT_NUMBER,    /* unsigned: from `min` to `max`, in units of `times` */
	OPT_SIZE,      /* uint64_t: bytes, from `min` to `max` */
	OPT_RATE,      /* uint64_t: bytes a second, `min` at least */
	OPT_SPAN,      /* unsigned: seconds, `max` at most; or words[0], which is 0 */
	OPT_MOMENT,    /* time_t: a time to come; or, of a command that is given again, "@" and seconds since 1970 */
	OPT_CALL,      /* `take` puts it where it belongs */
};

struct command_option {
	const char *name; /* the option without "--" */
	/* value as --help calls it; NULL: it takes none; "[=WORD]": it may have one. DIR, FILE, DEST, DISK=PATH and NIC=WHAT are
	 * completed */
	const char *argument;
	const char *help; /* --help breaks it into lines, and at each \n */
	enum option_kind kind;
	size_t offset; /* offset of the member, in the struct that the table is about */
	/* offset of a bool that says that a value was given; for an OPT_SPAN, that it was words[0]. 0: there is none */
	size_t also;
	const char *const *words;   /* words that completion offers where the kind has none */
	const char *const *offered; /* words of an OPT_WORD that people are told of; NULL: all */
	int base;
	uint64_t min, max;
	unsigned times;	  /* 0: 1 */
	const char *unit; /* unit of a number, for its error: "seconds" */
	char letter;	  /* a short name beside it; 0: there is none */
	bool once;	  /* option concerns this call only, and is not given again */
	bool file;	  /* value names a file, relative to our directory */
	/* OPT_CALL: takes it. OPT_TEXT, OPT_WORD and OPT_LIST: looks at the value first; OPTION_TAKEN: has dealt with it. NULL: any value
	 * will do. */
	int (*take)(void *into, const char *arg, struct err *e);
	const char *heading; /* --help prints it before this row; NULL: there is none */
};

enum { OPTION_TAKEN = 1 };

/* Rows, up to one without a name, and where the struct that they are about lies in the command's own. */
struct option_table {
	const struct command_option *rows;
	size_t at;
};

struct command_usage {
	const char *name;		   /* "vmferry storage", for errors */
	const char *before;		   /* --help: what stands before the options, and behind them */
	const char *after;		   /* NULL: nothing */
	const struct option_table *tables; /* up to one without rows */
	const char *const *shown;	   /* the only options that --help prints; NULL: all */
	bool takes_shown;		   /* no others are for it: they are refused, and completion does not offer them */
	/* The number of words allowed that are not options, and what the command takes, for its message otherwise. NULL: the command checks
	 * them itself. */
	const char *words;
	int least, most;
	/* Hears of every option that was taken, with its value, or NULL. */
	void (*taken)(void *into, const struct command_option *o, const char *arg);
};

/* --help was all that was asked for: MAX(it, 0) is the exit code. */
enum { COMMAND_HELPED = -1 };

/* Takes the options out of argv, which it puts in order. *first: index of the first word that is none. 0; COMMAND_HELPED; EXIT_USAGE:
 * stderr says what is wrong. into: the struct that the tables are about. */
int command_take(const struct command_usage *u, int argc, char **argv, void *into, int *first);
/* Takes nothing and says nothing, but puts argv in order. Index of the first word that is no option; -1: an option is wrong. *helps: --help
 * is among them. */
int command_look(const struct command_usage *u, int argc, char **argv, bool *helps);
/* The words before "--", behind which other words are QEMU's; *behind: the first of those, NULL if there is no "--". */
int command_words_before(int argc, char **argv, char ***behind, size_t *count);

/* "[=WORD]". */
bool option_may_have_value(const struct command_option *o);
/* Fills *e with "'ARG' is not WANT", for `take`; returns -EINVAL. */
int option_bad(struct err *e, const char *arg, const char *want);
/* NULL: there is no such option. */
const struct command_option *option_find(const struct option_table *tables, const char *name);
/* Calls put with each option that would make *from what it is, but for those that are given once; value: NULL if it takes none. */
void options_print(const struct option_table *tables, const void *from, void (*put)(const char *name, const char *value));

#endif
