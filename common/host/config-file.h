/* config-file.h: a file that says what vmferry does, read whole. */
#ifndef VMFERRY_CONFIG_FILE_H
#define VMFERRY_CONFIG_FILE_H

#include "err.h"

/* *text is malloc'ed, UTF-8 and at most 64 KiB; NULL: there is no such file. -EPERM: others may write to it, who would decide then. */
int config_file_read(const char *path, char **text, struct err *e);
/* Each line of it that says something, without blanks around it, up to the first that `take` refuses: comments begin with #. The text is changed; name: for errors,
 * which say the line, too. */
int config_file_lines(char *text, const char *name, int (*take)(void *ctx, char *line, struct err *e), void *ctx, struct err *e);
/* The text without blanks around it, which it is cut to. */
char *config_trim(char *text);
/* Cuts a line behind its first word, and gives the rest of it. */
char *config_rest(char *line);

#endif
