/* config-file.h: reads a configuration file of vmferry. */
#ifndef VMFERRY_CONFIG_FILE_H
#define VMFERRY_CONFIG_FILE_H

#include "err.h"

/* *text is malloc'ed, UTF-8 and at most 64 KiB; NULL: there is no such file. -EPERM: other users may write to it, and would control
 * vmferry. */
int config_file_read(const char *path, char **text, struct err *e);
/* Calls take with each line that is neither empty nor a comment (#), without blanks around it, up to the first line that it refuses. The
 * text is changed; name: for errors, which also name the line. */
int config_file_lines(char *text, const char *name, int (*take)(void *ctx, char *line, struct err *e), void *ctx, struct err *e);
/* Cuts the blanks around a text; returns its new beginning. */
char *config_trim(char *text);
/* Cuts a line behind its first word, and returns the rest. */
char *config_rest(char *line);

#endif
