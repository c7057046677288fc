/* option-table.h: options of a command line that set a flag or take a text, a row each, and getopt_long(3) with a hint. */
#ifndef VMFERRY_OPTION_TABLE_H
#define VMFERRY_OPTION_TABLE_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

struct option_row {
	int option; /* what getopt_long returns */
	enum { OPTION_FLAG, OPTION_TEXT } kind;
	size_t offset; /* of a bool, or of a const char * that then points at the argument */
};

/* getopt_long(3). After its error about an option that there is none, one line says which was probably meant. */
int option_next(int argc, char *const *argv, const char *letters, const struct option *options);
/* Puts it into the struct that the rows are about; false: it is in none of the n rows. */
bool option_take(const struct option_row *rows, size_t n, void *into, int option, const char *arg);

#endif
