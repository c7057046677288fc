/*
 * test-both-conductors.c: the hand-off of both agents, each with its own code from the end of the copy on, over a control channel and with
 * journals, against QEMUs that are played: in many orders of what happens, with a fault at every point. And with a disk from the beginning
 * of the copy on, over data channels: a bulk round, one of what the guest writes meanwhile, and the last one after its stop, read from an
 * NBD server that is played (both/disk.c) and written to an image.
 * timeout: 900
 *
 * Agents and QEMUs are processes, so that their deaths, SIGSTOP, locks and connections are the kernel's; but only one of them goes on at a
 * time, and of an agent one thread. It gives its turn back where it would wait for anything (loop_step, loop_run, poll), and time is a
 * number, which grows when nobody has anything to do. A point is where an agent is about to do what others see, or to wait: there a fault
 * can strike. What must be true is looked at at every one; and at the end the guest runs at one place, and codes and journals say where.
 * One that is shut down has no QEMU: there it is its script that has its name at one place.
 *
 * VMFERRY_BOTH=ORDER,PAUSE,CARRIED,HOW,POINT:FAULT[,POINT:FAULT[,POINT:TURNS]] (as a failure prints it) runs one alone, with the agents'
 * logs. VMFERRY_SEED begins the pairs of faults elsewhere; LONG tries more.
 */
#include "both/both.h"
#include "err.h"
#include "journal.h"
#include "json-message.h"
#include "log.h"
#include "loop.h"
#include "process.h"
#include "program.h"
#include "qmp.h"
#include "systemd.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ACTORS_MAX	 48
#define TURNS_MAX	 60000
#define TRACE_MAX	 4096
#define HANG_MS		 10000
#define TURN_NS		 10000
#define NOBODY		 65534
#define JUMP_MAX_MS	 1000
#define WALK_MAX	 64
#define WALK		 8 /* turns */
#define WALK_LONG	 20
#define WALK_STEP	 4
#define WALK_AFTER	 5
#define WALK_AFTER_GATE	 3   /* with a disk */
#define BAD_MAX		 3   /* enough to look at */
#define HEARD		 2   /* turns in which QEMU's word has come */
#define ROOM_AFTER	 3   /* sessions whose journal is full */
#define SLOW		 3   /* in one of so many turns a disk does what it was asked for */
#define THREADS_MAX	 4   /* threads of an agent */
#define DISK_STRIDE	 149 /* one of so many faults and walks with a disk runs, as each takes a while */
#define DISK_STRIDE_GATE 260 /* one of so many walks with two choices of turns or more runs in the gate */
#define DISK_STRIDE_LONG 11
#define PAIRS		 150
#define PAIRS_LONG_MS	 120000

enum kind { SRC, SRC_THREAD, GUARD, RECOVER, DST_FIRST, DST_THREAD, DST_AGAIN, DST_START, DST_SETTLE };

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
	/* the agents, the guard and QEMU, for good; in the end a person says so to the other side (--peer-is-fenced) */
	SRC_HOST_DIES,
	DST_HOST_DIES,
	DST_HOST_IS_NEW,     /* the same, but it is set up anew, and answers */
	SRC_DIES_MISTAKENLY, /* as SRC_DIES_UNGUARDED, but a person vouches for a destination that lives */
	SIGCONT_HELD,	     /* somebody's, to the source QEMU after COMMITTED */
	SIGCONT_AND_CONT,    /* SIGCONT and another client's `cont`: the guest runs twice, and we may end neither copy */
	CONT_DESTINATION,    /* somebody's, before START */
	LOSES_CONT,	     /* an agent's `cont` */
	ANSWERS_NO_CONT,
	GOES_DEAF,
	REFUSES_CONT,
	JOURNAL_IS_FULL, /* from this write on, until a person makes room */
	JOURNAL_IS_TORN, /* this write fails, and a part of it is there */
	JOURNAL_LIES,	 /* this write fails, but all of it is there */
	/* with a disk */
	NBD_IS_CUT,
	DATA_IS_CUT,
	DISK_CANNOT_BE_READ,
	DISK_CANNOT_BE_WRITTEN,
	DISK_IS_FULL,
	DISK_CANNOT_BE_SYNCED,
	/* with a guest that is shut down */
	SRC_HOST_IS_DOWN, /* for a while, and a person has the copy started meanwhile */
	WHAT_COUNT
};

/* The faults of a QEMU, which a guest that is shut down does not have. */
#define OF_A_QEMU (1U << SRC_QEMU_DIES | 1U << DST_QEMU_DIES | 1U << CONT)

static bool anywhere(const char *at);
static bool where_it_is_held(const char *at);
static bool where_it_waits(const char *at);
static bool where_it_sends_cont(const char *at);
static bool where_it_writes(const char *at);
static bool where_it_reads_the_disk(const char *at);
static bool where_it_carries(const char *at);
static bool where_it_writes_the_disk(const char *at);
static bool where_it_syncs_the_disk(const char *at);
static bool where_it_is_shut_down(const char *at);

/* fits: may it strike where an agent is about to do that? Otherwise it does at the next such point. */
static const struct {
	const char *name;
	bool (*fits)(const char *at);
} whats[WHAT_COUNT] = {
	[NOTHING] = {"nothing", anywhere},
	[CUT] = {"cut", anywhere},
	[SRC_DIES] = {"src-dies", anywhere},
	[SRC_DIES_UNGUARDED] = {"src-dies-unguarded", anywhere},
	[DST_DIES] = {"dst-dies", anywhere},
	[DST_IS_GONE] = {"dst-is-gone", anywhere},
	[SRC_QEMU_DIES] = {"src-qemu-dies", anywhere},
	[DST_QEMU_DIES] = {"dst-qemu-dies", anywhere},
	[CONT] = {"cont", anywhere},
	[CANCEL] = {"cancel", anywhere},
	[SRC_HOST_DIES] = {"src-host-dies", anywhere},
	[DST_HOST_DIES] = {"dst-host-dies", anywhere},
	[DST_HOST_IS_NEW] = {"dst-host-is-new", anywhere},
	[SRC_DIES_MISTAKENLY] = {"src-dies-and-the-destination-is-called-dead", anywhere},
	[SIGCONT_HELD] = {"sigcont", where_it_is_held},
	[SIGCONT_AND_CONT] = {"sigcont-and-cont", where_it_is_held},
	[CONT_DESTINATION] = {"cont-at-the-destination", where_it_waits},
	[LOSES_CONT] = {"loses-cont", where_it_sends_cont},
	[ANSWERS_NO_CONT] = {"answers-no-cont", where_it_sends_cont},
	[GOES_DEAF] = {"goes-deaf", where_it_sends_cont},
	[REFUSES_CONT] = {"refuses-cont", where_it_sends_cont},
	[JOURNAL_IS_FULL] = {"journal-is-full", where_it_writes},
	[JOURNAL_IS_TORN] = {"journal-is-torn", where_it_writes},
	[JOURNAL_LIES] = {"journal-lies", where_it_writes},
	[NBD_IS_CUT] = {"nbd-is-cut", where_it_reads_the_disk},
	[DATA_IS_CUT] = {"data-is-cut", where_it_carries},
	[DISK_CANNOT_BE_READ] = {"disk-cannot-be-read", where_it_reads_the_disk},
	[DISK_CANNOT_BE_WRITTEN] = {"disk-cannot-be-written", where_it_writes_the_disk},
	[DISK_IS_FULL] = {"disk-is-full", where_it_writes_the_disk},
	[DISK_CANNOT_BE_SYNCED] = {"disk-cannot-be-synced", where_it_syncs_the_disk},
	[SRC_HOST_IS_DOWN] = {"src-host-is-down-and-the-copy-is-started", where_it_is_shut_down},
};

/* How turns are given. */
enum order { IN_TURN, SOURCE_FIRST, DESTINATION_FIRST, AT_RANDOM, ORDER_COUNT };

struct actor {
	enum kind kind;
	pid_t pid;
	sem_t go;
	enum { FREE, READY, DONE, DIED } state;
	int code;
	bool restless;	      /* the actor has something to do, whatever happens */
	unsigned long idle;   /* since when: news(); 0: it is not */
	unsigned turns_since; /* 1 + since somebody resumed the guest at the destination while this agent was there; 0: nobody did */
};

