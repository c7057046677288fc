/*
 * kept-ahead.h: what of a disk an old copy at the destination has, and was named to it, and it has not come to yet. Naming costs next to nothing, and the
 * destination reads and writes all of it: if all were named at once, nothing would be left to be sent while it does.
 */
#ifndef VMFERRY_KEPT_AHEAD_H
#define VMFERRY_KEPT_AHEAD_H

#include "channel.h"

#include <stdbool.h>

/* May more be named? *ahead: bytes of contents, of all channels; atomic. */
bool kept_may(const uint64_t *ahead);
/* The end of a frame that names so many bytes, without anything in it: until the frame is acknowledged they are ahead. */
struct frame_tail *kept_named(uint64_t *ahead, uint32_t bytes);

#endif
