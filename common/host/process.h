/*
 * process.h: a process identified so that a reused pid cannot be mistaken for it: by pid and start time together.
 *
 * Journals keep both; code that checks on or ends a QEMU later goes through here.
 */
#ifndef VMFERRY_PROCESS_H
#define VMFERRY_PROCESS_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/PID/stat: clock ticks since boot. 0, or -errno (-ESRCH: no such process).
 * Zombies have one too. */
int process_start_time(pid_t pid, uint64_t *out);
/* The start time by the clock that files have, in seconds since 1970; it is as wrong as that clock. */
time_t process_started_at(uint64_t start_time);
/* 0: it has none that we can see, or is gone. */
pid_t process_parent(pid_t pid);
/* True if it is stopped by SIGSTOP or the like: state T of proc_pid_stat(5). A process in a debugger has another state. */
bool process_is_stopped(pid_t pid);
/* Same pid, same start time, and not a zombie; true, too, if that cannot be told. */
bool qemu_is_alive(pid_t pid, uint64_t start_time);
/*
 * SIGKILL, by pidfd, if pid still is the process of that start time; waits at most timeout_ms until
 * it is gone and reaps it when it is our child. 0 also when it was gone before; -ETIMEDOUT, -EPERM, or what keeps it from being told.
 * Blocks the calling thread.
 */
int process_end(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);

/*
 * Sends SIGSTOP, and waits at most timeout_ms until every thread of it is stopped: from then on it does nothing more. 0 also when
 * it is gone; -ETIMEDOUT, -EPERM. Blocks the calling thread.
 */
int process_hold(pid_t pid, uint64_t start_time, unsigned timeout_ms, struct err *e);
/* True if every thread of it is stopped, as by SIGSTOP; false, too, if that cannot be told. */
bool process_is_held(pid_t pid, uint64_t start_time);

/* True if the process was sent that signal and has not acted on it, as one that is held does not. */
bool process_awaits_signal(pid_t pid, int signal);

/* The output of a program that was run to its end, of both streams, cut to what fits; status: that of exit(3), 128 + N after signal N. */
struct process_output {
	int status;
	char text[8192];
};
/*
 * Runs argv (ends with NULL; argv[0] is looked up in PATH) to its end, without a terminal or standard input, with default
 * signals. -ETIMEDOUT: it was killed after timeout_ms, with all of its process group. Blocks the calling thread.
 */
int process_run(char *const *argv, unsigned timeout_ms, struct process_output *out, struct err *e);
/* A process (not ourselves, and not but) that has this file open; 0: none that we may see, or there is no such file; -1: that cannot be
 * told. */
pid_t process_that_opened(const char *path, pid_t but);
bool process_has_open(pid_t pid, const char *path);
/*
 * True if a process may run a guest from this image: it is ours and has the file open in any way (QEMU opens an image for writing only when
 * a device wants to), or it is another user's and has it open for writing. Another user's process that only reads a public file does not
 * count.
 */
bool process_may_run_from(pid_t pid, const char *path);
/* Words for a sentence: "process 12", or, of -1, "a process that cannot be told"; malloc'ed. */
char *process_text(pid_t pid);
/* A process that may run a guest from the image (not ourselves, and neither of those two); 0 and -1: as above. */
pid_t process_that_may_run_from(const char *path, pid_t but, pid_t nor);
/* True if we can see which files the process has open. */
bool process_shows_files(pid_t pid);
/* True if a unix socket is bound to that path, as it was bound, in the network namespace of the process; true, too, if it cannot be
 * told. */
bool process_may_have_socket(pid_t pid, const char *path);
/* True if the process has the socket that is bound to that path, and listens there if it is a stream's, and no other process has one there
 * (a later one has taken over the name). A socket bound to a relative path counts if the end is the same. A forged socket name with
 * newlines cannot cause a yes, but may cause a no. */
bool process_has_socket(pid_t pid, const char *path);
/* True if the process has a connection that it has taken at that path, or at one with the same end. */
bool process_serves_client(pid_t pid, const char *path);
/* The absolute path of a stream socket on which the process listens (as process_has_socket()), whose last component is base; malloc'ed,
 * NULL: none. */
char *process_socket_called(pid_t pid, const char *base);
/* Bytes of a process's memory that are resident; 0 if it cannot be told. */
uint64_t process_resident_bytes(pid_t pid);
/*
 * Opens /dev/null onto each of descriptors 0, 1 and 2 that is closed, for us and for every program that we start. Call this first in
 * main(), as the next file opened would get that number, and be used as if it were a terminal. A standard output that was closed still
 * cannot be written to (EBADF), so that nothing sent there counts as written. 0 or -errno.
 */
int process_open_standard(void);
/* Keeps everyone but root from reading our memory, by ptrace or from a core dump, from now on. Programs that we start are not affected. */
void process_keep_to_itself(void);
/* The owner of a process: us, or the first of its real, effective, saved and file system users who is not us (a setuid program also belongs
 * to its caller, who chose its arguments). 0, or -errno. */
int process_user(pid_t pid, uid_t *out);
/*
 * Whether it is our user's, and in our pid and user namespaces: uid 0 of a container is not root of this host, and what it calls process 12
 * or /dev/sda is another. A mount namespace of its own (a unit with PrivateTmp, `ip netns exec`) does not make it another's: see
 * process_sees(). 1, 0, or -errno: that cannot be told.
 */
int process_is_ours(pid_t pid);
/* True if the process is in our network namespace; true, too, if that cannot be told. */
bool process_shares_network(pid_t pid);
/* True if the file that has this (absolute) name is the same one to the process as to us; false, too, if that cannot be told. */
bool process_sees(pid_t pid, const char *path);
/* Bytes of our own anonymous memory that are resident (RssAnon); 0 if it cannot be told. */
uint64_t own_rss_anon(void);

/* The id of this boot (/proc/sys/kernel/random/boot_id, no newline); NULL if it cannot be read. The caller frees it. */
char *boot_id(void);
/* True if id is that of the present boot; false, too, if that cannot be told. */
bool is_this_boot(const char *id);
/* Threads of a process that run, or wait for a processor alone; 0 if it cannot be told. */
unsigned process_runnable_threads(pid_t pid);
/* The time that the present threads of a process have run, and have waited for a processor, in all; 0: unknown. */
void process_times(pid_t pid, uint64_t *ran_ns, uint64_t *waited_ns);
/* The number of processors that we may run on; 1 if it cannot be told. */
unsigned own_processors(void);

#endif
