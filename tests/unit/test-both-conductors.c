/*
 * test-both-conductors.c: the hand-off of both agents, each with its own code from the end of the copy on, over a control channel and with
 * journals, against QEMUs that are played: in many orders of what happens, with a fault at every point.
 *
 * Agents and QEMUs are processes, so that their deaths, SIGSTOP, locks and connections are the kernel's; but only one of them goes on at a
 * time. An agent gives its turn back where it would wait for anything (loop_step, poll), and time is a number, which grows when nobody has
 * anything to do. A point is where an agent is about to do what others see, or to wait: there a fault can strike. What must be true is looked
 * at at every one; and at the end the guest runs at one place, and codes and journals say where.
 *
 * VMFERRY_BOTH=ORDER,POINT:FAULT[,POINT:FAULT] (as a failure prints it) runs one alone, with the agents' logs. VMFERRY_SEED begins the
 * pairs of faults elsewhere; LONG tries more.
 */
#include "both/both.h"
#include "err.h"
#include "json-message.h"
#include "log.h"
#include "loop.h"
#include "process.h"
#include "qmp.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ACTORS_MAX    32
#define TURNS_MAX     60000
#define TRACE_MAX     4096
#define HANG_MS	      10000
#define TURN_NS	      10000
#define JUMP_MAX_MS   1000
#define BAD_MAX	      3 /* enough to look at */
#define PAIRS_MS      4000
#define PAIRS_LONG_MS 120000

enum kind { SRC, GUARD, RECOVER, DST_FIRST, DST_AGAIN, DST_START, DST_SETTLE };

enum what {
	NOTHING,
	CUT,		    /* the control connection */
	SRC_DIES,	    /* the agent; its guard takes over */
	SRC_DIES_UNGUARDED, /* with it */
	DST_DIES,
	DST_IS_GONE, /* the agent, and its host cannot be reached until all else is over */
	SRC_QEMU_DIES,
	DST_QEMU_DIES,
	CONT,	/* somebody's, at the source */
	CANCEL, /* the user's */
	WHAT_COUNT
};

static const char *const what_names[] = {
	"nothing", "cut", "src-dies", "src-dies-unguarded", "dst-dies", "dst-is-gone", "src-qemu-dies", "dst-qemu-dies", "cont", "cancel",
};

/* How turns are given. */
enum order { IN_TURN, SOURCE_FIRST, DESTINATION_FIRST, AT_RANDOM, ORDER_COUNT };

struct actor {
	enum kind kind;
	pid_t pid;
	sem_t go;
	enum { FREE, READY, DONE, DIED } state;
	int code;
};

static struct world {
	struct both b;
	struct actor actors[ACTORS_MAX];
	unsigned actor_count;
	sem_t back;
	unsigned points; /* so far */
	struct fault {
		unsigned at;
		enum what what;
	} faults[2];
	bool killed[2];		    /* QEMUs, by a fault */
	enum handoff_state died_in; /* the destination's */
	bool cut, gone, unguarded, src_died;
	unsigned connects, sessions;
	unsigned long waited_at; /* activity when an agent waited last */
	char trace[TRACE_MAX][48];
} * w;

struct both *both;
void (*both_tick)(void);

static struct actor *me; /* NULL: the driver */
static int control_fd = -1, door;
static char dir[64], door_path[100];
static bool alone;
static const char *here = ""; /* the point */
static unsigned long random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(random_state >> 33) % below;
}

/* ---- what must be true ---- */

void both_violation(const char *fmt, ...)
{
	va_list args;

	if (both->violation[0])
		return;
	va_start(args, fmt);
	vsnprintf(both->violation, sizeof(both->violation), fmt, args);
	va_end(args);
}

static bool lives(unsigned side)
{
	return !both->qemu[side].dead;
}

static bool runs(unsigned side)
{
	return both->qemu[side].runs && lives(side) && !both->qemu[side].held;
}

static struct both_qemu *qemu_of(pid_t pid)
{
	return pid == both->qemu[SOURCE].pid ? &both->qemu[SOURCE] : pid == both->qemu[DESTINATION].pid ? &both->qemu[DESTINATION] : NULL;
}

static void look(void)
{
	if (runs(SOURCE) && runs(DESTINATION))
		both_violation("the guest runs at both sides");
	if (both->qemu[SOURCE].ran && both->qemu[DESTINATION].ran)
		both_violation("the guest has run at both sides since the copy");
}