static struct world {
	struct both b;
	struct actor actors[ACTORS_MAX];
	unsigned actor_count;
	sem_t back;
	unsigned points; /* points that were passed so far */
	struct fault {
		unsigned at;
		enum what what;
	} faults[2];
	unsigned struck[2]; /* 1 + where they did */
	unsigned long qemu_idle[2];
	unsigned long io;    /* things that were sent, received or closed */
	unsigned long jumps; /* jumps that time has made */
	bool killed[2];	     /* QEMUs, by a fault */
	bool host_dead[2];
	bool vouched;		    /* for the destination, by a person */
	bool down;		    /* the source's host, which a person who is at the destination takes for dead */
	bool full[2];		    /* journals */
	enum what write;	    /* fate of the next write */
	bool lazy;		    /* the destination's disk: a sync takes longer than all else that there is to be done */
	int disk_error;		    /* error of the next request to the destination's disk; 0: none */
	bool walks;		    /* turns end at every point */
	bool lied;		    /* the last one */
	enum handoff_state died_in; /* the destination's */
	bool cut, gone, unguarded, src_died;
	unsigned connects, sessions, connects_when_full;
	unsigned long waited_at; /* activity when an agent waited last */
	char trace[TRACE_MAX][48];
	unsigned fit[TRACE_MAX]; /* a bit a fault */
} * w;

struct both *both;
uint8_t *both_disk;
void (*both_tick)(void);
bool both_threads;

static __thread struct actor *me; /* NULL: the driver, or a thread that takes no turns */
static __thread bool thread_ends;
static int control_fd = -1, data_fd = -1; /* connections of this agent */
static struct doorway {
	int fd;
	char path[100];
} door, data_door;
static char dir[64];
static bool alone;
static const char *here = "";		 /* the point */
static unsigned long random_state, seed; /* seed of a run: nothing else differs between runs */

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
	const struct both_qemu *q = &both->qemu[side];

	return !q->dead && (side == SOURCE || both->how != WARM || q->launched);
}

static bool runs(unsigned side)
{
	if (both->how == COLD)
		return both->qemu[side].runs && !w->host_dead[side];
	return both->qemu[side].runs && lives(side) && !both->qemu[side].held;
}

static struct both_qemu *qemu_of(pid_t pid)
{
	return pid == both->qemu[SOURCE].pid ? &both->qemu[SOURCE] : pid == both->qemu[DESTINATION].pid ? &both->qemu[DESTINATION] : NULL;
}

/* The scripts of one that is shut down. */
static void look_at(unsigned side)
{
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];
	struct both_qemu *q = &both->qemu[side];
	bool was = q->runs;

	q->runs = !access(both->script[side], F_OK);
	if (!q->runs || was)
		return;
	if (side == SOURCE && src != HO_SRC_BEGUN && src != HO_SRC_ABORTED)
		both_violation("it may be started at the source in %s", handoff_state_name(src));
	if (side == DESTINATION && ((src != HO_SRC_COMMITTED && src != HO_SRC_RELEASED && !both->fenced) ||
				    (dst != HO_DST_START && dst != HO_DST_STARTED && dst != HO_DST_DONE)))
		both_violation("it may be started at the destination in %s, and the source is in %s", handoff_state_name(dst),
			       handoff_state_name(src));
	q->ran |= side == DESTINATION;
}

/* The guest must run at one side only, unless others used QEMU's monitor or signals, or a person vouched for the other side's end. */
static void look(void)
{
	const struct both_qemu *s = &both->qemu[SOURCE], *d = &both->qemu[DESTINATION];

	if (both->how == COLD) {
		look_at(SOURCE);
		look_at(DESTINATION);
	}
	if (runs(SOURCE) && runs(DESTINATION) && !s->woken && !d->woken)
		both_violation("the guest runs at both sides");
	if (s->ran && d->ran && !s->woken && !both->fenced)
		both_violation("the guest has run at both sides since the copy");
}

/* ---- faults ---- */

#define WRITES	    "writes to its journal"
#define WRITES_DISK "writes to the disk"
#define SYNCS_DISK  "brings the disk to stable storage"
#define ENDS	    "ends a QEMU"
#define WAITS	    "waits"

/* ThreadSanitizer's: it would have each of thousands of processes sleep for a second at its end. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

/* Threads of an agent take turns by the driver's word, a process that ThreadSanitizer does not see. */
static void meet_other_threads(void)
{
	static unsigned turns;

	__atomic_fetch_add(&turns, 1, __ATOMIC_ACQ_REL);
}

static void yield_turn(void)
{
	meet_other_threads();
	sem_post(&w->back);
	while (sem_wait(&me->go))
		;
	meet_other_threads();
}

static unsigned my_side(void)
{
	return me->kind <= RECOVER ? SOURCE : DESTINATION;
}

static bool where_it_writes(const char *at)
{
	return !strcmp(at, WRITES);
}

static bool anywhere(const char *at)
{
	return !where_it_writes(at); /* the agent does other things right before and after that */
}

static bool where_it_reads_the_disk(const char *at)
{
	return !strcmp(at, WAITS) && me->kind == SRC_THREAD;
}

static bool where_it_carries(const char *at)
{
	return !strcmp(at, WAITS) && (me->kind == SRC_THREAD || me->kind == DST_THREAD);
}

static bool where_it_writes_the_disk(const char *at)
{
	return !strcmp(at, WRITES_DISK);
}

static bool where_it_syncs_the_disk(const char *at)
{
	return !strcmp(at, SYNCS_DISK);
}

static bool where_it_is_shut_down(const char *at)
{
	return both->how == COLD && anywhere(at);
}

/* True where the source's QEMU is held, except when it was checked and is about to be ended. */
static bool where_it_is_held(const char *at)
{
	return anywhere(at) && strcmp(at, ENDS) && lives(SOURCE) && both->qemu[SOURCE].held && both->journal[SOURCE] == HO_SRC_COMMITTED;
}

static bool where_it_waits(const char *at)
{
	enum handoff_state s = both->journal[DESTINATION];

	return anywhere(at) && lives(DESTINATION) && (s == HO_DST_BEGUN || s == HO_DST_PREPARED);
}

static bool where_it_sends_cont(const char *at)
{
	return !strcmp(at, "cont");
}

int __real_kill(pid_t pid, int signal);

static void wait_for_death(pid_t pid)
{
	siginfo_t info;
	uint64_t start;
	char path[32], stat[512];
	int fd;
	ssize_t n;
	const char *p;

	if (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT)) /* a child of ours */
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

static void kill_actors(bool source, bool guard)
{
	bool suicide = false;
	unsigned i;

	for (i = 0; i < w->actor_count; i++) {
		struct actor *a = &w->actors[i];

		if (a->state != READY || (a->kind == GUARD && !guard) || (a->kind <= RECOVER) != source)
			continue;
		a->state = DIED;
		both->activity++;
		if (source && a->kind == SRC)
			w->src_died = true;
		if (a->pid == getpid()) {
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
	both->activity++;
	if (side == DESTINATION) /* once it has been looked at for the last time nobody can tell when it died */
		w->died_in = strcmp(here, "before-DST_START") ? both->journal[DESTINATION] : HO_DST_START;
	kill(both->qemu[side].pid, SIGKILL);
	wait_for_death(both->qemu[side].pid);
}

static bool wait_back(sem_t *sem, pid_t pid);

/* A number that changes with each event: an actor that had nothing to do has nothing to do until it changes. */
static unsigned long news(void)
{
	return 1 + both->activity + w->io + w->jumps;
}

static void step_qemu(unsigned side)
{
	struct both_qemu *q = &both->qemu[side];

	if (q->dead || q->held)
		return;
	sem_post(&q->go);
	if (wait_back(&q->back, q->pid))
		both->activity += q->busy;
	w->qemu_idle[side] = q->busy ? 0 : news();
}

/* In a monitor of its own; one that is held hears it when it is let go. */
static void send_cont(unsigned side)
{
	static const char words[] = "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"system_reset\"}\n{\"execute\": \"cont\"}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", both->qemu[side].path);
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)) && send(fd, words, strlen(words), MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	step_qemu(side);
}

static void let_go(void)
{
	struct both_qemu *q = &both->qemu[SOURCE];

	__real_kill(q->pid, SIGCONT);
	q->held = false;
	q->let_go = true;
}

static void cancel(void)
{
	unsigned i;

	for (i = 0; i < w->actor_count; i++)
		if (w->actors[i].state == READY && w->actors[i].kind == SRC)
			kill(w->actors[i].pid, SIGTERM);
}

static void cont_destination(void)
{
	unsigned i;

	for (i = 0; i < w->actor_count; i++)
		if (w->actors[i].kind > RECOVER)
			w->actors[i].turns_since = 1;
	send_cont(DESTINATION);
}

static void empty(const char *path);

/* Never both. */
static void host_dies(unsigned side)
{
	if (w->host_dead[!side])
		return;
	w->host_dead[side] = both->fenced = true;
	kill_qemu(side);
	kill_actors(side == SOURCE, true);
}

/* The destination's host is new: nothing is left of QEMU there, and no agent knows anything. */
static void host_is_new(void)
{
	if (w->host_dead[SOURCE] || w->host_dead[DESTINATION])
		return;
	w->vouched = both->fenced = true;
	kill_qemu(DESTINATION);
	empty(both->state[DESTINATION]);
	kill_actors(false, false);
}

