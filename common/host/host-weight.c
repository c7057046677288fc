/* host-weight.c: see host-weight.h. */
#include "host-weight.h"
#include "host-load.h"
#include "process.h"
#include "util.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64U
#define COMPUTE_NS  20000000ULL
#define TURNS	    2000000 /* of a loop that counts, between two looks around: a ms or so */
#define WEIGHT_MAX  1.0	    /* what comes and goes beside a probe is not to make all that comes later longer */
#define FEW	    0.5	    /* threads of others: they tell nothing */

struct host_weight {
	struct host_load load;
	unsigned threads, started;
	pthread_t thread[THREADS_MAX];
	bool ends; /* atomic */
	pthread_mutex_t lock;
	unsigned ended;
	double took; /* of those that have ended, each so many times as long as it computed: sum */
	pid_t guest;
	uint64_t ours, others, looks; /* runnable threads, as often as was looked: sums */
};

static void compute(void)
{
	volatile unsigned turn;

	for (turn = 0; turn < TURNS; turn++)
		;
}

static double average(const struct host_weight *w, uint64_t sum)
{
	return w->looks ? (double)sum / (double)w->looks : 0;
}

static void look_around(struct host_weight *w)
{
	unsigned all = host_load_runnable(&w->load), ours = process_runnable_threads(getpid()) + process_runnable_threads(w->guest);

	pthread_mutex_lock(&w->lock);
	w->ours += ours;
	w->others += all > ours ? all - ours : 0;
	w->looks++;
	pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
	struct host_weight *w = arg;
	uint64_t since_ns = now_ns(), cpu_ns;

	do {
		compute();
		look_around(w);
		cpu_ns = thread_cpu_ns();
	} while (cpu_ns < COMPUTE_NS && !__atomic_load_n(&w->ends, __ATOMIC_RELAXED));
	pthread_mutex_lock(&w->lock);
	w->took += (double)(now_ns() - since_ns) / (double)MAX(cpu_ns, 1U);
	w->ended++;
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct host_weight *host_weight_begin(pid_t guest)
{
	struct host_weight *w = xcalloc(1, sizeof(*w));

	w->threads = MIN(own_processors(), THREADS_MAX);
	w->guest = guest;
	host_load_open(&w->load);
	pthread_mutex_init(&w->lock, NULL);
	while (w->started < w->threads && !pthread_create(&w->thread[w->started], NULL, run, w))
		w->started++;
	return w;
}

void host_weight_free(struct host_weight *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->ends, true, __ATOMIC_RELAXED);
	while (w->started)
		pthread_join(w->thread[--w->started], NULL);
	host_load_close(&w->load);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

double host_weight_of(struct host_weight *w)
{
	double weight = 1;

	if (!w)
		return 1;
	pthread_mutex_lock(&w->lock);
	if (w->ended == w->threads)
		weight = host_weight_from(w->took / w->threads, w->threads, average(w, w->ours), average(w, w->others));
	pthread_mutex_unlock(&w->lock);
	return weight;
}

/* The sum of all weights is how long the probe took, ours being 1 each. */
double host_weight_from(double took, unsigned processors, double ours, double others)
{
	return others < FEW ? 1 : MIN(MAX((took * processors - ours) / others, 0.0), WEIGHT_MAX);
}