/* ---- faults ---- */

static void wait_for_death(pid_t pid)
{
	siginfo_t info;
	uint64_t start;
	char path[32], stat[512];
	int fd;
	ssize_t n;
	const char *p;

	if (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT)) /* of our child */
		return;
	while (!process_start_time(pid, &start)) {
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, stat, sizeof(stat) - 1);
		close(fd);
		stat[MAX(n, 0)] = '\0';
		p = strrchr(stat, ')');
		if (!p || p[2] == 'Z')
			return;
	}
}

static void kill_actors(bool source)
{
	bool suicide = false;
	unsigned i;

	for (i = 0; i < w->actor_count; i++) {
		struct actor *a = &w->actors[i];

		if (a->state != READY || a->kind == GUARD || (a->kind <= RECOVER) != source)
			continue;
		a->state = DIED;
		if (source && a->kind == SRC)
			w->src_died = true;
		if (a == me) {
			suicide = true;
			continue;
		}
		kill(a->pid, SIGKILL);
		wait_for_death(a->pid);
	}
	if (!suicide)
		return;
	sem_post(&w->back);
	for (;;)
		kill(getpid(), SIGKILL);
}

static void kill_qemu(unsigned side)
{
	if (!lives(side))
		return;
	w->killed[side] = both->qemu[side].dead = true;
	if (side == DESTINATION) /* once it has been looked at for the last time nobody can tell when it died */
		w->died_in = strcmp(here, "before-DST_START") ? both->journal[DESTINATION] : HO_DST_START;
	kill(both->qemu[side].pid, SIGKILL);
	wait_for_death(both->qemu[side].pid);
}

static bool wait_back(sem_t *sem, pid_t pid);

static void step_qemu(unsigned side)
{
	struct both_qemu *q = &both->qemu[side];

	if (q->dead || q->held)
		return;
	sem_post(&q->go);
	if (wait_back(&q->back, q->pid))
		both->activity += q->busy;
}

/* In a monitor of its own; one that is held hears it when it is let go. */
static void send_cont(void)
{
	static const char words[] = "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"cont\"}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", both->qemu[SOURCE].path);
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)) && send(fd, words, strlen(words), MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	step_qemu(SOURCE);
}

static void cancel(void)
{
	unsigned i;

	for (i = 0; i < w->actor_count; i++)
		if (w->actors[i].state == READY && w->actors[i].kind == SRC)
			kill(w->actors[i].pid, SIGTERM);
}

static void strike(enum what what)
{
	switch (what) {
	case NOTHING:
	case WHAT_COUNT:
		return;
	case CUT:
		w->cut = true;
		return;
	case SRC_DIES_UNGUARDED:
		w->unguarded = true;
		both->qemu[SOURCE].unread = true;
		kill_actors(true);
		return;
	case SRC_DIES:
		kill_actors(true);
		return;
	case DST_IS_GONE:
		w->gone = true;
		kill_actors(false);
		return;
	case DST_DIES:
		kill_actors(false);
		return;
	case SRC_QEMU_DIES:
		kill_qemu(SOURCE);
		return;
	case DST_QEMU_DIES:
		kill_qemu(DESTINATION);
		return;
	case CONT:
		send_cont();
		return;
	case CANCEL:
		cancel();
		return;
	}
}

static const char *const kind_names[] = {"src", "guard", "recover", "dst", "dst-again", "dst-start", "dst-settle"};

/* Here a fault may strike. */
static void point(const char *name)
{
	unsigned n, i;

	if (!me || both->begun < 2)
		return;
	n = w->points++;
	here = name;
	if (n < TRACE_MAX)
		snprintf(w->trace[n], sizeof(w->trace[n]), "%s: %s", kind_names[me->kind], name);
	look();
	for (i = 0; i < ARRAY_LEN(w->faults); i++)
		if (w->faults[i].what && w->faults[i].at == n)
			strike(w->faults[i].what);
	if (w->cut && control_fd >= 0) {
		w->cut = false;
		shutdown(control_fd, SHUT_RDWR);
	}
	both->activity++;
}

/* ---- an agent's turn ---- */

static void give_turn_back(void)
{
	if (both->activity != w->waited_at)
		point("waits");
	w->waited_at = both->activity;
	sem_post(&w->back);
	while (sem_wait(&me->go))
		;
}

uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
int __real_loop_step(struct loop *l, uint64_t ms, struct err *e);
int __wrap_loop_step(struct loop *l, uint64_t ms, struct err *e);
int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
bool __wrap_fault_point(const char *name, ...);
int __real_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e);
int __wrap_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e);
int __real_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail);
int __wrap_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail);
int __real_handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e);
int __wrap_handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e);
int __real_process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __wrap_process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);
int __real_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __wrap_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);

uint64_t __wrap_now_ns(void)
{
	return me ? both->now_ns : __real_now_ns();
}

int __wrap_loop_step(struct loop *l, uint64_t ms, struct err *e)
{
	if (!me)
		return __real_loop_step(l, ms, e);
	if (both_tick)
		both_tick();
	give_turn_back();
	return __real_loop_step(l, 0, e);
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	uint64_t until = both->now_ns + (uint64_t)ms * 1000000;

	if (!me || n)
		return __real_poll(p, n, ms);
	do
		give_turn_back();
	while (both->now_ns < until);
	return 0;
}

bool __wrap_fault_point(const char *name, ...)
{
	enum handoff_state s;
	char text[48];
	va_list args;

	va_start(args, name);
	vsnprintf(text, sizeof(text), name, args);
	va_end(args);
	if (!strncmp(text, "after-", 6) && !handoff_state_parse(text + 6, &s))
		both->journal[handoff_state_of_role(s, HO_SOURCE) ? SOURCE : DESTINATION] = s;
	if (!strcmp(text, "no-io-uring"))
		return true; /* no rings: thousands of agents begin and end */
	point(text);
	return false;
}

int __wrap_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e)
{
	point(command);
	return __real_qmp_call(q, command, args, ret, e);
}

int __wrap_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail)
{
	char text[48];

	snprintf(text, sizeof(text), "says %s", handoff_state_name((enum handoff_state)state));
	point(text);
	return __real_handoff_message_send(c, attempt, state, detail);
}

int __wrap_handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e)
{
	point("hears");
	return __real_handoff_message_take(p, n, attempt, state, detail, e);
}

int __wrap_process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	struct both_qemu *q = qemu_of(pid);
	int r;

	point("holds");
	r = __real_process_hold(pid, start_time, timeout_ms, e);
	if (q && !r)
		q->held = true;
	return r;
}

int __wrap_kill(pid_t pid, int signal)
{
	struct both_qemu *q = qemu_of(pid);

	if (q && signal == SIGCONT)
		q->held = false;
	return __real_kill(pid, signal);
}

/* A QEMU is ended only when another copy may live. */
int __wrap_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];
	struct both_qemu *q = qemu_of(pid);
	int r;

	point("ends a QEMU");
	if (pid == both->qemu[SOURCE].pid && lives(SOURCE) && !both->qemu[DESTINATION].ran)
		both_violation("the source QEMU is ended in %s, and the destination, in %s, has never run the guest",
			       handoff_state_name(src), handoff_state_name(dst));
	if (pid == both->qemu[DESTINATION].pid && lives(DESTINATION) &&
	    (both->qemu[DESTINATION].ran || src == HO_SRC_RELEASED || (!lives(SOURCE) && src == HO_SRC_COMMITTED)))
		both_violation("the destination QEMU is ended in %s, and the source is in %s", handoff_state_name(dst),
			       handoff_state_name(src));
	r = __real_process_end(pid, start_time, timeout_ms, e);
	if (q && !r)
		q->dead = true;
	return r;
}

int both_reach(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	point("reaches for the destination");
	if (w->gone)
		return -1;
	control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", door_path);
	if (connect(control_fd, (struct sockaddr *)&at, sizeof(at)))
		abort();
	w->connects++;
	return control_fd;
}

int both_accept(void)
{
	control_fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	return control_fd;
}

/* ---- processes ---- */

static int live(enum kind kind)
{
	switch (kind) {
	case SRC:
		return src_life();
	case GUARD:
		return src_guard();
	case RECOVER:
		return src_recover(false);
	case DST_FIRST:
	case DST_AGAIN:
		return dst_session(kind == DST_FIRST);
	case DST_START:
		return dst_start();
	case DST_SETTLE:
		return dst_settle(false);
	}
	return -1;
}

static void silence(void)
{
	int null = open("/dev/null", O_RDWR);

	if (alone) {
		log_init(kind_names[me->kind], LOG_LEVEL_INFO, 2);
		return;
	}
	dup2(null, 1);
	dup2(null, 2);
}

