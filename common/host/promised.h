/*
 * promised.h: memory and disk space of this host that guests on their way here will take, and have not taken yet, by the notes on their
 * tickets (ticket.h). The kernel counts it as free for each of them, so a later guest must not get what earlier ones were promised.
 *
 * A note: {"guest": "vm1", "memory": bytes, "pid": its QEMU, or 0, "files": [{"path", "bytes"}]}. Bytes that a file already has, and memory
 * that the QEMU already has, no longer count as promised.
 */
#ifndef VMFERRY_PROMISED_H
#define VMFERRY_PROMISED_H

#include "err.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

/* files: stolen. A new object; guest may be NULL. */
json_t *promised_note(const char *guest, uint64_t memory, pid_t pid, json_t *files);
/* Adds a file to the array files; nothing, if it has no bytes. */
void promised_add_file(json_t *files, const char *path, uint64_t bytes);

/* Bytes that others were promised (their notes; NULL: none) in the file system of dir, or of that in which it is to be made. */
uint64_t promised_room(const json_t *others, const char *dir);

/* The host whose promise it is, for sentences. */
enum promised_where { PROMISED_HERE, PROMISED_AT_DESTINATION };

/* -ENOMEM: too little available memory is left after the promises (keep: bytes that are to stay free). If there is too little even without
 * the promises, another check reports that. */
int promised_check_memory(const json_t *others, uint64_t need, uint64_t keep, enum promised_where where, struct err *e);
/* -ENOMEM: the host's owner keeps it free. */
int promised_check_kept(uint64_t need, uint64_t keep, enum promised_where where, struct err *e);
/* -ENOSPC: too little of the space in dir is left after the promises. what: "the disks". Likewise. */
int promised_check_room(const json_t *others, const char *dir, const char *what, uint64_t need, uint64_t available,
			enum promised_where where, struct err *e);

#endif
