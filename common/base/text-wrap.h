/*
 * text-wrap.h: lines that a terminal shows broken between words. A row is filled with spaces to its end and the next word stands at the begin of the
 * next row, so that each line remains one: a command in it can be copied from the terminal as it is.
 */
#ifndef VMFERRY_TEXT_WRAP_H
#define VMFERRY_TEXT_WRAP_H

#include <stddef.h>

/* Columns of the terminal that fd is; 0: it is none, or one that says nothing of itself. */
size_t text_wrap_columns(int fd);
/* The text with its lines broken so, those of JSON apart; malloc'ed. Rows after the first begin below the last cell of the line, or of its label, where
 * there are any, and else a little to the right of the line's begin. Columns are 0: it stays as it is. */
char *text_wrap(const char *text, size_t columns);
/* Does the same as text_wrap(), with a newline at each break, and rows of a paragraph below each other; for a text of which nothing is
 * copied, or a file. */
char *text_fold(const char *text, size_t columns);
/* Breaks what stdio prints to standard output and standard error so from now on, where these are terminals. To be called once, before
 * anything is printed. */
void text_wrap_streams(void);

#endif
