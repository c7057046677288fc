/*
 * promised.h: memory and room of this host that guests on their way here will take, and have not taken yet, by what their tickets (ticket.h) say of them. What
 * the kernel calls free is free for all of them, so who comes later is refused what those before it were promised.
 *
 * A note: {"guest": "vm1", "memory": bytes, "pid": its QEMU, or 0, "files": [{"path", "bytes"}]}. What a file that is there has, and what that QEMU has of its
 * memory, is no promise any more.
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

/* -ENOMEM: of the memory that is available too little is left (keep: bytes that are to stay free). What not even those would make enough is for others to say. */
int promised_check_memory(const json_t *others, uint64_t need, uint64_t keep, enum promised_where where, struct err *e);
/* -ENOMEM: the host's owner keeps it free. */
int promised_check_kept(uint64_t need, uint64_t keep, enum promised_where where, struct err *e);
/* -ENOSPC: of the bytes that are available in dir too little is left. what: "the disks". Likewise. */
int promised_check_room(const json_t *others, const char *dir, const char *what, uint64_t need, uint64_t available,
			enum promised_where where, struct err *e);

#endif
