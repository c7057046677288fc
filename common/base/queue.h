/*
 * queue.h: hands things from any thread to one loop's thread; the only thing our threads share.
 */
#ifndef VMFERRY_QUEUE_H
#define VMFERRY_QUEUE_H

#include "loop.h"

#include <pthread.h>

struct qnode {
	struct qnode *next;
};

struct queue {
	pthread_mutex_t lock;
	struct qnode *head, **tail;
	struct task wake;
	struct loop *loop;
	void (*ready)(struct queue *q); /* function called in the loop's thread after something was put; take until NULL */
};

void queue_init(struct queue *q, struct loop *l, void (*ready)(struct queue *q));
void queue_put(struct queue *q, struct qnode *n);
/* The oldest, or NULL. */
struct qnode *queue_take(struct queue *q);
void queue_fini(struct queue *q);

#endif
