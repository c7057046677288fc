/* text-block.h: a block of lines on a terminal that is rewritten in place. It is cut to the present size of the terminal at standard
 * error, as wrapped lines, or more lines than rows, could not be overwritten. */
#ifndef VMFERRY_TEXT_BLOCK_H
#define VMFERRY_TEXT_BLOCK_H

#include <stddef.h>
#include <stdio.h>

struct text_block {
	FILE *to;
	size_t columns, rows; /* usable size of the terminal */
	int lines;	      /* lines written */
};

/* Moves to the first of the lines shown now (0: none). */
void text_block_begin(struct text_block *b, FILE *to, int standing);
void text_block_put(struct text_block *b, const char *line);
/* Clears the rest of the old lines. Returns the number of lines shown now. */
int text_block_end(struct text_block *b, int standing);

#endif
