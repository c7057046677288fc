/* text-code.h: the characters of a text, by their numbers in Unicode; and which of them a reader does not see. Pure. */
#ifndef VMFERRY_TEXT_CODE_H
#define VMFERRY_TEXT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 character that s begins with (RFC 3629), and which one it is; 0: it is none. */
size_t text_utf8_take(const char *s, uint32_t *code);
/*
 * Whether a character is not what a reader sees: a control character (C0, DEL, C1), the end of a line or paragraph, one that turns the direction of
 * others round, or one without any width (Unicode's Default_Ignorable_Code_Point, tags among them). With these a name reads as another one, and a line
 * as two.
 */
bool text_code_is_hidden(uint32_t code);
/* How many bytes of a text have room in so many columns of a terminal. What may be wide there (East Asian letters, symbols) counts as two columns. */
size_t text_fitting(const char *s, size_t columns);
/* The columns that all of it takes, counted likewise. */
size_t text_columns(const char *s);

#endif