static struct actor *spawn(enum kind kind)
{
	struct actor *a = &w->actors[w->actor_count++];
	sigset_t set;
	pid_t pid;

	assert_true(w->actor_count < ACTORS_MAX);
	a->kind = kind;
	a->state = READY;
	sem_init(&a->go, 1, 0);
	pid = fork();
	if (pid) {
		a->pid = pid;
		return a;
	}
	me = a;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	silence();
	while (sem_wait(&a->go))
		;
	a->code = live(kind);
	if (kind == GUARD || kind == SRC)
		both->qemu[SOURCE].unread = true;
	a->state = DONE;
	both->activity++;
	sem_post(&w->back);
	_exit(0);
}

static bool wait_back(sem_t *sem, pid_t pid)
{
	uint64_t until = __real_now_ns() + HANG_MS * 1000000ULL;
	struct timespec at;
	siginfo_t info;

	for (;;) {
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += 20000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		if (!sem_timedwait(sem, &at))
			return true;
		info.si_pid = 0;
		if (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) && info.si_pid) {
			both_violation("process %d has crashed (status %d)", (int)pid, info.si_status);
			return false;
		}
		if (__real_now_ns() > until) {
			both_violation("process %d hangs", (int)pid);
			return false;
		}
	}
}

static void spawn_qemu(unsigned side)
{
	struct both_qemu *q = &both->qemu[side];
	pid_t pid;

	sem_init(&q->go, 1, 0);
	sem_init(&q->back, 1, 0);
	snprintf(q->path, sizeof(q->path), "%s/qemu-%u", dir, side);
	pid = fork();
	if (!pid)
		both_qemu(side);
	q->pid = pid;
	process_start_time(pid, &q->start_time);
	wait_back(&q->back, pid);
}

static void step(struct actor *a)
{
	sem_post(&a->go);
	wait_back(&w->back, a->pid);
	if (a->state == DONE || a->state == DIED)
		waitpid(a->pid, NULL, 0);
}

/* ---- a run ---- */

static void spawn_who_is_needed(void)
{
	for (; w->sessions < w->connects; w->sessions++)
		spawn(w->sessions ? DST_AGAIN : DST_FIRST);
	if (w->src_died && !w->unguarded) {
		w->src_died = false;
		spawn(GUARD);
	}
}

static unsigned ready(struct actor *list[ACTORS_MAX])
{
	unsigned i, n = 0;

	for (i = 0; i < w->actor_count; i++)
		if (w->actors[i].state == READY)
			list[n++] = &w->actors[i];
	return n;
}

static void give_turn(enum order order, unsigned long turn, struct actor *list[ACTORS_MAX], unsigned n)
{
	unsigned which = order == IN_TURN ? (unsigned)(turn % (n + 2)) : draw(n + 2), i;

	if (order == SOURCE_FIRST || order == DESTINATION_FIRST)
		for (i = 0; i < n && draw(4); i++)
			if ((list[i]->kind <= RECOVER) == (order == SOURCE_FIRST)) {
				which = i + 2;
				break;
			}
	if (which < 2)
		step_qemu(which);
	else
		step(list[which - 2]);
}

/* Until all agents have ended. */
static void run(enum order order)
{
	struct actor *list[ACTORS_MAX];
	unsigned long turn, seen = 0, jump_ms = 1;
	unsigned quiet = 0, n;

	for (turn = 0; !both->violation[0]; turn++) {
		spawn_who_is_needed();
		n = ready(list);
		if (!n)
			return;
		if (turn > TURNS_MAX)
			both_violation("it does not come to an end");
		give_turn(order, turn, list, n);
		look();
		both->now_ns += TURN_NS;
		if (both->activity != seen) {
			seen = both->activity;
			quiet = 0;
			jump_ms = 1;
		} else if (++quiet > (n + 2) * (order == IN_TURN ? 4 : 16)) {
			both->now_ns += jump_ms * 1000000;
			jump_ms = MIN(2 * jump_ms, JUMP_MAX_MS);
			quiet = 0;
		}
	}
}

static bool has_journal(unsigned side)
{
	char id[2 * ATTEMPT_ID_LEN + 1], path[160];

	snprintf(path, sizeof(path), "%s/%s-%s.journal", both->state[side], attempt_id_format(both->attempt, id), side ? "dst" : "src");
	return !access(path, F_OK);
}

