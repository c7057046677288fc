/*
 * staying.h: contents of a frame that stay in their producers' buffers until it is acknowledged, instead of being copied into it.
 *
 * A buffer that stays is one less for what is to come: with all of them on their way QEMU, or a disk, would wait for acknowledgements. So
 * few of them may, and for contents that are worth it.
 */
#ifndef VMFERRY_STAYING_H
#define VMFERRY_STAYING_H

#include "channel.h"
#include "send-item.h"

#define STAY_BYTES_MIN (32 * 1024) /* less is as well copied */
#define STAY_PIECES    8	   /* blocks in more pieces than this do not stay */

/* May contents in these buffers (of n parts, in order; NULL: in none) stay there? *staying: how many do already, of all channels; atomic. */
bool staying_may(struct shared_buf *const *buf, unsigned n, const unsigned *staying);
/* The end of a frame with these pieces of them. Takes over a reference to each of the n, and leaves NULL in its place. */
struct frame_tail *staying_new(struct shared_buf **buf, unsigned n, const struct iovec *piece, unsigned pieces, unsigned *staying);

#endif