/* The source agent does, and its guard with it. */
static void die_unguarded(bool mistaken)
{
	w->vouched |= mistaken;
	w->unguarded = true;
	both->qemu[SOURCE].unread = true;
	kill_actors(true, false);
}

/* A person may vouch for what is down, and it comes up again. */
static void host_is_down(void)
{
	if (w->host_dead[SOURCE] || w->host_dead[DESTINATION] || w->down)
		return;
	w->down = both->fenced = true;
	kill_actors(true, true);
}

static void strike_disk(enum what what)
{
	if (what == NBD_IS_CUT)
		both->disk.cut = true;
	else if (what == DISK_CANNOT_BE_READ)
		both->disk.bad = true;
	else
		w->disk_error = what == DISK_IS_FULL ? ENOSPC : EIO;
}

static void strike(enum what what)
{
	static const int conts[] = {[LOSES_CONT] = CONT_LOST,
				    [ANSWERS_NO_CONT] = CONT_RAN_UNANSWERED,
				    [GOES_DEAF] = CONT_RAN_DEAF,
				    [REFUSES_CONT] = CONT_REFUSED};

	switch (what) {
	case NOTHING:
	case WHAT_COUNT:
		return;
	case CUT:
		w->cut = true;
		return;
	case SRC_DIES_MISTAKENLY:
	case SRC_DIES_UNGUARDED:
		die_unguarded(what == SRC_DIES_MISTAKENLY);
		return;
	case SRC_DIES:
	case DST_DIES:
		kill_actors(what == SRC_DIES, false);
		return;
	case DST_IS_GONE:
		w->gone = !w->vouched; /* a vouching that is wrong stands if the host cannot be reached */
		kill_actors(false, false);
		return;
	case SRC_HOST_DIES:
	case DST_HOST_DIES:
		host_dies(what == SRC_HOST_DIES ? SOURCE : DESTINATION);
		return;
	case DST_HOST_IS_NEW:
		host_is_new();
		return;
	case SRC_HOST_IS_DOWN:
		host_is_down();
		return;
	case SRC_QEMU_DIES:
	case DST_QEMU_DIES:
		kill_qemu(what == SRC_QEMU_DIES ? SOURCE : DESTINATION);
		return;
	case CONT:
		send_cont(SOURCE);
		return;
	case SIGCONT_HELD:
	case SIGCONT_AND_CONT:
		let_go();
		if (what == SIGCONT_AND_CONT)
			send_cont(SOURCE);
		return;
	case CONT_DESTINATION:
		cont_destination();
		return;
	case LOSES_CONT:
	case ANSWERS_NO_CONT:
	case GOES_DEAF:
	case REFUSES_CONT:
		both->qemu[my_side()].cont = conts[what];
		return;
	case JOURNAL_IS_FULL:
		w->full[my_side()] = true;
		w->connects_when_full = w->connects;
		return;
	case JOURNAL_IS_TORN:
	case JOURNAL_LIES:
		w->write = what;
		return;
	case CANCEL:
		cancel();
		return;
	case DATA_IS_CUT:
		shutdown(data_fd, SHUT_RDWR);
		return;
	case NBD_IS_CUT:
	case DISK_CANNOT_BE_READ:
	case DISK_CANNOT_BE_WRITTEN:
	case DISK_CANNOT_BE_SYNCED:
	case DISK_IS_FULL:
		strike_disk(what);
		return;
	}
}

static const char *const kind_names[] = {"src",	       "src-thread", "guard",	  "recover",   "dst",
					 "dst-thread", "dst-again",  "dst-start", "dst-settle"};

static void note_point(unsigned n, const char *name)
{
	unsigned what;

	if (n >= TRACE_MAX)
		return;
	snprintf(w->trace[n], sizeof(w->trace[n]), "%s: %s", kind_names[me->kind], name);
	for (what = 0; what < WHAT_COUNT; what++)
		w->fit[n] |= whats[what].fits(name) ? 1U << what : 0;
	if (both->how == COLD)
		w->fit[n] &= ~OF_A_QEMU;
}

/* Here a fault may strike. */
static void point(const char *name)
{
	unsigned n, i;

	if (!me || both->begun < 2)
		return;
	n = w->points++;
	here = name;
	note_point(n, name);
	look();
	for (i = 0; i < ARRAY_LEN(w->faults); i++)
		if (w->faults[i].what && w->faults[i].at <= n && !w->struck[i] && whats[w->faults[i].what].fits(name)) {
			w->struck[i] = n + 1;
			strike(w->faults[i].what);
		}
	if (w->cut && control_fd >= 0) {
		w->cut = false;
		shutdown(control_fd, SHUT_RDWR);
	}
	both->activity++;
	if (w->walks && strcmp(name, WAITS))
		yield_turn();
}

/* ---- an agent's turn ---- */

static void give_turn_back(void)
{
	if (both->activity != w->waited_at)
		point(WAITS);
	w->waited_at = both->activity;
	if (me->turns_since && both->qemu[DESTINATION].woken)
		me->turns_since++;
	yield_turn();
}

uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
int __real_loop_step(struct loop *l, uint64_t ms, struct err *e);
int __wrap_loop_step(struct loop *l, uint64_t ms, struct err *e);
int __real_poll(struct pollfd *p, nfds_t n, int ms);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __real_close(int fd);
int __wrap_close(int fd);
void __real_loop_post(struct loop *l, struct task *t);
void __wrap_loop_post(struct loop *l, struct task *t);
int __real_loop_run(struct loop *l, struct err *e);
int __wrap_loop_run(struct loop *l, struct err *e);
void __real_loop_stop(struct loop *l);
void __wrap_loop_stop(struct loop *l);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __real_pthread_join(pthread_t id, void **ret);
int __wrap_pthread_join(pthread_t id, void **ret);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
bool __wrap_fault_point(const char *name, ...);
int __real_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e);
int __wrap_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e);
int __real_journal_state(struct journal *j, enum handoff_state s, struct err *e);
int __wrap_journal_state(struct journal *j, enum handoff_state s, struct err *e);
int __real_pwrite_all(int fd, const void *p, size_t n, off_t at);
int __wrap_pwrite_all(int fd, const void *p, size_t n, off_t at);
int __real_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail);
int __wrap_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail);
int __real_handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e);
int __wrap_handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e);
int __real_process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __wrap_process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __wrap_kill(pid_t pid, int signal);
int __real_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
int __wrap_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);

pid_t __wrap_program_start(const struct program *p);
char **__wrap_systemd_scope(const char *unit, const char *description, struct err *e);

uint64_t __wrap_now_ns(void)
{
	return me ? both->now_ns : __real_now_ns();
}

static bool is_thread(void)
{
	return me->kind == SRC_THREAD || me->kind == DST_THREAD;
}

int __wrap_loop_step(struct loop *l, uint64_t ms, struct err *e)
{
	if (!me)
		return __real_loop_step(l, ms, e);
	if (both_tick && !is_thread())
		both_tick();
	give_turn_back();
	return __real_loop_step(l, 0, e);
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	uint64_t until = both->now_ns + (uint64_t)MAX(ms, 0) * 1000000;
	int r;

	if (!me || (n && !is_thread())) { /* for a process to end, say, which needs no turn for that */
		r = __real_poll(p, n, ms);
		w->io += me && r > 0;
		return r;
	}
	while (!(r = __real_poll(p, n, 0)) && ms) {
		give_turn_back();
		if (both->now_ns >= until)
			break;
	}
	both->activity += r > 0 && is_thread();
	w->io += r > 0;
	return r;
}

/* Counts sends, as others may wait for them. */
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
	ssize_t r = __real_send(fd, p, n, flags);

	w->io += r > 0;
	return r;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t r = __real_sendmsg(fd, msg, flags);

	w->io += r > 0;
	return r;
}

int __wrap_shutdown(int fd, int how)
{
	w->io++;
	return __real_shutdown(fd, how);
}

int __wrap_close(int fd)
{
	if (w)
		w->io++;
	return __real_close(fd);
}

void __wrap_loop_post(struct loop *l, struct task *t)
{
	w->io++;
	__real_loop_post(l, t);
}

/* ---- its threads ---- */

static struct thread {
	pthread_t id;
	struct actor *actor;
	void *(*run)(void *arg);
	void *arg;
} threads[THREADS_MAX];
static unsigned thread_count;

/* Works until no more can be done with the input so far. */
static int work(struct loop *l, struct err *e)
{
	unsigned long before, begun = both->activity;
	unsigned idle = 0;
	int r = 0;

	while (!thread_ends && !r && idle < 2) { /* each step may begin work that the next one does */
		before = both->activity;
		r = __real_loop_step(l, 0, e);
		idle = both->activity == before ? idle + 1 : 0;
	}
	if (both->activity != begun)
		point(WAITS);
	return r;
}

int __wrap_loop_run(struct loop *l, struct err *e)
{
	int r = 0;

	if (!me)
		return __real_loop_run(l, e);
	while (!thread_ends && !r) {
		r = work(l, e);
		if (!thread_ends)
			yield_turn();
	}
	return r;
}