static void empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *x;

	while (d && (x = readdir(d)))
		unlinkat(dirfd(d), x->d_name, 0);
	closedir(d);
}

static void begin(void)
{
	unsigned i;

	memset(w, 0, sizeof(*w));
	empty(dir);
	for (i = 0; i < 2; i++) {
		snprintf(both->state[i], sizeof(both->state[i]), "%s/state-%u", dir, i);
		snprintf(both->runtime[i], sizeof(both->runtime[i]), "%s/run-%u", dir, i);
		mkdir(both->state[i], 0700);
		mkdir(both->runtime[i], 0700);
		empty(both->state[i]);
		empty(both->runtime[i]);
	}
	sem_init(&w->back, 1, 0);
	both->attempt[0] = 1;
	both->now_ns = 1000000000000ULL;
	both->journal[SOURCE] = HO_SRC_BEGUN;
	both->journal[DESTINATION] = HO_DST_BEGUN;
}

static void end(void)
{
	unsigned i;

	for (i = 0; i < w->actor_count; i++) {
		if (w->actors[i].state == READY)
			kill(w->actors[i].pid, SIGKILL);
		waitpid(w->actors[i].pid, NULL, 0);
	}
	for (i = 0; i < 2; i++) {
		kill(both->qemu[i].pid, SIGKILL);
		waitpid(both->qemu[i].pid, NULL, 0);
	}
	while (accept(door, NULL, NULL) >= 0)
		; /* none is left */
}

/* All is over, and who recovers has been there. code: the source's last word; -1: it died when nothing was left to be done. */
static void judge(int code)
{
	bool s = runs(SOURCE), d = runs(DESTINATION), ran = both->qemu[DESTINATION].ran;
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];

	if (!w->killed[SOURCE] && !w->killed[DESTINATION]) {
		if (s == d)
			both_violation("the guest runs nowhere (%s, %s)", handoff_state_name(src), handoff_state_name(dst));
		if (has_journal(SOURCE) || has_journal(DESTINATION))
			both_violation("a journal is left (%s, %s)", handoff_state_name(src), handoff_state_name(dst));
		if (lives(s ? DESTINATION : SOURCE))
			both_violation("the guest runs at one side, and the other QEMU is still there");
		if (s && code != -1 && code != 1 && code != 4)
			both_violation("the guest runs at the source, and the exit code is %d", code);
		if (d && code != -1 && code != 0)
			both_violation("the guest runs at the destination, and the exit code is %d", code);
	}
	if (w->killed[SOURCE] && !w->killed[DESTINATION] && !d && (ran || src == HO_SRC_COMMITTED || src == HO_SRC_RELEASED))
		both_violation("the guest runs nowhere, though its source QEMU died in %s, %s", handoff_state_name(src),
			       handoff_state_name(dst));
	if (w->killed[DESTINATION] && !w->killed[SOURCE] && !s && !ran && w->died_in != HO_DST_START)
		both_violation("the guest runs nowhere, though it never ran at the destination (%s, %s)", handoff_state_name(src),
			       handoff_state_name(dst));
	if ((code == 0 && !ran) || ((code == 1 || code == 4 || code == 5 || code == 8) && ran))
		both_violation("the exit code is %d, and the guest %s at the destination", code, ran ? "ran" : "never ran");
	if ((code == 1 || code == 4) && !s && !w->killed[SOURCE])
		both_violation("the exit code is %d, and the guest does not run at the source", code);
	if (code == 8 && !w->killed[SOURCE])
		both_violation("the exit code is 8, and its QEMU lives");
}

/* -1: it died. */
static int code_of(const struct actor *src)
{
	if (src->state != DONE)
		return -1;
	if (src->code <= 1 && has_journal(SOURCE))
		both_violation("the exit code is %d, and there is still a journal", src->code);
	return src->code;
}

