/* queue.c: see queue.h. */
#include "queue.h"
#include "util.h"

static void wake(struct task *t)
{
	struct queue *q = container_of(t, struct queue, wake);

	q->ready(q);
}

void queue_init(struct queue *q, struct loop *l, void (*ready)(struct queue *q))
{
	pthread_mutex_init(&q->lock, NULL);
	q->head = NULL;
	q->tail = &q->head;
	q->wake = (struct task){.run = wake};
	q->loop = l;
	q->ready = ready;
}

void queue_put(struct queue *q, struct qnode *n)
{
	n->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->tail = n;
	q->tail = &n->next;
	pthread_mutex_unlock(&q->lock);
	loop_post(q->loop, &q->wake);
}

struct qnode *queue_take(struct queue *q)
{
	struct qnode *n;

	pthread_mutex_lock(&q->lock);
	n = q->head;
	if (n && !(q->head = n->next))
		q->tail = &q->head;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void queue_fini(struct queue *q)
{
	pthread_mutex_destroy(&q->lock);
}
