/*
 * resume.h: a channel goes on over another connection. In the channel's thread; the link is the channel's, or gone, whatever happens. After
 * a failure on.lost() has been told again, unless the channel is closed or has a newer connection.
 */
#ifndef VMFERRY_RESUME_H
#define VMFERRY_RESUME_H

#include "channel.h"
#include "hello.h"
#include "link.h"
#include "loop.h"

/* Where RESUME was said: answers it. theirs: what the peer said on this link. */
int resume_answer(struct loop *l, struct channel *c, struct link link, const struct hello *theirs, struct err *e);
/* Where it was answered, with what the peer has received. */
int resume_attach(struct loop *l, struct channel *c, struct link link, uint32_t generation, uint64_t peer_received, struct err *e);

#endif
