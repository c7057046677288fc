/*
 * err.h: one error object, filled once where a failure is understood, prefixed on the way up.
 *
 * A function that can fail takes a `struct err *` (never NULL) and returns 0 or -errno.
 */
#ifndef VMFERRY_ERR_H
#define VMFERRY_ERR_H

#define ERR_MAX 1024

struct err {
	int code;	   /* positive errno; 0: no error */
	char msg[ERR_MAX]; /* always UTF-8, one line without control characters */
};

/* Sets the error and returns -code. Overwrites what was there. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same as err_set, with ": strerror(code)" appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of the message and returns -e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
