/* text-code.h: the characters of a text, by their numbers in Unicode; and which of them a reader does not see. Pure. */
#ifndef VMFERRY_TEXT_CODE_H
#define VMFERRY_TEXT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the UTF-8 character at s (RFC 3629), and its code; 0: not a character. */
size_t text_utf8_take(const char *s, uint32_t *code);
/*
 * True for a character that a reader does not see: a control character (C0, DEL, C1), the end of a line or paragraph, one that changes the
 * direction of text, or one without any width (Unicode's Default_Ignorable_Code_Point, tags among them). With these a name reads as another
 * one, and a line as two.
 */
bool text_code_is_hidden(uint32_t code);
/* The number of bytes of a text that fit into so many columns of a terminal. Possibly wide characters (East Asian letters, symbols) count
 * as two. */
size_t text_fitting(const char *s, size_t columns);
/* The columns that all of it takes, counted likewise. */
size_t text_columns(const char *s);

#endif
