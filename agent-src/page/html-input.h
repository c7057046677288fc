/* html-input.h: reads the file that a report is about, and finds out what it is. Its content is not trusted. */
#ifndef VMFERRY_HTML_INPUT_H
#define VMFERRY_HTML_INPUT_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define INPUT_MAX	     (256u << 20) /* bytes of the file */
#define INPUT_VALUES_MAX     (16u << 20)  /* values in it: some 40 bytes of memory each */
#define INPUT_CONTAINERS_MAX (2u << 20)	  /* arrays and objects: some 300 bytes of memory each */

struct input {
	json_t *root; /* run of bench; or an array of the events of one move */
	bool is_move;
	bool is_cut; /* the last event's line is not complete, and not in root */
	char *text;  /* text of standard input, which can be read only once; else NULL */
	size_t text_length;
};

/* path: "-" is standard input. Says what is wrong with the file, and in which line. */
int input_read(struct input *in, const char *path, struct err *e);
/* Does the same as input_read() with a text in memory. */
int input_parse(struct input *in, const char *text, size_t n, struct err *e);
/* The moves of a run more, beside those of the first; each says then what its guest held (content). Takes nothing of it. -EINVAL: one is no run of bench;
 * -ESTALE: it is of another machine, QEMU or vmferry. */
int input_join(struct input *in, const struct input *more, struct err *e);
void input_fini(struct input *in);

#endif
