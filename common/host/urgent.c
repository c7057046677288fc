/* urgent.c: see urgent.h. */
#include "urgent.h"
#include "util.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define URGENT_POLICY (SCHED_RR | SCHED_RESET_ON_FORK)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_urgent;
static bool is_spent;	   /* the limit has ended it, and urgent_end() was not called since */
static unsigned long turn; /* counts urgent_begin(), so that an old limit does not end a new one */

static int set_thread(pid_t thread, bool urgent)
{
	const struct sched_param lowest = {.sched_priority = 1}, ordinary = {.sched_priority = 0};

	if (urgent)
		return sched_setscheduler(thread, URGENT_POLICY, &lowest);
	/* a process that has the priority by RLIMIT_RTPRIO may not take the flag off again */
	return sched_setscheduler(thread, SCHED_OTHER, &ordinary) ? sched_setscheduler(thread, SCHED_OTHER | SCHED_RESET_ON_FORK, &ordinary)
								  : 0;
}

/* A thread that has real-time priority of its own is not ours to change. */
static bool is_to_change(int policy, bool urgent)
{
	return urgent ? (policy & ~SCHED_RESET_ON_FORK) == SCHED_OTHER : policy == URGENT_POLICY;
}

/* A thread that is gone, or may not have it, stays as it is. */
static void set_all(bool urgent)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		pid_t thread = (pid_t)atoi(d->d_name);
		int is = thread > 0 ? sched_getscheduler(thread) : -1;

		if (is >= 0 && is_to_change(is, urgent))
			set_thread(thread, urgent);
	}
	if (dir)
		closedir(dir);
}

bool urgent_is_allowed(void)
{
	int policy;
	bool yes;

	pthread_mutex_lock(&lock);
	policy = sched_getscheduler(0);
	yes = policy == URGENT_POLICY || (is_to_change(policy, true) && !set_thread(0, true) && !set_thread(0, false));
	pthread_mutex_unlock(&lock);
	return yes;
}

static void *limit(void *arg)
{
	const unsigned long begun = (unsigned long)(uintptr_t)arg;
	struct timespec left = {.tv_sec = URGENT_MS / 1000, .tv_nsec = URGENT_MS % 1000 * 1000000L};

	while (nanosleep(&left, &left)) /* a signal has ended it */
		;
	pthread_mutex_lock(&lock);
	if (is_urgent && turn == begun) {
		is_urgent = false;
		is_spent = true;
		set_all(false);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Starts the thread that ends the urgent time; without it nothing urgent begins. */
static bool start_limit(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = !pthread_create(&thread, &attr, limit, (void *)(uintptr_t)turn);
	pthread_attr_destroy(&attr);
	return ok;
}

void urgent_begin(void)
{
	pthread_mutex_lock(&lock);
	if (!is_urgent && !is_spent) {
		turn++;
		is_urgent = start_limit();
		if (is_urgent)
			set_all(true);
	}
	pthread_mutex_unlock(&lock);
}

void urgent_end(void)
{
	pthread_mutex_lock(&lock);
	if (is_urgent)
		set_all(false);
	is_urgent = is_spent = false;
	pthread_mutex_unlock(&lock);
}
