/*
 * start-marks.h: whether a text starts a guest, whatever runs the text: a script, a command line, a table of programs. It does if it runs QEMU on a file of the
 * guest's (an image, the pidfile, a socket), or names a script that does. Nothing is run.
 */
#ifndef VMFERRY_START_MARKS_H
#define VMFERRY_START_MARKS_H

#include "guest-scripts.h"

#include <stdbool.h>
#include <sys/types.h>

struct start_marks {
	char **files; /* real paths: images, pidfiles, sockets */
	size_t count, image_count, pidfile_end;
	char *program;		      /* the last name of the guest's QEMU; NULL: unknown */
	struct guest_scripts scripts; /* found beside its files */
	const char *known;	      /* real path of a script that counts for nothing; NULL: none */
	char **idle;		      /* scripts that start nothing, with who runs them where and how far they were followed */
	size_t idle_count;
	unsigned read; /* scripts that the text in question leads to */
};

/* User and place by whom and in which a text is run. */
struct start_runner {
	const char *cwd;  /* NULL: unknown */
	uid_t user;	  /* besides root and ourselves the user whose scripts count */
	bool looks_after; /* it is there to run programs: who names the pidfile starts the guest */
};

void start_marks_of(struct start_marks *m, const struct guest *g);
void start_marks_fini(struct start_marks *m);
/* True if the text itself runs QEMU on a file of the guest's. */
bool start_marks_line(const struct start_marks *m, const struct start_runner *by, const char *text);
/* True, too, if a script that it names does. */
bool start_marks_text(struct start_marks *m, const struct start_runner *by, const char *text);
/* Does the same with the text of that file, which may be one of the scripts found beside the guest's files. */
bool start_marks_file(struct start_marks *m, const struct start_runner *by, const char *path);
/* True if the user may write to one of the images, and so could start the guest from it. groups: of the user's process. */
bool start_marks_may_be_written(const struct start_marks *m, uid_t user, const gid_t *groups, size_t count);

#endif
