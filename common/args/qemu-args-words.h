/*
 * qemu-args-words.h: words of a command line that not every QEMU knows, and their equivalents for one that does not know them. Pure: no
 * I/O.
 *
 * A line may go to another QEMU than it was written for. That QEMU is asked which words it knows (query-qmp-schema); its version does not
 * decide.
 */
#ifndef VMFERRY_QEMU_ARGS_WORDS_H
#define VMFERRY_QEMU_ARGS_WORDS_H

#include "qemu-args.h"

#include <jansson.h>

struct args_words {
	bool monitor_objects; /* -object monitor-qmp, monitor-hmp: since 11.1; else -mon */
	bool reconnect;	      /* reconnect= of a socket, in seconds: the only one until 9.2, and gone from 11.0 on */
	bool reconnect_ms;
};

/* The line has a word that not every QEMU knows, so that its QEMU must be asked. */
bool args_has_changed_words(char *const *argv, size_t argc);
/* The answer of query-qmp-schema says which words a QEMU knows. */
void args_words_known(struct args_words *out, const json_t *schema);
/* Words by the output of "-object help" and "-chardev socket,help", where no QEMU runs that could be asked. -netdev stream changed with the
 * latter. */
void args_words_in_help(struct args_words *out, const char *objects, const char *socket);
/* Replaces words that QEMU does not know by equivalents that it knows, with a note each. A word without an equivalent stays, and QEMU
 * refuses it. */
void args_write_known_words(struct args_result *r, const struct args_words *known);

#endif
