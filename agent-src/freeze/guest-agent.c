/* guest-agent.c: see guest-agent.h. */
#include "guest-agent.h"
#include "agent-talk.h"
#include "json-text.h"
#include "process.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FREEZE_MS    20000 /* dirty data are written first */
#define THAW_MS	     10000
#define CHILD_END_MS (FREEZE_MAX_MS + THAW_MS + 1000)

static int is_frozen(struct agent *a, bool *frozen, struct err *e)
{
	json_auto_t *status = NULL;
	int r = agent_call(a, "guest-fsfreeze-status", AGENT_SYNC_MS, &status, e);
	const char *is = json_string_value(status);

	*frozen = !r && is && strcmp(is, "thawed");
	return r;
}

/* A freeze that is somebody else's is not ended. */
static int check_thawed(struct agent *a, struct err *e)
{
	bool frozen;
	int r = is_frozen(a, &frozen, e);

	if (!r && frozen)
		r = err_set(e, EBUSY, "another client has frozen its file systems already (guest-fsfreeze-thaw ends that)");
	return r;
}

/* Thaw is sent in any case: an agent that is still busy with freezing gets it then. */
static int thaw(struct agent *a, struct err *e)
{
	json_auto_t *count = NULL;
	struct err ignored;
	int r = agent_synchronize(a, e);

	if (!r)
		r = agent_call(a, "guest-fsfreeze-thaw", THAW_MS, &count, e);
	else
		agent_call(a, "guest-fsfreeze-thaw", 1, &count, &ignored);
	return r;
}

/* Thaws in place of a process that died when it had begun to freeze. */
static int thaw_if_frozen(const char *path, pid_t qemu, struct err *e)
{
	AUTO_FREE struct agent *a = xcalloc(1, sizeof(*a));
	bool frozen = false;
	int r = agent_connect(a, path, qemu, e);
	bool connected = !r;

	r = r ?: agent_synchronize(a, e) ?: is_frozen(a, &frozen, e);
	if (!r && frozen)
		r = thaw(a, e);
	if (connected)
		close(a->fd);
	return r;
}

json_t *freeze_entry(const char *path, pid_t qemu)
{
	uint64_t start = 0;

	process_start_time(qemu, &start);
	return json_pack("{s:s,s:i,s:I}", "path", path, "pid", (int)qemu, "start_time", (json_int_t)start);
}

int freeze_settle(const json_t *entry, struct err *e)
{
	const char *path = json_text(entry, "path");
	pid_t qemu = (pid_t)json_integer_value(json_object_get(entry, "pid"));
	uint64_t start;

	if (!path || process_start_time(qemu, &start) || start != (uint64_t)json_integer_value(json_object_get(entry, "start_time")))
		return 0;
	return thaw_if_frozen(path, qemu, e)
		       ? err_prefix(e, "the guest's file systems may be frozen, since a point or an export of it was cut off "
				       "(guest-fsfreeze-thaw, sent to its agent, thaws them)")
		       : 0;
}

/* ---- the process that freezes ---- */

/* STUCK: nothing says that they are not frozen. BEGINS: from now on they may be, and another word comes. */
enum word { WORD_BEGINS = 'B', WORD_FROZEN = 'F', WORD_THAWED = 'T', WORD_LATE = 'L', WORD_FAILED = 'E', WORD_STUCK = 'S' };

static void tell(char word, const struct err *e)
{
	AUTO_FREE char *text = xasprintf("%c%s", word, e ? e->msg : "");

	send(RESCUER_SOCK, text, strlen(text), MSG_NOSIGNAL);
}

/* True: in time; also when the other end has died. */
static bool wait_for_end(void)
{
	uint64_t until = now_ns() + FREEZE_MAX_MS * 1000000ULL;
	struct pollfd p = {.fd = RESCUER_SOCK, .events = POLLIN};
	char word;

	while (poll(&p, 1, ms_left(until)) < 0 && errno == EINTR)
		;
	return p.revents && recv(RESCUER_SOCK, &word, 1, MSG_DONTWAIT) >= 0; /* unread data would discard our answer */
}

