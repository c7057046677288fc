/* urgent.c: see urgent.h. */
#include "urgent.h"
#include "util.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_urgent;
static unsigned long turn; /* counts urgent_begin(), so that an old limit does not end a new one */

static int set_thread(pid_t thread, bool urgent)
{
	const struct sched_param lowest = {.sched_priority = 1}, ordinary = {.sched_priority = 0};

	return urgent ? sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, &lowest)
		      : sched_setscheduler(thread, SCHED_OTHER, &ordinary);
}

/* A thread that is gone, or may not have it, stays as it is. One that works at another policy than ours keeps that. */
static void set_all(bool urgent)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		pid_t thread = (pid_t)atoi(d->d_name);
		int is = thread > 0 ? sched_getscheduler(thread) : -1;

		if (is >= 0 && (is & ~SCHED_RESET_ON_FORK) == (urgent ? SCHED_OTHER : SCHED_RR))
			set_thread(thread, urgent);
	}
	if (dir)
		closedir(dir);
}

bool urgent_is_allowed(void)
{
	bool yes;

	pthread_mutex_lock(&lock);
	yes = is_urgent || (sched_getscheduler(0) == SCHED_OTHER && !set_thread(0, true) && !set_thread(0, false));
	pthread_mutex_unlock(&lock);
	return yes;
}

static void *limit(void *arg)
{
	const unsigned long begun = (unsigned long)(uintptr_t)arg;

	nanosleep(&(struct timespec){.tv_sec = URGENT_MS / 1000, .tv_nsec = URGENT_MS % 1000 * 1000000L}, NULL);
	pthread_mutex_lock(&lock);
	if (is_urgent && turn == begun) {
		is_urgent = false;
		set_all(false);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Without the thread that ends it nothing begins. */
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
	if (!is_urgent) {
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
	is_urgent = false;
	pthread_mutex_unlock(&lock);
}
