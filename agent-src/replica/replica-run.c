/*
 * replica-run.c: see replica-run.h.
 *
 * Each point is made by a process of its own, `vmferry replica sync`, started anew: the one that is installed by then, should vmferry have been upgraded
 * meanwhile. It notes what came of it (replica-note.h), and says nothing here; what people should know is said here, once.
 */
#include "replica-run.h"
#include "exit-code.h"
#include "json-text.h"
#include "program.h"
#include "replica-here.h"
#include "replica-pace.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 50
#define LOOK_MS 500
#define KILLED	255 /* value in place of an exit code */

static volatile sig_atomic_t is_to_end;

static void on_signal(int number)
{
	(void)number;
	is_to_end = 1;
}

static void hear_signals(void)
{
	const struct sigaction act = {.sa_handler = on_signal};
	struct sigaction was;

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	if (!sigaction(SIGHUP, NULL, &was) && was.sa_handler != SIG_IGN) /* a terminal that goes; but for nohup(1) */
		sigaction(SIGHUP, &act, NULL);
}

static double now_s(void)
{
	return (double)now_ns() / 1e9;
}

/* ---- a point ---- */

/* The process rolls back when we are to end. Returns its exit code. */
static unsigned sync_in_child(const char *guest)
{
	AUTO_FREE char *program = program_beside("vmferry");
	char *argv[] = {program, (char *)"replica", (char *)"sync", (char *)guest, NULL};
	struct program p = PROGRAM_NONE;
	AUTO_CLOSE int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool told = false;
	int status;
	pid_t pid, ended;

	p.fd[0] = p.fd[1] = p.fd[2] = nowhere;
	p.file = program;
	p.argv = argv;
	p.how = PROGRAM_OWN_GROUP | PROGRAM_DIES_WITH_US;
	pid = program_begin(&p);
	if (pid < 0)
		return EXIT_REFUSED;
	while (!(ended = program_wait(pid, &status)) || ended == -EINTR) {
		if (is_to_end && !told)
			kill(pid, SIGTERM);
		told = is_to_end;
		poll(NULL, 0, WAIT_MS);
	}
	return ended > 0 && WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : KILLED;
}

/* ---- the schedule ---- */

struct running {
	const char *state_dir, *guest;
	char *settings_dir; /* directory for which this process is alone; NULL: not alone yet */
	int alone;
	struct replica_attempt last;
	struct replica_word word;
	bool tried; /* an attempt was made in this life */
	double first_due, failing_since;
};

/* Reports a failure, or a recovery, from what was noted of the last attempt, whoever made it. */
static void tell(struct running *r, unsigned code)
{
	json_auto_t *state = replica_state_load(r->settings_dir, r->guest);
	const char *reason = json_text(state, "reason");
	AUTO_FREE char *shown = text_shown(reason ?: code == KILLED ? "it was killed" : "nothing is known of why");

	switch (replica_is_news(&r->word, code, reason)) {
	case REPLICA_SAYS_FAILED:
		printf("no point of guest %s can be made (exit code %u): %s; it is tried again, the longer it fails the less often, up to "
		       "eight times the interval or half an hour\n",
		       r->guest, code, shown);
		break;
	case REPLICA_SAYS_OVER:
		printf("points of guest %s are made again, after %.0f s in which none could be\n", r->guest,
		       r->last.ended - r->failing_since);
		break;
	case REPLICA_SAYS_NOTHING:
		break;
	}
	fflush(stdout);
}

static void make_point(struct running *r)
{
	unsigned code;

	r->last.began = now_s();
	code = sync_in_child(r->guest);
	r->last.ended = now_s();
	if (code && !r->last.failures)
		r->failing_since = r->last.began;
	r->last.failures = code ? r->last.failures + 1 : 0;
	r->tried = true;
	if (!is_to_end)
		tell(r, code);
}

static double age_of_last(const struct running *r)
{
	json_auto_t *state = replica_state_load(r->settings_dir, r->guest);

	return difftime(time(NULL), (time_t)json_integer_value(json_object_get(state, "tried_at")));
}

static bool is_due(const struct running *r, double every)
{
	return now_s() >= (r->tried ? replica_due(&r->last, every) : replica_first_due(r->first_due, age_of_last(r), every));
}

/* Takes the lock of `replica run`: two of them would make twice as many points as the user asked for. */
static int be_alone(struct running *r, const char *settings_dir, struct err *e)
{
	AUTO_FREE char *path = replica_path(settings_dir, r->guest, "run");
	int fd;

	if (r->settings_dir && !strcmp(r->settings_dir, settings_dir))
		return 0;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
		if (r->alone >= 0)
			close(r->alone);
		r->alone = fd;
		free(r->settings_dir);
		r->settings_dir = xstrdup(settings_dir);
		return 0;
	}
	if (fd < 0 || errno != EWOULDBLOCK)
		err_sys(e, errno, "cannot lock %s", path);
	else
		err_set(e, EBUSY, "another vmferry replica run makes points of guest %s already", r->guest);
	if (fd >= 0)
		close(fd);
	return -e->code;
}

/* set, pause and resume change the settings meanwhile, a takeover here may make this host the guest's primary, and remove ends it. */
static int look(struct running *r, struct err *e)
{
	struct replica_conf now;
	int k;

	replica_conf_init(&now);
	now.state_dir = xstrdup(r->state_dir);
	k = replica_conf_load(&now, r->guest, e) ?: be_alone(r, now.settings_dir, e);
	if (!k && !now.paused && is_due(r, now.every_s))
		make_point(r);
	replica_conf_fini(&now);
	return k;
}

int replica_run(struct replica_conf *c, int argc, char **argv)
{
	struct running r = {.state_dir = c->state_dir, .guest = argv[0], .alone = -1, .first_due = now_s()};
	struct err e;
	int k = 0;

	(void)argc;
	replica_conf_pass_on(c);
	hear_signals();
	while (!k && !is_to_end) {
		k = look(&r, &e);
		if (!k)
			poll(NULL, 0, LOOK_MS);
	}
	if (k)
		fprintf(stderr, "vmferry: %s\n", e.msg);
	if (k == -ENOENT && r.settings_dir)
		k = 0;
	if (r.alone >= 0)
		close(r.alone);
	free(r.settings_dir);
	return k ? EXIT_REFUSED : 0;
}

/* The trial may have been ended by somebody else before. */
int replica_trial(struct replica_conf *c, const char *guest)
{
	double until = now_s() + c->once.for_s;
	int code;

	hear_signals();
	code = replica_test(c, guest);
	if (code)
		return code;
	fflush(stdout);
	while (!is_to_end && now_s() < until)
		poll(NULL, 0, LOOK_MS);
	return replica_test_end(c, guest);
}
