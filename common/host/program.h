/*
 * program.h: starts programs, which get nothing of the agent's but what the caller gives them.
 *
 * Once an agent is confined (confine.h) its children are, too, and QEMU, ssh and their helpers must not be. So it has a *launcher*: a
 * process that was forked before the first byte of a peer was read, which only starts programs on requests over a socket, and ends with
 * the agent. Without a launcher programs are children of the caller.
 */
#ifndef VMFERRY_PROGRAM_H
#define VMFERRY_PROGRAM_H

#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

#define PROGRAM_INHERITED 5		    /* the lowest descriptor that is inherited */
#define PROGRAM_BYTES_MAX (4 * 1024 * 1024) /* size of a program's words */

enum program_how {
	PROGRAM_OWN_SESSION = 1 << 0,	    /* setsid(2) */
	PROGRAM_OWN_GROUP = 1 << 1,	    /* setpgid(2) */
	PROGRAM_AT_ROOT = 1 << 2,	    /* the program's directory is / */
	PROGRAM_OUTLIVES_TERMINAL = 1 << 4, /* signals from the terminal are ignored, except Ctrl-C */
	PROGRAM_INHERITS =
		1 << 5, /* descriptors from PROGRAM_INHERITED on are inherited, unless exec(2) closes them; only without a launcher */
	PROGRAM_MANY_FILES = 1 << 6,   /* number of open files is raised to the hard limit: a chain of images may be long */
	PROGRAM_DIES_WITH_US = 1 << 3, /* program is killed when the thread that started it has ended, or the agent that has the launcher */
};

/* Called in the new process before its program begins: 0, or -errno, and it does not. */
typedef int (*program_before_fn)(void *ctx);

struct program {
	const char *file;  /* looked up in PATH, unless it has a slash */
	char *const *argv; /* ends with NULL, as env does */
	char *const *env;  /* NULL: ours */
	int fd[3];	   /* become 0, 1 and 2 (-1: ours); it has no others */
	int gate;   /* a pipe: it begins once a byte is there, and never if there is none before the other end is closed; -1: at once */
	int report; /* a pipe, to which a struct program_failure is written if it cannot begin; -1: it says so itself, and ends with 127 */
	unsigned how;
	program_before_fn before; /* NULL: none; -ENOTSUP of one that a launcher would start */
	void *before_ctx;
};

#define PROGRAM_NONE ((struct program){.fd = {-1, -1, -1}, .gate = -1, .report = -1})

struct program_failure {
	int code; /* errno */
	char step[32];
};

/* Makes a pipe whose ends programs only get if they are given to them. */
int program_pipe(int *read_end, int *write_end, struct err *e);
/* The path names a program that we may run: not a directory, which X_OK of access(2) is true of, too. */
bool program_is_runnable(const char *path);
/* The path of a program that lies beside this one, or else in PATH; beside this one if it is nowhere. malloc'ed. */
char *program_beside(const char *name);
/* Starts a program, with default signals and none blocked. Its pid, or -errno. Any thread. */
pid_t program_start(const struct program *p);
/* Does the same as program_start() for a program without gate and report, but returns -errno, too, if it cannot begin. */
pid_t program_begin(const struct program *p);
/* Does the same as waitpid(2) with WNOHANG, whichever process is the parent: pid, 0 while it runs, or -errno. */
pid_t program_wait(pid_t pid, int *status);
/* Does the same as program_wait(), but waits for the end. */
pid_t program_wait_end(pid_t pid, int *status);

/*
 * Begins a launcher, which starts our programs from now on. Call this while there is one thread, and no secret in memory. as_ours: programs
 * are our children nevertheless; not for an agent that forks others. A second call does nothing.
 */
int launcher_begin(bool as_ours, struct err *e);
/* Raises our limit of open files to the hard limit: a guest with many disks needs some thousand. Programs that we start get the limit that
 * we began with. */
void program_take_files(void);
/* True if that process is (or was) our launcher. */
bool launcher_is(pid_t pid);
/* Begins a launcher for a process that was forked from one with a launcher; it ends with the new process. */
int launcher_begin_another(struct err *e);

#endif
