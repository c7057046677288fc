/*
 * qemu-settings.h: a QEMU's migration capabilities and parameters: saved, set explicitly, put back.
 *
 * Settings persist in a QEMU, and a leftover breaks its next move, so every move sets all it needs and restores all.
 */
#ifndef VMFERRY_QEMU_SETTINGS_H
#define VMFERRY_QEMU_SETTINGS_H

#include "qmp.h"

/* {"capabilities": {...}, "parameters": {...}} as they are now; a new reference. */
int settings_save(struct qmp *q, json_t **out, struct err *e);
/* Exactly these capabilities on, every other off. NULL-terminated; one this QEMU does not have is skipped. */
int settings_capabilities(struct qmp *q, const json_t *saved, const char *const *on, struct err *e);
/* 0: the capabilities are still as settings_capabilities() left them; -EBUSY: another client has changed one, and *e says which. */
int settings_check(struct qmp *q, const json_t *saved, const char *const *on, struct err *e);
/* Sets those parameters that this QEMU has; params is stolen. */
int settings_parameters(struct qmp *q, const json_t *saved, json_t *params, struct err *e);
/* Puts back the capabilities that differ from saved, and the parameters that we set. Tries everything; the first error is returned. */
int settings_restore(struct qmp *q, const json_t *saved, struct err *e);
bool settings_has_capability(const json_t *saved, const char *name);
bool settings_has_parameter(const json_t *saved, const char *name);

#endif
