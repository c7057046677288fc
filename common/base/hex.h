/* hex.h: bytes as hexadecimal digits. Pure. */
#ifndef VMFERRY_HEX_H
#define VMFERRY_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* Writes 2 * n digits, in lower case, and a zero. Returns out. */
char *hex_format(const void *bytes, size_t n, char *out);
/* n bytes from the first 2 * n characters of text; false if one of them is no digit, or text is shorter. What follows is not looked at. */
bool hex_parse(const char *text, void *bytes, size_t n);

#endif
