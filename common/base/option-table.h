/* option-table.h: options of a command line that set a flag or take a text, a row each; for use with getopt_long(3). Pure. */
#ifndef VMFERRY_OPTION_TABLE_H
#define VMFERRY_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct option_row {
	int option; /* what getopt_long returns */
	enum { OPTION_FLAG, OPTION_TEXT } kind;
	size_t offset; /* of a bool, or of a const char * that then points at the argument */
};

/* Puts it into the struct that the rows are about; false: it is in none of the n rows. */
bool option_take(const struct option_row *rows, size_t n, void *into, int option, const char *arg);

#endif
