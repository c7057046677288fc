/* config-file.h: a file that says what vmferry does, read whole. */
#ifndef VMFERRY_CONFIG_FILE_H
#define VMFERRY_CONFIG_FILE_H

#include "err.h"

/* *text is malloc'ed, UTF-8 and at most 64 KiB; NULL: there is no such file. -EPERM: others may write to it, who would decide then. */
int config_file_read(const char *path, char **text, struct err *e);

#endif
