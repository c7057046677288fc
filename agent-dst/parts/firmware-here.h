/* firmware-here.h: a guest's firmware, found on this host under the name that its distribution gives it. */
#ifndef VMFERRY_FIRMWARE_HERE_H
#define VMFERRY_FIRMWARE_HERE_H

#include <jansson.h>

/*
 * The path of the firmware of this host (firmware-list.h) with the contents that `file` has, a member of DESCRIBE's files; malloc'ed, NULL: there is
 * none, or it is no firmware. root: "", or a directory that stands for / (tests).
 */
char *firmware_here(const char *root, const json_t *file);

#endif
