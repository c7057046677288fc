/* html-replica.h: the page about a guest's replica: what `vmferry replica status VM --json` prints. */
#ifndef VMFERRY_HTML_REPLICA_H
#define VMFERRY_HTML_REPLICA_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The input is of that kind: an array of objects that have a role. */
bool html_is_replica(const json_t *root);
/* input: the file's name. */
int html_replica_page(FILE *f, const json_t *root, const char *input, struct err *e);

#endif
