/*
 * text-block.h: lines on a terminal that the next ones are written over. The block is cut to the terminal at standard error as that is now: a line that
 * went on in the next row, or a block of more lines than rows, could not be written over.
 */
#ifndef VMFERRY_TEXT_BLOCK_H
#define VMFERRY_TEXT_BLOCK_H

#include <stddef.h>
#include <stdio.h>

struct text_block {
	FILE *to;
	size_t columns, rows; /* of the terminal, that may be used */
	int lines;	      /* lines written */
};

/* Goes to the first of the lines that stand there (0: none). */
void text_block_begin(struct text_block *b, FILE *to, int standing);
void text_block_put(struct text_block *b, const char *line);
/* Clears what is left of those that stood there. How many stand there now. */
int text_block_end(struct text_block *b, int standing);

#endif
