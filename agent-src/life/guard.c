/* guard.c: see guard.h. */
#include "guard.h"
#include "journal.h"
#include "keep.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "program.h"
#include "util.h"
#include "watched-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LEAVE_MS	1000
#define SETTLE_PAUSE_MS 500

/* The agent's environment, without VMFERRY_FAULT and VMFERRY_FAULT_BEFORE: the guard is there for such a fault, and must not reach it itself. */
static char **environment(void)
{
	size_t n = 0, i;
	char **env;

	while (environ[n])
		n++;
	env = xcalloc(n + 1, sizeof(*env));
	for (n = 0, i = 0; environ[i]; i++)
		if (!text_starts_with(environ[i], "VMFERRY_FAULT"))
			env[n++] = environ[i];
	return env;
}

int guard_start(struct guard *g, const char *journal, const char *runtime_dir, unsigned patience_s, bool quiet, struct err *e)
{
	char patience[16];
	char *argv[] = {"vmferry", GUARD_WORD, (char *)journal, (char *)runtime_dir, patience, NULL};
	AUTO_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	AUTO_FREE char **env = environment();
	struct program p = PROGRAM_NONE;
	int fds[2];

	snprintf(patience, sizeof(patience), "%u", patience_s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return err_sys(e, errno, "cannot create a pair of sockets");
	p.file = "/proc/self/exe";
	p.argv = argv;
	p.env = env;
	p.fd[0] = fds[0];
	p.fd[1] = null;
	p.fd[2] = quiet ? null : -1;
	p.how = PROGRAM_OWN_SESSION;
	g->pid = program_begin(&p);
	close(fds[0]);
	if (g->pid < 0) {
		err_sys(e, -g->pid, "cannot start the guard, which takes the guest back should this agent die");
		close(fds[1]);
		g->pid = 0;
		return -e->code;
	}
	g->fd = fds[1];
	return 0;
}

bool guard_is_alive(const struct guard *g)
{
	siginfo_t info = {.si_pid = 0};

	return g->pid && !waitid(P_PID, (id_t)g->pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

void guard_dismiss(struct guard *g)
{
	uint64_t until = now_ns() + LEAVE_MS * 1000000ULL;

	if (!g->pid)
		return;
	if (!keep_tell(g->fd, KEEP_GOODBYE, -1))
		log_info("the guard has ended already");
	close(g->fd);
	while (waitpid(g->pid, NULL, WNOHANG) == 0 && now_ns() < until)
		poll(NULL, 0, 1);
	g->pid = 0;
}

void guard_tell(const struct guard *g, bool stands)
{
	if (g->pid)
		keep_tell(g->fd, stands ? KEEP_STANDS : KEEP_RUNS, -1);
}

void guard_lend(const struct guard *g, int fd)
{
	if (g->pid && !keep_tell(g->fd, KEEP_LOCK, fd))
		log_info("the guard does not take the lock of a disk");
}

void guard_relieve(pid_t pid, uint64_t start_time)
{
	struct err e;

	if (pid != getpid() && process_end(pid, start_time, LEAVE_MS, &e))
		log_error("the guard of the agent that died: %s", e.msg);
}

/* ---- the guard itself ---- */

/* The agent that is watched. */
struct watch {
	struct watched_agent agent;
	unsigned patience_s; /* see guard_start() */
	const char *journal;
};

/* A guest without a destination stays. A journal that cannot be read does not say so. */
static bool is_ours(const char *journal)
{
	enum handoff_state state;
	struct journal *j;
	struct err e;
	bool stays;

	if (journal_look(&j, journal, &e))
		return false;
	state = journal_last_state(j);
	stays = !json_object_get(journal_begin(j), "dest");
	journal_close(j);
	return stays || state == HO_SRC_BEGUN || state == HO_SRC_ABORTED;
}

static void look(void *ctx, bool stands)
{
	struct watch *w = ctx;
	unsigned limit_s = stands ? GUARD_STOPPED_S : w->patience_s;
	bool too_long = watched_agent_look(&w->agent, limit_s);

	if (limit_s && too_long && is_ours(w->journal) && watched_agent_kill(&w->agent)) /* the agent's end is what we wait for */
		log_error("the agent (process %d) was stopped (SIGSTOP) for %u s while the guest %s, and is ended", (int)w->agent.pid,
			  limit_s, stands ? "stands still" : "runs");
}

struct keep *guard_wait(const char *journal, unsigned patience_s)
{
	struct watch w = {.journal = journal, .patience_s = patience_s};
	struct keep *k;

	watched_agent_init(&w.agent, 0);
	k = keep_wait(0, w.agent.pidfd < 0 ? NULL : look, AGENT_LOOK_MS, &w);
	watched_agent_fini(&w.agent);
	return k;
}

static void say(const struct err *words)
{
	AUTO_FREE char *line = xasprintf("vmferry: %s\n", words->msg);

	output_put(2, OUTPUT_LAST, line, strlen(line));
}

/* True for errors that may pass: another process has the journal, or the host is short of resources. */
static bool may_pass(int r)
{
	return r == -EBUSY || r == -ENFILE || r == -EMFILE || r == -ENOMEM || r == -EAGAIN;
}

static void drain(void *kept)
{
	keep_drain(kept);
}

/* Tries to take up the journal once. Meanwhile `recover` may hold it, which cancels QEMU's migration. */
static bool try_once(const char *journal, struct keep *kept, guard_take_up *take_up, const struct life_options *o, struct err *words)
{
	struct journal *j;
	int r;

	*words = (struct err){.code = 0};
	r = life_take_journal(&j, journal, drain, kept, words);
	if (r == -ENOENT) /* the attempt has ended */
		*words = (struct err){.code = 0};
	else if (r)
		err_prefix(words, "an agent has died");
	return r ? !may_pass(r) : take_up(o, j, kept, words);
}

/* The guest is the destination's, or may be. True also if the journal does not tell. */
static bool has_gone(const char *journal)
{
	enum handoff_state state;
	struct journal *j;
	struct err e;
	int r = journal_look(&j, journal, &e);

	if (r)
		return r != -ENOENT;
	state = journal_last_state(j);
	journal_close(j);
	return state == HO_SRC_COMMITTED || state == HO_SRC_REVERTING || state == HO_SRC_RELEASED;
}

/* Holds the locks with standard error on /dev/null, so that a process that reads our standard error need not wait for us. */
static void hold_locks(const char *journal, struct keep *kept)
{
	if (!keep_has_locks(kept))
		return;
	keep_end(kept);
	dup2(1, 2); /* /dev/null */
	prctl(PR_SET_NAME, "vmferry-locks");
	while (has_gone(journal))
		poll(NULL, 0, SETTLE_PAUSE_MS);
}

int guard_settle(const char *journal, struct keep *kept, guard_take_up *take_up, const struct life_options *o)
{
	struct err words = {.code = 0}, said = words;

	if (!has_gone(journal)) /* we or `recover`, whoever takes the guest back, need the locks for it */
		keep_unlock(kept);
	for (;;) {
		bool done = try_once(journal, kept, take_up, o, &words);

		if (words.msg[0] && strcmp(words.msg, said.msg))
			say(&words);
		if (done)
			break;
		said = words;
		poll(NULL, 0, SETTLE_PAUSE_MS);
	}
	hold_locks(journal, kept);
	keep_free(kept);
	return words.code != 0;
}