void __wrap_loop_stop(struct loop *l)
{
	thread_ends = true;
	__real_loop_stop(l);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	me = t->actor;
	while (sem_wait(&me->go))
		;
	meet_other_threads();
	t->run(t->arg);
	me->state = DONE;
	both->activity++;
	meet_other_threads();
	sem_post(&w->back);
	return NULL;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	struct thread *t = &threads[thread_count];
	struct actor *a = &w->actors[w->actor_count];
	int r;

	if (!both_threads)
		return __real_pthread_create(id, attr, run, arg);
	if (w->actor_count == ACTORS_MAX - 1 || thread_count == THREADS_MAX)
		abort();
	w->actor_count++;
	thread_count++;
	a->kind = me->kind == SRC ? SRC_THREAD : DST_THREAD;
	a->pid = me->pid;
	sem_init(&a->go, 1, 0);
	*t = (struct thread){.actor = a, .run = run, .arg = arg};
	r = __real_pthread_create(id, attr, run_thread, t);
	t->id = *id;
	a->state = READY;
	return r;
}

int __wrap_pthread_join(pthread_t id, void **ret)
{
	unsigned i;

	for (i = 0; i < thread_count; i++)
		while (threads[i].id == id && threads[i].actor->state == READY)
			give_turn_back();
	return __real_pthread_join(id, ret);
}

/* ---- the destination's disk ---- */

/* True: the disk has not completed the request yet. */
static bool is_slow(void)
{
	me->restless = draw(SLOW) != 0;
	return me->restless;
}

/* True: the disk has not completed a sync yet; it may once time has gone on. */
static bool is_lazy(void)
{
	static unsigned long since; /* 1 + the jumps when the sync was asked for; 0: none was */

	if (!since)
		since = 1 + w->jumps;
	if (w->lazy ? w->jumps < since : is_slow())
		return true;
	since = 0;
	return false;
}

/* -1: this request fails. */
static int disk_point(const char *name)
{
	point(name);
	errno = w->disk_error;
	w->disk_error = 0;
	return errno ? -1 : 0;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (!me || me->kind != DST_THREAD)
		return __real_pwrite(fd, p, n, at);
	if (is_slow()) {
		errno = EAGAIN;
		return -1;
	}
	both->disk.unsynced = true;
	return disk_point(WRITES_DISK) ? -1 : __real_pwrite(fd, p, n, at);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
	if (!me || me->kind != DST_THREAD)
		return __real_fallocate(fd, mode, at, n);
	if (is_slow()) {
		errno = EAGAIN;
		return -1;
	}
	both->disk.unsynced = true;
	return disk_point(WRITES_DISK) ? -1 : __real_fallocate(fd, mode, at, n);
}

int __wrap_fdatasync(int fd)
{
	if (!me || me->kind != DST_THREAD)
		return __real_fdatasync(fd);
	if (is_lazy()) {
		errno = EAGAIN;
		return -1;
	}
	if (disk_point(SYNCS_DISK))
		return -1;
	both->disk.unsynced = false;
	return 0;
}

/* ---- what an agent does that others see ---- */

bool __wrap_fault_point(const char *name, ...)
{
	char text[48];
	va_list args;

	va_start(args, name);
	vsnprintf(text, sizeof(text), name, args);
	va_end(args);
	if (!strcmp(text, "no-io-uring"))
		return true;							/* no rings: thousands of agents begin and end */
	both->qemu[DESTINATION].launched |= !strcmp(text, "dst-qemu-launched"); /* until the gate is open it ends with its agent */
	point(text);
	return false;
}

int __wrap_qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e)
{
	point(command);
	return __real_qmp_call(q, command, args, ret, e);
}

/* Another state becomes durable; with a lie it does, and nobody knows. */
int __wrap_journal_state(struct journal *j, enum handoff_state s, struct err *e)
{
	int r;

	/* in a later life the source's word has been asked for: a guest that runs here, and nowhere else, stays */
	if ((s == HO_DST_PREPARED || s == HO_DST_START) && me->kind == DST_FIRST && me->turns_since > HEARD)
		both_violation("the guest was resumed by somebody else, the agent has heard so, and enters %s", handoff_state_name(s));
	if (s == HO_DST_PREPARED && both->carried)
		both_disk_check("PREPARED is journaled", true);
	w->lied = false;
	r = __real_journal_state(j, s, e);
	if (!r || w->lied) {
		both->journal[my_side()] = s;
		both->qemu[DESTINATION].ran |=
			s == HO_DST_STARTED; /* whichever client resumed the guest, and even if it is to stay paused */
	}
	return r;
}

int __wrap_pwrite_all(int fd, const void *p, size_t n, off_t at)
{
	enum what what;
	int r;

	point(WRITES);
	if (w->full[my_side()])
		return -ENOSPC;
	what = w->write;
	w->write = NOTHING;
	r = __real_pwrite_all(fd, p, what == JOURNAL_IS_TORN ? n / 4 : n, at);
	w->lied = what == JOURNAL_LIES;
	return what ? -EIO : r;
}

/* Only what is durable is said; but that the guest has been taken back may be, and that what was made of it there has gone. */
static void check_said(enum handoff_state said)
{
	enum handoff_state durable = both->journal[my_side()];
	bool aborted = (said == HO_SRC_ABORTED && durable == HO_SRC_BEGUN) || (said == HO_DST_ABORTED && durable == HO_DST_BEGUN);

	if (said != durable && said != HO_NONE && !aborted)
		both_violation("%s is said, and in the journal is %s", handoff_state_name(said), handoff_state_name(durable));
}

int __wrap_handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail)
{
	char text[48];

	check_said((enum handoff_state)state);
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
		q->held = true, q->let_go = false;
	return r;
}

int __wrap_kill(pid_t pid, int signal)
{
	struct both_qemu *q = qemu_of(pid);

	if (q && signal == SIGCONT)
		q->held = false;
	if (q && signal == SIGKILL) /* the simulated QEMU may wait at its gate */
		q->dead = true;
	return __real_kill(pid, signal);
}

/* A QEMU is ended only when another copy may live. */
int __wrap_process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e)
{
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];
	struct both_qemu *q = qemu_of(pid);
	int r;

	point(ENDS);
	if (pid == both->qemu[SOURCE].pid && lives(SOURCE) && (!both->qemu[DESTINATION].ran || runs(SOURCE)))
		both_violation("the source QEMU%s is ended in %s, and the destination, in %s, has %s the guest",
			       runs(SOURCE) ? ", which runs," : "", handoff_state_name(src), handoff_state_name(dst),
			       both->qemu[DESTINATION].ran ? "run" : "never run");
	if (pid == both->qemu[DESTINATION].pid && lives(DESTINATION) && !both->qemu[DESTINATION].woken &&
	    (both->qemu[DESTINATION].ran || src == HO_SRC_RELEASED ||
	     (!lives(SOURCE) && src == HO_SRC_COMMITTED && !both->qemu[DESTINATION].cont_failed)))
		both_violation("the destination QEMU is ended in %s, and the source is in %s", handoff_state_name(dst),
			       handoff_state_name(src));
	r = __real_process_end(pid, start_time, timeout_ms, e);
	if (q && !r)
		q->dead = true;
	return r;
}

/* The destination's QEMU, which is there, but nobody could know of it. Whoever starts one opens a gate for it, and is told by the end of a
 * pipe that it has passed. */
pid_t __wrap_program_start(const struct program *p)
{
	fcntl(p->gate, F_DUPFD_CLOEXEC, 3); /* somebody reads it */
	point("launches its QEMU");
	return both->qemu[DESTINATION].pid;
}

char **__wrap_systemd_scope(const char *unit, const char *description, struct err *e)
{
	(void)unit, (void)description;
	e->code = 0;
	return NULL;
}

static int knock(const struct doorway *at)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", at->path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		abort();
	return fd;
}

int both_reach(void)
{
	point("reaches for the destination");
	if (w->gone || w->host_dead[DESTINATION])
		return -1;
	control_fd = knock(&door);
	w->connects++;
	return control_fd;
}

int both_accept(void)
{
	control_fd = accept4(door.fd, NULL, NULL, SOCK_CLOEXEC);
	return control_fd;
}

int both_reach_data(void)
{
	data_fd = knock(&data_door);
	return data_fd;
}

