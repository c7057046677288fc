/*
 * qemu-props.h: the value of one QEMU option, "key=value,key=value" or JSON (QEMU >= 5), as one flat list. Pure: no I/O.
 *
 * A member of a JSON object within another has the key that the other syntax would use: {"file": {"driver": "x"}} is
 * file.driver=x, and the elements of an array are KEY.0, KEY.1 …  (QEMU's util/keyval.c).
 */
#ifndef VMFERRY_QEMU_PROPS_H
#define VMFERRY_QEMU_PROPS_H

#include "err.h"
#include "qemu-opts.h"

#include <jansson.h>
#include <stdint.h>

struct props {
	struct kv_list l; /* properties, to be looked at and changed */
	json_t *tree;	  /* value as it was written; NULL: it is not JSON */
	bool broken;	  /* the text begins like JSON but is not valid: l is empty */
};

void props_parse(struct props *p, const char *text);
/* Prints the properties with l's changes, in the syntax that they were written in; malloc'ed. */
char *props_print(struct props *p);
/* Adds KEY=N, or changes it, where the member stands that prefix ("", "file.") leads to. JSON has it as a number, which QEMU wants. */
void props_set_number(struct props *p, const char *prefix, const char *key, uint64_t n);
void props_fini(struct props *p);

#endif