/* One alone; where it went wrong is printed. points: how many there were. */
static bool try(enum order order, struct fault one, struct fault other, unsigned *points)
{
	struct actor *src;
	unsigned i;
	int code;
	bool good;

	begin();
	random_state = 7 + order + one.at * 31 + other.at * 1009;
	w->faults[0] = one;
	w->faults[1] = other;
	spawn_qemu(SOURCE);
	spawn_qemu(DESTINATION);
	src = spawn(SRC);
	run(order);
	*points = w->points;
	code = code_of(src);
	w->gone = false;
	if (!both->violation[0] && has_journal(DESTINATION)) {
		spawn(DST_START);
		run(order);
	}
	for (i = 0; i < 3 && !both->violation[0] && has_journal(SOURCE); i++) { /* it may be struck, too */
		w->gone = false;
		src = spawn(RECOVER);
		run(order);
		code = code_of(src);
	}
	if (!both->violation[0] && has_journal(DESTINATION)) {
		spawn(DST_SETTLE);
		run(order);
	}
	if (!both->violation[0])
		judge(code);
	good = !both->violation[0];
	if (!good || alone) {
		print_message("VMFERRY_BOTH=%u,%u:%u,%u:%u (%s, %s): %s; code %d\n", order, one.at, one.what, other.at, other.what,
			      what_names[one.what], what_names[other.what], good ? "good" : both->violation, code);
		for (i = 0; i < MIN(w->points, TRACE_MAX); i++)
			print_message("  %3u %s%s\n", i, w->trace[i],
				      (one.what && one.at == i) || (other.what && other.at == i) ? "   <- here" : "");
	}
	end();
	return good;
}

/* ---- the tests ---- */

static const struct fault none;

static void a_hand_off_ends_at_the_destination_in_every_order(void **state)
{
	unsigned order, points;

	(void)state;
	for (order = 0; order < ORDER_COUNT; order++) {
		assert_true(try(order, none, none, &points));
		assert_int_equal(both->journal[SOURCE], HO_SRC_RELEASED);
		assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
	}
}

static void one_fault_at_any_point_leaves_one_guest(void **state)
{
	unsigned order, points, at, what, ignored, tried = 0, bad = 0;

	(void)state;
	for (order = 0; order < (getenv("LONG") ? ORDER_COUNT : 1); order++) {
		assert_true(try(order, none, none, &points));
		for (at = 0; at < points; at++)
			for (what = CUT; what < WHAT_COUNT && bad < BAD_MAX; what++, tried++)
				bad += !try(order, (struct fault){at, what}, none, &ignored);
	}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void up_to_two_faults_in_any_order_leave_one_guest(void **state)
{
	uint64_t until = now_ns() + (getenv("LONG") ? PAIRS_LONG_MS : PAIRS_MS) * 1000000ULL;
	unsigned long seed = getenv("VMFERRY_SEED") ? strtoul(getenv("VMFERRY_SEED"), NULL, 10) : now_ns() & 0xffffff, next = seed;
	unsigned points = 50, tried, bad = 0;

	(void)state;
	print_message("VMFERRY_SEED=%lu\n", seed);
	for (tried = 0; now_ns() < until && bad < BAD_MAX; tried++) {
		struct fault one, other;
		unsigned order;

		random_state = next++;
		order = draw(4), order = draw(ORDER_COUNT);
		one = (struct fault){draw(points), 1 + draw(WHAT_COUNT - 1)};
		other = (struct fault){one.at + draw(60), draw(WHAT_COUNT)};
		bad += !try(order, one, other, &(unsigned){0});
	}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void the_one_that_was_named(void **state)
{
	unsigned order = 0, points;
	struct fault one = none, other = none;

	(void)state;
	alone = true;
	sscanf(getenv("VMFERRY_BOTH"), "%u,%u:%u,%u:%u", &order, &one.at, (unsigned *)&one.what, &other.at, (unsigned *)&other.what);
	assert_true(try(order, one, other, &points));
}

static int setup(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* one goes on at a time */
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return -1;
	both = &w->b;
	snprintf(dir, sizeof(dir), "%s/vmferry-both-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return -1;
	snprintf(door_path, sizeof(door_path), "%s-door", dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", door_path);
	door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return bind(door, (struct sockaddr *)&at, sizeof(at)) || listen(door, ACTORS_MAX);
}

static int teardown(void **state)
{
	(void)state;
	begin();
	rmdir(both->state[0]), rmdir(both->state[1]), rmdir(both->runtime[0]), rmdir(both->runtime[1]);
	unlink(door_path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest named[] = {cmocka_unit_test(the_one_that_was_named)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hand_off_ends_at_the_destination_in_every_order),
		cmocka_unit_test(one_fault_at_any_point_leaves_one_guest),
		cmocka_unit_test(up_to_two_faults_in_any_order_leave_one_guest),
	};

	if (getenv("VMFERRY_BOTH"))
		return cmocka_run_group_tests(named, setup, teardown);
	return cmocka_run_group_tests(tests, setup, teardown);
}