int both_accept_data(void)
{
	data_fd = accept4(data_door.fd, NULL, NULL, SOCK_CLOEXEC);
	return data_fd;
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
		return src_recover(w->vouched || w->host_dead[DESTINATION]);
	case DST_FIRST:
	case DST_AGAIN:
		return dst_session(kind == DST_FIRST);
	case DST_START:
		return dst_start();
	case DST_SETTLE:
		return dst_settle(w->host_dead[SOURCE] || w->down);
	case SRC_THREAD:
	case DST_THREAD:
		break;
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

/* A child that crashes dies: cmocka's handlers would make it a second driver. */
static void crash_alone(void)
{
	static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
	unsigned i;

	for (i = 0; i < ARRAY_LEN(signals); i++)
		signal(signals[i], SIG_DFL);
}

static struct actor *spawn(enum kind kind)
{
	struct actor *a = &w->actors[w->actor_count];
	sigset_t set;
	pid_t pid;

	if (w->actor_count == ACTORS_MAX - 1) {
		both_violation("agents are begun again and again");
		return a;
	}
	w->actor_count++;
	a->kind = kind;
	a->state = READY;
	sem_init(&a->go, 1, 0);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid) {
		a->pid = pid;
		return a;
	}
	crash_alone();
	me = a;
	a->pid = getpid();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	silence();
	while (sem_wait(&a->go))
		;
	a->code = live(kind);
	if (kind == GUARD || kind == SRC)
		both->qemu[SOURCE].unread = true;
	if (kind == SRC && !both->guard_dismissed)
		w->src_died = true; /* the guard sees that the source died */
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

	if (both->how == COLD) {
		q->dead = true;
		return;
	}
	sem_init(&q->go, 1, 0);
	sem_init(&q->back, 1, 0);
	snprintf(q->path, sizeof(q->path), "%s/qemu-%u", dir, side);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		crash_alone();
		both_qemu(side);
	}
	q->pid = pid;
	process_start_time(pid, &q->start_time);
	wait_back(&q->back, pid);
}

static void step(struct actor *a)
{
	unsigned long before = news();
	unsigned i;

	a->restless = false;
	sem_post(&a->go);
	wait_back(&w->back, a->pid);
	a->idle = a->restless || news() != before ? 0 : before;
	if (a->state != DIED && (a->state != DONE || a->kind == SRC_THREAD || a->kind == DST_THREAD))
		return;
	waitpid(a->pid, NULL, 0);
	for (i = 0; i < w->actor_count; i++) /* threads of the agent */
		if (w->actors[i].pid == a->pid && w->actors[i].state == READY)
			w->actors[i].state = DIED;
}

/* ---- a run ---- */

