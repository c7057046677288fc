/* json-text.h: JSON for people's terminals and for programs behind them. Pure. */
#ifndef VMFERRY_JSON_TEXT_H
#define VMFERRY_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* As json_dumps(), but a terminal obeys nothing in it: DEL and C1, which JSON allows as they are, are escaped, too. NULL when v
 * is nothing that can be written. */
char *json_text_dump(const json_t *v, size_t flags);
/* On a line of its own. */
void json_text_print(const json_t *v);

#endif
