/*
 * qemu-calls.h: the calls of QEMU's own functions that give it a QMP monitor, as machine code that runs in its main thread by itself.
 *
 * Which functions these are, and what they take, is a row for each range of versions that was tried. The code asks whether the thread holds QEMU's big
 * lock (then it does nothing), takes that lock, makes a listening socket and a monitor on it, lets go, writes down how far it came, restores every register
 * that a system call leaves alone, and goes back to where the thread waited, as if that wait had run out. It needs nobody for that: whoever put it
 * there may die.
 */
#ifndef VMFERRY_QEMU_CALLS_H
#define VMFERRY_QEMU_CALLS_H

#include "err.h"
#include "exe-symbols.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

/* The progress of the code, in the first word of its data. */
enum calls_state {
	CALLS_NOT_BEGUN,
	CALLS_WAIT,	  /* waiting for QEMU's lock */
	CALLS_WORK,	  /* working, with the lock */
	CALLS_LOCKED,	  /* over: the thread held the lock already, nothing was done */
	CALLS_TOLD_TO_GO, /* over: it got the lock too late, nothing was done */
	CALLS_NO_SOCKET,  /* over: QEMU did not make the socket, and said why in its log */
	CALLS_NO_MONITOR, /* over: the socket is there, and no monitor on it */
	CALLS_DONE,	  /* over */
};

/* The data page: the code reads and writes it, and the tracer does. */
struct calls_data {
	uint32_t state;	   /* enum calls_state */
	uint32_t give_up;  /* not 0: what has not begun is not to begin */
	uint64_t chardev;  /* address that QEMU returned */
	char where[16];	   /* file name, in QEMU's profile, of who takes the lock */
	char label[64];	   /* label of the character device */
	char socket[512];  /* options of the socket */
	char monitor[256]; /* options of the object, where a monitor is one */
};

/* Addresses in one QEMU. */
struct qemu_calls {
	bool is_object; /* a monitor is one */
	uint64_t is_locked, lock, unlock, new_chardev, new_monitor;
	uint64_t main_loop, main_loop_bytes; /* address and size of main_loop_wait() */
	int version[3];
};

/* -ENOTSUP: a QEMU of a version that is not known, or a program that lacks one of the functions. */
int qemu_calls_find(struct qemu_calls *c, const struct exe_symbols *s, struct err *e);
/* Fills *d. -ENAMETOOLONG; -EINVAL: the path is relative, or has a control character. */
int qemu_calls_fill(const struct qemu_calls *c, struct calls_data *d, const char *socket_path, unsigned number, struct err *e);
#define CALLS_CODE_MAX 1024
/* Writes the code for a thread that waits in a system call with these registers; data: where struct calls_data is in its memory. Returns
 * the bytes, 0: not on this machine. */
size_t qemu_calls_code(const struct qemu_calls *c, const struct user_regs_struct *waits, uint64_t data, uint8_t out[CALLS_CODE_MAX]);
/* True once the code has come to its end, whichever. */
bool calls_state_is_over(uint32_t state);

#endif