static void spawn_who_is_needed(void)
{
	if (w->connects > w->connects_when_full + ROOM_AFTER)
		w->full[DESTINATION] = false;
	for (; w->sessions < w->connects && !w->host_dead[DESTINATION]; w->sessions++)
		spawn(w->sessions ? DST_AGAIN : DST_FIRST);
	if (w->src_died && !w->unguarded && !w->host_dead[SOURCE] && both->how != COLD) {
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

/*
 * Every order of the turns that follow a point, so many of them, one a run; before and after that it is as without. These turns end at
 * points, too. One in which nothing happens is none: the next is tried after it.
 */
static struct walk {
	unsigned from, depth;
	unsigned at;   /* this run has chosen so many */
	unsigned next; /* to be tried */
	struct {
		unsigned choice, width;
		unsigned active; /* a bit for each in whose turn something happens */
	} node[WALK_MAX + 1];
	bool known; /* such a run was there before */
} walk;

static bool walks(void)
{
	return walk.at < walk.depth && both->begun == 2 && w->points >= walk.from;
}

/* False: there was every one. */
static bool next_walk(void)
{
	unsigned i;

	for (i = walk.at + 1; i <= WALK_MAX; i++)
		walk.node[i].choice = walk.node[i].active = 0;
	for (;;) {
		walk.node[walk.at].choice = walk.node[walk.at].active = 0;
		if (!walk.at--)
			return false;
		if (++walk.node[walk.at].choice < walk.node[walk.at].width)
			return true;
	}
}

static bool is_idle(unsigned which, struct actor *list[ACTORS_MAX])
{
	if (which < 2)
		return both->qemu[which].dead || both->qemu[which].held || w->qemu_idle[which] == news();
	return list[which - 2]->idle == news();
}

static bool all_are_idle(struct actor *list[ACTORS_MAX], unsigned n)
{
	unsigned i;

	for (i = 0; i < n + 2; i++)
		if (!is_idle(i, list))
			return false;
	return true;
}

static void give_turn_to(unsigned which, struct actor *list[ACTORS_MAX])
{
	if (which < 2)
		step_qemu(which);
	else
		step(list[which - 2]);
}

static void walk_on(unsigned long turn, struct actor *list[ACTORS_MAX], unsigned n)
{
	unsigned choice = walk.node[walk.at].choice, active = walk.node[walk.at].active, which;
	unsigned long before = both->activity;

	walk.node[walk.at].width = n + 2;
	while (walk.next < choice && active & 1U << walk.next)
		walk.next++;
	which = walk.next++;
	if (which >= n + 2 && active) {
		walk.known = true;
		return;
	}
	if (which < n + 2 && is_idle(which, list))
		return;
	give_turn_to(which < n + 2 ? which : (unsigned)(turn % (n + 2)), list); /* the turn may change nothing until time goes on */
	if (both->activity == before)
		return;
	walk.next = 0;
	if (which < n + 2) {
		walk.node[walk.at].choice = which;
		walk.node[walk.at++].active |= 1U << which;
	}
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
	while (is_idle(which, list))
		which = (which + 1) % (n + 2);
	give_turn_to(which, list);
}

/* Until all agents have ended. */
static void run(enum order order)
{
	struct actor *list[ACTORS_MAX];
	unsigned long turn, seen = 0, jump_ms = 1;
	unsigned n;

	for (turn = 0; !both->violation[0] && !walk.known; turn++) {
		spawn_who_is_needed();
		n = ready(list);
		if (!n)
			return;
		if (turn > TURNS_MAX)
			both_violation("it does not come to an end");
		w->walks = walks();
		both->now_ns += TURN_NS;
		if (all_are_idle(list, n)) {
			jump_ms = both->activity == seen ? MIN(2 * jump_ms, JUMP_MAX_MS) : 1;
			seen = both->activity;
			both->now_ns += jump_ms * 1000000;
			w->jumps++;
		} else if (w->walks) {
			walk_on(turn, list, n);
		} else {
			give_turn(order, turn, list, n);
		}
		look();
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
		if (unlinkat(dirfd(d), x->d_name, 0))
			unlinkat(dirfd(d), x->d_name, AT_REMOVEDIR);
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
	snprintf(both->disk.image, sizeof(both->disk.image), "%s/disk", both->state[DESTINATION]);
}

/* A script, which is what starts it. */
static void begin_cold(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		AUTO_FREE char *path = xasprintf("%s/guest.sh", both->state[i]);

		snprintf(both->script[i], sizeof(both->script[i]), "%s", path);
	}
	close(open(both->script[SOURCE], O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
	look();
}

/* Closes every connection that waits at that door. */
static void shut_out(const struct doorway *at)
{
	int fd;

	while ((fd = accept(at->fd, NULL, NULL)) >= 0)
		close(fd);
}

static void end(void)
{
	unsigned i;

	for (i = 0; i < w->actor_count; i++) {
		if (w->actors[i].state == READY && w->actors[i].pid > 0)
			kill(w->actors[i].pid, SIGKILL);
		waitpid(w->actors[i].pid, NULL, 0);
	}
	for (i = 0; i < 2; i++) {
		if (both->qemu[i].pid <= 0)
			continue;
		kill(both->qemu[i].pid, SIGKILL);
		waitpid(both->qemu[i].pid, NULL, 0);
	}
	shut_out(&door);
	shut_out(&data_door);
}

/* True if the guest is at that side, running or paused. */
static bool has(unsigned side)
{
	enum handoff_state s = both->journal[side];

	if (!both->pause)
		return runs(side);
	if (side == SOURCE)
		return lives(side) && !both->qemu[side].held && (s == HO_SRC_BEGUN || s == HO_SRC_ABORTED);
	return lives(side) && (s == HO_DST_STARTED || s == HO_DST_DONE);
}

static bool struck_by(enum what what)
{
	return (w->struck[0] && w->faults[0].what == what) || (w->struck[1] && w->faults[1].what == what);
}

/* True if the guest may be paused at the source, and a person was told: it was paused before the move, or its QEMU did not obey or did not
 * answer. */
static bool paused_at_source(int code)
{
	return code == 5 && (both->qemu[SOURCE].cont_failed || both->pause == PAUSED_LATE) && lives(SOURCE) && !both->qemu[SOURCE].held;
}

static const char *states(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s, %s", handoff_state_name(both->journal[SOURCE]), handoff_state_name(both->journal[DESTINATION]));
	return text;
}

static void judge_both_alive(int code)
{
	bool s = has(SOURCE) || paused_at_source(code), d = has(DESTINATION);

	if (s == d)
		both_violation("the guest is nowhere (%s)", states());
	if ((has_journal(SOURCE) && !w->host_dead[SOURCE]) || (has_journal(DESTINATION) && !w->host_dead[DESTINATION]))
		both_violation("a journal is left (%s)", states());
	if (lives(s ? DESTINATION : SOURCE))
		both_violation("the guest is at one side, and the other QEMU is still there");
	if (s && code != -1 && code != 1 && code != 4 && !paused_at_source(code))
		both_violation("the guest is at the source, and the exit code is %d", code);
	if (d && code != -1 && code != 0)
		both_violation("the guest is at the destination, and the exit code is %d", code);
}

static void judge_one_dead(void)
{
	bool s = has(SOURCE) || both->qemu[SOURCE].cont_failed, d = has(DESTINATION), ran = both->qemu[DESTINATION].ran;
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];

	if (!w->killed[DESTINATION] && !d && !both->qemu[DESTINATION].woken && !both->qemu[DESTINATION].cont_failed &&
	    (ran || src == HO_SRC_COMMITTED || src == HO_SRC_RELEASED))
		both_violation("the guest is nowhere, though its source QEMU died in %s", states());
	if (!w->killed[SOURCE] && !s && !ran && (w->died_in != HO_DST_START || w->vouched))
		both_violation("the guest is nowhere, though it never ran at the destination (%s)", states());
	if (w->host_dead[SOURCE] && !w->killed[DESTINATION] && (has_journal(DESTINATION) || dst == HO_DST_PREPARED || dst == HO_DST_START))
		both_violation("a person's word changes nothing at the destination (%s)", states());
	if (w->host_dead[DESTINATION] && (has_journal(SOURCE) || (lives(SOURCE) && !s && src != HO_SRC_RELEASED)))
		both_violation("a person's word changes nothing at the source (%s)", states());
}

/* A side without a journal must have left nothing to undo. */
static void judge_disk(void)
{
	AUTO_FREE char *temp = xasprintf("%s.vmferry-01000000", both->disk.image);
	enum handoff_state dst = both->journal[DESTINATION];

	if (lives(SOURCE) && !has_journal(SOURCE) && !w->host_dead[SOURCE] && both->disk.ours)
		both_violation("of ours %u bitmaps, exports and servers are left in the source QEMU", both->disk.ours);
	if (has_journal(DESTINATION) || w->host_dead[DESTINATION] || struck_by(DST_HOST_IS_NEW))
		return;
	if (dst == HO_DST_STARTED || dst == HO_DST_DONE)
		both_disk_check("the guest is at the destination", true);
	if (dst == HO_DST_ABORTED && !access(both->disk.image, F_OK))
		both_violation("the image is left at the destination");
	if (!access(temp, F_OK))
		both_violation("the image is left under a name of the move's");
}

/* A name in that directory which begins so. */
static bool is_left(unsigned side, const char *name)
{
	DIR *d = opendir(both->state[side]);
	bool found = false;
	struct dirent *x;

	while (d && (x = readdir(d)))
		found |= !strncmp(x->d_name, name, strlen(name));
	closedir(d);
	return found;
}

/* Checks for leftovers of the QEMU that a warm move starts. */
static void judge_warm(void)
{
	if (!has_journal(DESTINATION) && !w->host_dead[DESTINATION] && !struck_by(DST_HOST_IS_NEW) &&
	    (is_left(DESTINATION, ".guest.sh") || is_left(DESTINATION, ".vmferry-")))
		both_violation("a draft of its script, or a hidden directory, is left at the destination (%s)", states());
}

/* Exactly one script must have its name, and no other file may look like one. */
static void judge_cold(int code)
{
	bool there_is_gone = w->host_dead[DESTINATION] || struck_by(DST_HOST_IS_NEW);
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];

	look();
	if ((has_journal(SOURCE) && !w->host_dead[SOURCE]) || (has_journal(DESTINATION) && !w->host_dead[DESTINATION]))
		both_violation("a journal is left (%s)", states());
	if (!runs(SOURCE) && !runs(DESTINATION) && !w->host_dead[SOURCE] && !(there_is_gone && src == HO_SRC_RELEASED))
		both_violation("nothing starts it any more (%s)", states());
	if (w->host_dead[SOURCE] && (dst == HO_DST_PREPARED || dst == HO_DST_START))
		both_violation("a person's word changes nothing at the destination (%s)", states());
	if (!w->host_dead[DESTINATION] && is_left(DESTINATION, ".guest.sh"))
		both_violation("a draft of its script is left at the destination (%s)", states());
	if (!w->host_dead[SOURCE] && is_left(SOURCE, "guest.sh.moved") != (src == HO_SRC_RELEASED))
		both_violation("its script is set aside at the source, or is not (%s)", states());
	if (!w->host_dead[SOURCE] && ((code == 0 && !runs(DESTINATION) && !there_is_gone) || ((code == 1 || code == 4) && !runs(SOURCE))))
		both_violation("the exit code is %d (%s)", code, states());
}

/* All is over, and who recovers has been there. code: the source's last word; -1: it died when nothing was left to be done. */
static void judge(int code)
{
	bool s = has(SOURCE) || paused_at_source(code), ran = both->qemu[DESTINATION].ran;

	if (both->how == COLD) {
		judge_cold(code);
		return;
	}
	if (w->host_dead[SOURCE])
		code = -1; /* the exit code before that */
	if (w->killed[SOURCE] || w->killed[DESTINATION])
		judge_one_dead();
	else
		judge_both_alive(code);
	if ((code == 0 && !ran) || ((code == 1 || code == 4 || code == 5 || code == 8) && ran && !both->fenced))
		both_violation("the exit code is %d, and the guest %s at the destination", code, ran ? "was" : "never was");
	if ((code == 1 || code == 4) && !s && !w->killed[SOURCE])
		both_violation("the exit code is %d, and the guest is not at the source", code);
	if (code == 8 && lives(SOURCE))
		both_violation("the exit code is 8, and its QEMU lives");
	if (both->carried)
		judge_disk();
	if (both->how == WARM)
		judge_warm();
	if (both->pause && !struck_by(CONT) && !struck_by(SIGCONT_AND_CONT) && !struck_by(CONT_DESTINATION) &&
	    (both->qemu[SOURCE].runs || both->qemu[DESTINATION].runs))
		both_violation("a guest that was paused runs");
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

/* Recovers on both hosts, as an operator does. *code stays unless the source returns another one. */
static void settle(enum order order, int *code)
{
	struct actor *src;
	unsigned i;

	if (walk.known)
		return;
	w->gone = w->full[SOURCE] = w->full[DESTINATION] = false;
	if (!both->violation[0] && has_journal(DESTINATION) && !w->host_dead[DESTINATION]) {
		spawn(DST_START);
		run(order);
	}
	if (!both->violation[0] && w->down && has_journal(DESTINATION)) {
		spawn(DST_SETTLE);
		run(order);
	}
	w->down = false;
	/* the recovering agents may be struck, too */
	for (i = 0; i < 3 && !both->violation[0] && has_journal(SOURCE) && !w->host_dead[SOURCE] && !walk.known; i++) {
		w->gone = w->full[SOURCE] = w->full[DESTINATION] = false;
		src = spawn(RECOVER);
		run(order);
		*code = code_of(src);
	}
	for (i = 0; i < 3 && !both->violation[0] && has_journal(DESTINATION) && !w->host_dead[DESTINATION]; i++) {
		w->full[DESTINATION] = false;
		spawn(DST_SETTLE);
		run(order);
	}
}

/* Lets a person decide if two copies live, or if no host knows what became of one. False: nothing is to be decided. */
static bool decide(void)
{
	struct both_qemu *s = &both->qemu[SOURCE], *d = &both->qemu[DESTINATION];

	if (both->violation[0] || walk.known)
		return false;
	if (w->host_dead[SOURCE] || w->host_dead[DESTINATION]) /* since the last word of the other side */
		return has_journal(w->host_dead[SOURCE] ? DESTINATION : SOURCE);
	if (!has_journal(SOURCE))
		return false;
	if (s->woken && lives(SOURCE)) {
		if (s->held)
			both_violation("the source QEMU, which somebody has let go on, is held again");
		kill_qemu(SOURCE);
		return true;
	}
	if (d->woken && !d->ran && lives(DESTINATION)) {
		kill_qemu(DESTINATION);
		return true;
	}
	if (w->killed[DESTINATION] && w->died_in == HO_DST_START && !d->ran)
		w->vouched = true;
	return w->vouched;
}

/* The scene that is played. */
struct scene {
	enum both_pause pause;
	enum both_carried carried;
	enum both_how how;
};

static bool wavers; /* as both->wavers */

static void print_run(enum order order, struct scene scene, int code, bool good)
{
	const struct fault *one = &w->faults[0], *other = &w->faults[1];
	char choices[WALK_MAX + 1] = "";
	unsigned i;

	for (i = 0; i < walk.at; i++)
		choices[i] = (char)('0' + walk.node[i].choice);
	for (i = 0; i < MIN(w->points, TRACE_MAX); i++)
		print_message("  %3u %s%s%s\n", i, w->trace[i], w->struck[0] == i + 1 ? "   <- here" : "",
			      w->struck[1] == i + 1 ? "   <- and here" : "");
	if (seed)
		print_message("VMFERRY_SEED=%lu ", seed);
	print_message("VMFERRY_BOTH=%u,%u,%u,%u,%u:%u,%u:%u,%u:%s (%s, %s): %s; code %d\n", order, scene.pause, scene.carried, scene.how,
		      one->at, one->what, other->at, other->what, walk.from, choices, whats[one->what].name, whats[other->what].name,
		      good ? "good" : both->violation, code);
}

/* Plays a single run, and prints where it failed. points: the number of points that it passed. */
static bool try(enum order order, struct scene scene, struct fault one, struct fault other, unsigned *points)
{
	struct actor *src;
	int code;
	bool good;

	begin();
	walk.at = walk.next = 0;
	walk.known = false;
	random_state = 7 + order + one.at * 31 + other.at * 1009 + seed * 7919;
	both->pause = scene.pause;
	both->carried = scene.carried;
	both->wavers = wavers;
	both->how = scene.how;
	w->lazy = (order + seed + one.at) % 2;
	if (scene.carried)
		both_disk_begin();
	if (scene.how == COLD)
		begin_cold();
	w->faults[0] = one;
	w->faults[1] = other;
	spawn_qemu(SOURCE);
	spawn_qemu(DESTINATION);
	src = spawn(SRC);
	run(order);
	*points = w->points;
	code = walk.known ? -1 : code_of(src);
	settle(order, &code);
	if (decide())
		settle(order, &code);
	if (walk.known) {
		end();
		return true;
	}
	if (!both->violation[0])
		judge(code);
	good = !both->violation[0];
	if (!good || alone)
		print_run(order, scene, code, good);
	end();
	return good;
}

/* ---- the tests ---- */

static const struct fault none;
static const struct scene plain = {RAN_BEFORE, NO_DISK, LIVE};

static void a_hand_off_ends_at_the_destination_in_every_order(void **state)
{
	unsigned order, pause, points;

	(void)state;
	for (order = 0; order < ORDER_COUNT; order++)
		for (pause = RAN_BEFORE; pause <= PAUSED_LATE; pause++) {
			assert_true(try(order, (struct scene){pause, NO_DISK, LIVE}, none, none, &points));
			assert_int_equal(both->journal[SOURCE], HO_SRC_RELEASED);
			assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
			assert_int_equal(both->qemu[DESTINATION].runs, !pause);
		}
}

/* QEMU's state, which comes with its device state, is the first to tell so. */
static void a_guest_that_an_error_stopped_stays_at_the_source(void **state)
{
	unsigned order, points;

	(void)state;
	for (order = 0; order < ORDER_COUNT; order++) {
		assert_true(try(order, (struct scene){BROKEN_LATE, NO_DISK, LIVE}, none, none, &points));
		assert_int_equal(both->journal[SOURCE], HO_SRC_ABORTED);
		assert_false(both->qemu[DESTINATION].ran);
		assert_false(both->qemu[SOURCE].runs);
	}
}

static void a_guest_that_is_shut_down_is_handed_over_in_every_order(void **state)
{
	unsigned order, how, points;

	(void)state;
	for (order = 0; order < ORDER_COUNT; order++)
		for (how = WARM; how <= COLD; how++) {
			assert_true(try(order, (struct scene){RAN_BEFORE, NO_DISK, how}, none, none, &points));
			assert_int_equal(both->journal[SOURCE], HO_SRC_RELEASED);
			assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
			assert_true(both->qemu[DESTINATION].runs);
		}
}

/* Every order has a round while the guest ran and a round after its stop; in every other run the guest could not be stopped at once. */
static void a_disk_arrives_as_the_guest_left_it_in_every_order(void **state)
{
	unsigned order, carried, points, i, times = getenv("LONG") ? 100 : 2;

	(void)state;
	for (i = 0; i < times; i++)
		for (order = i ? AT_RANDOM : 0; order < ORDER_COUNT; order++)
			for (carried = DISK; carried <= DISK_AND_OPAQUE; carried++) {
				seed = i;
				wavers = true;
				assert_true(try(order, (struct scene){RAN_BEFORE, carried, LIVE}, none, none, &points));
				wavers = false;
				assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
				assert_true(try(order, (struct scene){RAN_BEFORE, carried, LIVE}, none, none, &points));
				assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
				assert_true(both->disk.rounds > 2);
				assert_true(try(order, (struct scene){PAUSED_BEFORE, carried, LIVE}, none, none, &points));
				assert_int_equal(both->journal[DESTINATION], HO_DST_DONE);
			}
	seed = 0;
}

/* In the gate a third or less is tried of what all of is with ALL_STEPS set (make check-all, mutants, campaigns). */
static bool all_steps(void)
{
	return getenv("LONG") || getenv("ALL_STEPS");
}

static unsigned thinned(unsigned stride)
{
	return all_steps() ? stride : 3 * stride;
}

/* Every one of these faults (a bit each) at every point, or each stride'th, and how many runs that were. False: enough is bad. */
static bool try_each(enum order order, struct scene scene, unsigned of, unsigned stride, unsigned *tried, unsigned *bad)
{
	unsigned fit[TRACE_MAX], points, at, what, ignored, n = 0;

	*bad += !try(order, scene, none, none, &points);
	memcpy(fit, w->fit, sizeof(fit));
	for (at = 0; at < points; at++)
		for (what = CUT; what < WHAT_COUNT && *bad < BAD_MAX; what++)
			if (fit[at] & of & 1U << what && n++ % stride == 0) {
				*bad += !try(order, scene, (struct fault){at, what}, none, &ignored);
				++*tried;
			}
	return *bad < BAD_MAX;
}

static void one_fault_at_any_point_leaves_one_guest(void **state)
{
	static const unsigned of[] = {
		[RAN_BEFORE] = ~0U,
		[PAUSED_BEFORE] = 1U << SRC_DIES | 1U << DST_DIES,
		[PAUSED_LATE] = 1U << JOURNAL_IS_FULL | 1U << JOURNAL_IS_TORN | 1U << JOURNAL_LIES,
	};
	bool long_one = getenv("LONG");
	unsigned order, pause, tried = 0, bad = 0;

	(void)state;
	for (order = 0; order < (long_one ? ORDER_COUNT : 1); order++)
		for (pause = RAN_BEFORE; pause <= PAUSED_LATE; pause++)
			if (!try_each(order, (struct scene){pause, NO_DISK, LIVE}, long_one ? ~0U : of[pause], thinned(1), &tried, &bad))
				break;
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void one_fault_at_any_point_leaves_one_guest_that_is_shut_down(void **state)
{
	static const unsigned of_the_journal = 1U << JOURNAL_IS_FULL | 1U << JOURNAL_IS_TORN | 1U << JOURNAL_LIES;
	bool long_one = getenv("LONG");
	unsigned order, how, tried = 0, bad = 0;

	(void)state;
	for (order = 0; order < (long_one ? ORDER_COUNT : 1); order++)
		for (how = WARM; how <= COLD; how++) {
			struct scene scene = {RAN_BEFORE, NO_DISK, how};

			if (!try_each(order, scene, of_the_journal, thinned(1), &tried, &bad) ||
			    !try_each(order, scene, ~of_the_journal, long_one ? 1 : thinned(how == WARM ? 3 : 2), &tried, &bad))
				break;
		}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void one_fault_at_any_point_of_a_move_with_a_disk_leaves_one_guest(void **state)
{
	static const unsigned at_the_disk = 1U << DISK_CANNOT_BE_WRITTEN | 1U << DISK_IS_FULL | 1U << DISK_CANNOT_BE_SYNCED;
	bool long_one = getenv("LONG");
	unsigned order, carried, tried = 0, bad = 0;

	(void)state;
	for (order = 0; order < (long_one ? ORDER_COUNT : 1); order++)
		for (carried = DISK; carried <= DISK_AND_OPAQUE; carried++)
			if (!try_each(order, (struct scene){RAN_BEFORE, carried, LIVE}, at_the_disk, long_one ? 1 : thinned(2), &tried,
				      &bad) ||
			    !try_each(order, (struct scene){RAN_BEFORE, carried, LIVE}, ~at_the_disk,
				      long_one ? DISK_STRIDE_LONG : thinned(DISK_STRIDE), &tried, &bad))
				break;
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

/* Other pairs each time in the long one; what gates is the same each time. */
static void up_to_two_faults_in_any_order_leave_one_guest(void **state)
{
	bool long_one = getenv("LONG");
	uint64_t until = now_ns() + PAIRS_LONG_MS * 1000000ULL;
	unsigned long next = getenv("VMFERRY_SEED") ? strtoul(getenv("VMFERRY_SEED"), NULL, 10) : long_one ? now_ns() & 0xffffff : 1;
	unsigned points = 64, tried, bad = 0;

	(void)state;
	print_message("VMFERRY_SEED=%lu\n", next);
	for (tried = 0; (long_one ? now_ns() < until : tried < PAIRS) && bad < BAD_MAX; tried++) {
		struct fault one, other;
		struct scene scene;
		unsigned order;

		random_state = next++;
		order = draw(4), order = draw(ORDER_COUNT);
		scene.pause = draw(2) ? RAN_BEFORE : draw(PAUSED_LATE + 1);
		scene.carried = scene.pause != PAUSED_LATE && draw(4) == 0 ? draw(DISK_AND_OPAQUE + 1) : NO_DISK;
		scene.how = scene.pause || scene.carried || draw(2) ? LIVE : draw(2) ? WARM : COLD;
		one = (struct fault){draw(scene.carried ? 6 * points : points), 1 + draw(WHAT_COUNT - 1)};
		other = (struct fault){one.at + draw(60), draw(WHAT_COUNT)};
		bad += !try(order, scene, one, other, &(unsigned){0});
	}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

/* A full journal: the recovering agent reports that the held copy has not run, but cannot write that down. */
static void what_was_held_again_may_not_fit_into_the_journal(void **state)
{
	struct fault woken = {0, SIGCONT_HELD}, full = {0, JOURNAL_IS_FULL};
	unsigned points, i;

	(void)state;
	assert_true(try(IN_TURN, plain, none, none, &points));
	while (woken.at < points && strcmp(w->trace[woken.at], "src: after-SRC_COMMITTED"))
		woken.at++;
	assert_true(try(IN_TURN, plain, woken, none, &points));
	for (i = 0; i < w->points && !full.at; i++)
		if (!strcmp(w->trace[i], "recover: holds"))
			full.at = i + 1;
	assert_true(full.at);
	assert_true(try(IN_TURN, plain, woken, full, &points)); /* at the next write */
}

/* Returns how many. */
static unsigned walk_all(struct scene scene, struct fault fault, unsigned from, unsigned depth, unsigned *bad)
{
	unsigned tried = 0, ignored;

	walk = (struct walk){.from = from, .depth = depth};
	do {
		*bad += !try(IN_TURN, scene, fault, none, &ignored);
		tried += !walk.known;
	} while (*bad < BAD_MAX && next_walk());
	walk = (struct walk){.depth = 0};
	return tried;
}

static void every_order_of_turns_after_any_point_leaves_one_guest(void **state)
{
	bool long_one = getenv("LONG");
	unsigned points, from, how, tried = 0, bad = 0;

	(void)state;
	for (how = LIVE; how <= COLD; how++) {
		struct scene scene = {RAN_BEFORE, NO_DISK, how};

		assert_true(try(IN_TURN, scene, none, none, &points));
		for (from = 0; from < points; from += long_one ? 1 : thinned(WALK_STEP))
			tried += walk_all(scene, none, from, long_one ? WALK_LONG : WALK, &bad);
	}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

/* The source's QEMU dies as a round becomes durable: the destination's message arrives after the rollback. */
static void a_source_qemu_may_die_as_a_round_becomes_durable(void **state)
{
	struct scene scene = {RAN_BEFORE, DISK, LIVE};
	unsigned at[8], points, i, k, n = 0, bad = 0;

	(void)state;
	assert_true(try(IN_TURN, scene, none, none, &points));
	for (i = 0; i < points && n < ARRAY_LEN(at); i++)
		if (strstr(w->trace[i], "dst-not-durable"))
			at[n++] = i;
	assert_true(n > 2);
	for (i = 0; i < n; i++)
		for (k = 1; k < 4; k++)
			bad += !try(IN_TURN, scene, (struct fault){at[i] + k, SRC_QEMU_DIES}, none, &points);
	assert_int_equal(bad, 0);
}

static void every_order_of_turns_with_a_disk_leaves_one_guest(void **state)
{
	bool long_one = getenv("LONG");
	struct scene scene = {RAN_BEFORE, NO_DISK, LIVE};
	unsigned points, from, tried = 0, bad = 0;

	(void)state;
	for (scene.carried = long_one ? DISK : DISK_AND_OPAQUE; scene.carried <= DISK_AND_OPAQUE; scene.carried++) {
		assert_true(try(IN_TURN, scene, none, none, &points));
		for (from = 0; from < points; from += long_one ? DISK_STRIDE_LONG : all_steps() ? DISK_STRIDE : DISK_STRIDE_GATE)
			tried += walk_all(scene, none, from, all_steps() ? WALK_AFTER : WALK_AFTER_GATE, &bad);
	}
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void every_order_of_turns_after_a_fault_leaves_one_guest(void **state)
{
	unsigned fit[TRACE_MAX], points, at, what, tried = 0, bad = 0;

	(void)state;
	assert_true(try(IN_TURN, plain, none, none, &points));
	memcpy(fit, w->fit, sizeof(fit));
	for (at = 0; at < points; at++)
		for (what = CUT; what < WHAT_COUNT; what++)
			if (fit[at] & 1U << what)
				tried += walk_all(plain, (struct fault){at, what}, at, WALK_AFTER, &bad);
	print_message("%u runs\n", tried);
	assert_int_equal(bad, 0);
}

static void the_one_that_was_named(void **state)
{
	unsigned order = 0, points;
	struct scene scene = plain;
	struct fault one = none, other = none;
	char choices[WALK_MAX + 1] = "";

	(void)state;
	alone = true;
	seed = getenv("VMFERRY_SEED") ? strtoul(getenv("VMFERRY_SEED"), NULL, 10) : 0;
	sscanf(getenv("VMFERRY_BOTH"), "%u,%u,%u,%u,%u:%u,%u:%u,%u:%64s", &order, (unsigned *)&scene.pause, (unsigned *)&scene.carried,
	       (unsigned *)&scene.how, &one.at, (unsigned *)&one.what, &other.at, (unsigned *)&other.what, &walk.from, choices);
	for (walk.depth = 0; choices[walk.depth]; walk.depth++)
		walk.node[walk.depth].choice = (unsigned)(choices[walk.depth] - '0');
	assert_true(try(order, scene, one, other, &points));
}

static int open_door(struct doorway *at, const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(at->path, sizeof(at->path), "%s-%s", dir, name);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", at->path);
	at->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return bind(at->fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(at->fd, ACTORS_MAX);
}

static int setup(void **state)
{
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* one CPU, as one process runs at a time */
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w == MAP_FAILED)
		return -1;
	both = &w->b;
	both_disk = mmap(NULL, BOTH_DISK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (both_disk == MAP_FAILED)
		return -1;
	snprintf(dir, sizeof(dir), "%s/vmferry-both-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return -1;
	return open_door(&door, "control") || open_door(&data_door, "data");
}

static int teardown(void **state)
{
	(void)state;
	begin();
	rmdir(both->state[0]), rmdir(both->state[1]), rmdir(both->runtime[0]), rmdir(both->runtime[1]);
	unlink(door.path), unlink(data_door.path);
	return rmdir(dir);
}

/* Root may do more than most users of vmferry: what only root can would be missed here. */
static void become_nobody(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) || prctl(PR_SET_DUMPABLE, 1)))
		abort();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest named[] = {cmocka_unit_test(the_one_that_was_named)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hand_off_ends_at_the_destination_in_every_order),
		cmocka_unit_test(a_guest_that_an_error_stopped_stays_at_the_source),
		cmocka_unit_test(one_fault_at_any_point_leaves_one_guest),
		cmocka_unit_test(a_guest_that_is_shut_down_is_handed_over_in_every_order),
		cmocka_unit_test(one_fault_at_any_point_leaves_one_guest_that_is_shut_down),
		cmocka_unit_test(a_disk_arrives_as_the_guest_left_it_in_every_order),
		cmocka_unit_test(one_fault_at_any_point_of_a_move_with_a_disk_leaves_one_guest),
		cmocka_unit_test(a_source_qemu_may_die_as_a_round_becomes_durable),
		cmocka_unit_test(every_order_of_turns_with_a_disk_leaves_one_guest),
		cmocka_unit_test(what_was_held_again_may_not_fit_into_the_journal),
		cmocka_unit_test(up_to_two_faults_in_any_order_leave_one_guest),
		cmocka_unit_test(every_order_of_turns_after_any_point_leaves_one_guest),
	};
	const struct CMUnitTest long_ones[] = {cmocka_unit_test(every_order_of_turns_after_a_fault_leaves_one_guest)};
	int failed;

	become_nobody();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (getenv("VMFERRY_BOTH"))
		return cmocka_run_group_tests(named, setup, teardown);
	failed = cmocka_run_group_tests(tests, setup, teardown);
	return failed || !getenv("LONG") ? failed : cmocka_run_group_tests(long_ones, setup, teardown);
}
