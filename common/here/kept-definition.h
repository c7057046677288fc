/*
 * kept-definition.h: a libvirt guest's definition as it is carried and kept: in a message, and in a file of an agent's while neither host's libvirt may have
 * it. Defining again is the same at both ends: at the destination when the guest may start there, at the source when it stays after all.
 *
 * {"name", "uuid", "xml", "autostart", "autostart_once": true if it is started at the next boot alone, or missing, "snapshots": [xml, parents first], "current": name of one of them, or missing,
 * "transient": true if libvirt is to define nothing, or missing}
 */
#ifndef VMFERRY_KEPT_DEFINITION_H
#define VMFERRY_KEPT_DEFINITION_H

#include "err.h"
#include "libvirt-rpc.h"

#include <jansson.h>

#define KEPT_DEFINITION_MAX (900 * 1024) /* bytes of it as JSON: it travels in one message */

/* 0, or -EPROTO: it is not of that shape; or -E2BIG. */
int kept_definition_check(const json_t *kept, struct err *e);
/* A new file of mode 0600, durable: its XML may have secrets in it. */
int kept_definition_write(const char *path, const json_t *kept, struct err *e);
/* The file in which a guest's XML is left for people when the guest has gone: one file for each guest. Malloc'ed. */
char *kept_definition_place(const char *state_dir, const char *uuid);
/* Another such file, used if a person has changed the definition here since. Malloc'ed. */
char *kept_definition_place_changed(const char *state_dir, const char *uuid);
/* A new reference. -ENOENT: there is no such file. */
int kept_definition_read(const char *path, json_t **kept, struct err *e);

/* The guest of that UUID, whatever its name is now. As lv_lookup_uuid(). */
int kept_definition_lookup(struct lv *v, const json_t *kept, struct lv_domain *out, struct err *e);
/* Sets *yes to whether a guest of that UUID is defined. 0; -errno: libvirt cannot be asked. */
int kept_definition_is_there(struct lv *v, const json_t *kept, bool *yes, struct err *e);
/* Compares what libvirt has of a guest with what was kept: each difference is a sentence in `changed`. *xml: its definition now, malloc'ed; NULL: as kept. */
int kept_definition_compare(struct lv *v, const struct lv_domain *d, const json_t *kept, json_t *changed, char **xml, struct err *e);
/* Defines the guest. 0; -errno: it is not defined, if libvirt has answered (lv_error_code()). */
int kept_definition_define(struct lv *v, const json_t *kept, struct err *e);
/* Adds what goes with the definition: metadata of snapshots, autostart. May be repeated. Each thing that libvirt refuses becomes a sentence
 * in `failed`; -ECONNRESET: libvirt was lost meanwhile, so this must be repeated. */
int kept_definition_complete(struct lv *v, const json_t *kept, json_t *failed, struct err *e);

#endif
