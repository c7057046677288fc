/* memory-room.h: is there room for the files behind a guest's memory (-mem-path, memory-backend-file), where its line has them? QEMU writes to
 * them as the guest's memory comes, and one that is full then ends it. */
#ifndef VMFERRY_MEMORY_ROOM_H
#define VMFERRY_MEMORY_ROOM_H

#include "target.h"

/* Looks at files behind memory of t->args: each file system that has too little is an obstacle. */
void memory_room_examine(struct target *t);
/* Adds files behind memory to what was promised (promised.h); each that others leave too little for is an obstacle. */
void memory_room_promise(const struct target *t, json_t *files);
void memory_room_beside(struct target *t, const json_t *others);

#endif
