/* reconnect.c: see reconnect.h. */
#include "reconnect.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* limit of each step of an attempt; pause between two; time after which an agent that says that there is no such session is right */
#define TIMEOUT_MS 4000
#define PAUSE_MS   200
#define REFUSED_MS 15000
/* limits while a guest waits */
#define TIMEOUT_IN_A_HURRY_MS 600

/* A channel that waits. */
struct wish {
	bool wanted;
	uint32_t generation;
	uint64_t received;
	uint64_t refused_since_ns; /* 0: what failed was the network */
};

struct reconnect {
	struct dest *dest;
	const struct dest_config *cfg;
	unsigned port;
	struct queue *results;
	pthread_t thread;
	pthread_mutex_t lock; /* lock of the members below */
	pthread_cond_t changed;
	bool stop, hurry;
	struct wish wish[RECONNECT_CHANNELS_MAX];
};

/* Control first, without which nothing else is of use. */
static struct wish *next_wish(struct reconnect *r)
{
	for (unsigned i = 0; i < RECONNECT_CHANNELS_MAX; i++)
		if (r->wish[i].wanted)
			return &r->wish[i];
	return NULL;
}

static void tell(struct reconnect *r, const struct wish *w, struct link link, uint64_t peer_received, const struct err *e)
{
	struct reconnected *done = xcalloc(1, sizeof(*done));

	done->channel = (unsigned)(w - r->wish);
	done->link = link;
	done->generation = w->generation;
	done->peer_received = peer_received;
	if (e)
		done->e = *e;
	queue_put(r->results, &done->node);
}

/* True if an agent that does not know this session has answered for some time: that is not an outage of the network. */
static bool is_hopeless(const struct reconnect *r, struct wish *w, const struct err *e)
{
	bool refused = e->code == ECONNREFUSED || e->code == EPROTO || e->code == EPERM;
	uint64_t ns = now_ns();

	if (!refused)
		w->refused_since_ns = 0;
	else if (!w->refused_since_ns)
		w->refused_since_ns = ns;
	return refused && (r->hurry || ns - w->refused_since_ns >= REFUSED_MS * 1000000ULL);
}

/* Called and left with the lock held. */
static void try(struct reconnect *r, struct wish *w)
{
	struct dest_again again = {.cfg = r->cfg,
				   .timeout_ms = r->hurry ? TIMEOUT_IN_A_HURRY_MS : TIMEOUT_MS,
				   .generation = w->generation,
				   .received = w->received};
	unsigned channel = (unsigned)(w - r->wish);
	struct link link = LINK_NONE;
	struct err e;
	int failed;

	pthread_mutex_unlock(&r->lock);
	failed = dest_connect_again(r->dest, r->port, channel, &again, &link, &e);
	if (failed)
		log_info("channel %u cannot be connected again yet: %s", channel, e.msg);
	pthread_mutex_lock(&r->lock);
	if (!failed) {
		w->wanted = false;
		tell(r, w, link, again.peer_received, NULL);
	} else if (is_hopeless(r, w, &e)) {
		w->wanted = false;
		tell(r, w, LINK_NONE, 0, &e);
	} else {
		w->generation++;
	}
}

static void pause_a_moment(struct reconnect *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!r->stop && !pthread_cond_timedwait(&r->changed, &r->lock, &until))
		;
}

static void *run(void *arg)
{
	struct reconnect *r = arg;
	struct wish *w;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		w = next_wish(r);
		if (!w) {
			pthread_cond_wait(&r->changed, &r->lock);
			continue;
		}
		try(r, w);
		if (w->wanted)
			pause_a_moment(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int reconnect_start(struct reconnect **out, struct dest *dest, const struct dest_config *cfg, unsigned port, struct queue *results,
		    struct err *e)
{
	struct reconnect *r = xcalloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int code;

	r->dest = dest;
	r->cfg = cfg;
	r->port = port;
	r->results = results;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	code = pthread_create(&r->thread, NULL, run, r);
	if (code) {
		free(r);
		return err_sys(e, code, "cannot start the thread that connects again");
	}
	*out = r;
	return 0;
}

void reconnect_channel(struct reconnect *r, unsigned number, uint32_t generation, uint64_t received)
{
	struct wish *w = &r->wish[number];

	pthread_mutex_lock(&r->lock);
	*w = (struct wish){.wanted = true, .generation = MAX(generation, w->generation + 1), .received = received};
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void reconnect_hurry(struct reconnect *r, bool yes)
{
	pthread_mutex_lock(&r->lock);
	r->hurry = yes;
	pthread_mutex_unlock(&r->lock);
}

void reconnect_stop(struct reconnect *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