struct freeze_of {
	const char *path;
	pid_t pid; /* pid of the process whose socket it is */
};

/* Runs in that process. */
static void freeze_and_thaw(void *of)
{
	const struct freeze_of *at = of;
	struct agent *a = xcalloc(1, sizeof(*a));
	json_t *count = NULL;
	struct err e, why;
	bool in_time, refused;
	int r = agent_connect(a, at->path, at->pid, &e) ?: agent_synchronize(a, &e) ?: check_thawed(a, &e);

	if (r) {
		tell(WORD_FAILED, &e);
		return;
	}
	tell(WORD_BEGINS, NULL);
	r = agent_call(a, "guest-fsfreeze-freeze", FREEZE_MS, &count, &e);
	json_decref(count);
	if (!r)
		tell(WORD_FROZEN, NULL);
	in_time = r || wait_for_end();
	refused = r == -EREMOTEIO;     /* the agent itself thaws what it has frozen when it refuses */
	if (thaw(a, &why) && !refused) /* whatever became of the freeze */
		tell(WORD_STUCK, &why);
	else if (r)
		tell(WORD_FAILED, &e);
	else
		tell(in_time ? WORD_THAWED : WORD_LATE, NULL);
}

/* ---- ours ---- */

/* Reads the helper's next word, with its message in e; 0: the helper has died. */
static char listen_to(struct freeze *f, unsigned ms, struct err *e)
{
	struct pollfd p = {.fd = f->thaws.fd, .events = POLLIN};
	uint64_t until = now_ns() + ms * 1000000ULL;
	char text[ERR_MAX + 2] = "";
	ssize_t n = -1;

	while (poll(&p, 1, ms_left(until)) < 0 && errno == EINTR)
		;
	if (p.revents)
		n = recv(f->thaws.fd, text, sizeof(text) - 1, 0);
	if (n <= 0) {
		err_set(e, EIO, "the process that froze the guest's file systems for a moment does not answer");
		return 0;
	}
	if (*text == WORD_FAILED || *text == WORD_STUCK)
		err_set(e, EIO, "%s", text + 1);
	return *text;
}

int freeze_begin(struct freeze *f, const char *path, pid_t qemu, struct err *e)
{
	struct freeze_of at = {path, qemu};
	int r = rescuer_start(&f->thaws, "vmferry-thaw", freeze_and_thaw, &at, e);
	struct err why;
	bool begins;
	char word;

	if (r)
		return r;
	f->path = path;
	f->qemu = qemu;
	word = listen_to(f, 3 * AGENT_SYNC_MS, e);
	begins = word == WORD_BEGINS;
	if (begins)
		word = listen_to(f, FREEZE_MS + AGENT_SYNC_MS + THAW_MS, e);
	if (word == WORD_FROZEN)
		return 0;
	rescuer_leave(&f->thaws, true); /* the process ends by itself, after thawing */
	if (!word && (!begins || !thaw_if_frozen(path, qemu, &why)))
		return err_set(e, EREMOTEIO,
			       "the process that was to freeze the guest's file systems for a moment has died, and they are "
			       "not frozen");
	return word == WORD_FAILED ? -EREMOTEIO : -EIO;
}

int freeze_end(struct freeze *f, struct err *e)
{
	struct err why;
	char word;

	if (!f->thaws.pid)
		return 0;
	send(f->thaws.fd, "", 1, MSG_NOSIGNAL);
	word = listen_to(f, CHILD_END_MS, e);
	rescuer_leave(&f->thaws, true);
	if (!word && !thaw_if_frozen(f->path, f->qemu, &why))
		return err_set(
			e, ETIMEDOUT,
			"the process that was to thaw the guest's file systems has died; they are thawed, and perhaps were thawed before "
			"the disks' moment");
	return word == WORD_THAWED ? 0
	       : word == WORD_LATE
		       ? err_set(e, ETIMEDOUT, "the guest's file systems were thawed before the disks' moment, which took too long")
		       : err_prefix(e, "nothing says that the guest's file systems are thawed");
}
