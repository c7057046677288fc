/* record-private.h: shared by the files of the recorder; see record.h. */
#ifndef VMFERRY_RECORD_PRIVATE_H
#define VMFERRY_RECORD_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#define RECORD_DIR "/run/.vmferry" /* directory of our programs for the script, first in PATH */
/* Descriptors of the pipe to us: of one digit, which is what sh can name, and several, as scripts use some themselves. */
#define RECORD_FD_FIRST 4
#define RECORD_FD_LAST	9

/* Opened to write to it, it is that pipe: for those who find none of these (Python closes them), where record_answer() can do that. */
#define RECORD_PIPE RECORD_DIR "/pipe"

/* Sets f to a descriptor of the pipe: a script may have put something else in place of one, as of a lock, or closed them. */
#define RECORD_FIND_PIPE                                                                                                                   \
	"for f in 8 7 6 5 4 9 0; do [ \"$(stat -L -c %d:%i /proc/self/fd/$f 2>/dev/null)\" = $pipe ] && break; done\n"                     \
	"[ $f != 0 ] || { exec 8>" RECORD_PIPE "; f=8; }\n"

/* note KIND USER WORD…: writes a record */
#define NOTE                                                                                                                               \
	"note() {\n" RECORD_FIND_PIPE "k=$1 by=$2\nshift 2\nprintf '%s\\0' " RECORD_NOTE " \"$k\" \"${0##*/}\" \"$by\" \"$*\" >&$f\n}\n"

#define RECORD_QEMUS_MAX 64

/* QEMUs of this host, and other programs, that a script may name by whole paths. */
struct record_qemus {
	char *paths[RECORD_QEMUS_MAX];
	size_t count;
};

/* Adds programs in the directories of a list like PATH. */
void record_add_path(struct record_qemus *q, const char *list);
/* Adds programs that the script's text names (the text is changed); script: its path. */
void record_add_named(struct record_qemus *q, char *text, const char *script);
/* Writes the programs into RECORD_DIR; output: the pipe that records go to. 0; -errno. */
int record_write_programs(const struct record_qemus *q, int output);
/* Mounts the programs over the host's, and a recorder over each QEMU, which can still be asked about its features. 0; -errno. */
int record_mount_programs(const struct record_qemus *q);

/*
 * Lays a layer over the directories where a script is likely to make others, which takes these in memory: it may enter what it has made. dirs: absolute, and a NULL.
 * What cannot have one stays as it is. Before any program is put over another. record_open_layers(): they may be written to, once all else may not.
 */
struct record_layers {
	char *at[8];
	size_t count;
};
void record_lay(struct record_layers *l, const char *const *dirs);
int record_open_layers(const struct record_layers *l);

/* Programs in place of this host's, by their number (record-stand-ins.c): the name; NULL: there are no more. The text, behind one that sets pipe; malloc'ed. */
const char *stand_in_name(size_t i);
char *stand_in_text(size_t i);
/*
 * Refuses, for this process and its children, what changes the system; what would change a file succeeds, and does nothing. *asks: a descriptor for
 * record_answer(); -1: this kernel has none, and files that are opened for writing, and sockets, are refused. 0; -errno.
 */
int record_forbid_calls(int *asks);
/* Gives that descriptor (or -1) to the process at the other end of a socket: who answers must not wait for its own answers. 0; -errno. */
int record_send_asks(int to, int asks);
int record_receive_asks(int from, int *asks);

/* Calls that record_answer() answers. Those up to ANSWER_LOOK name a file. */
enum answer { ANSWER_MAKE, ANSWER_OPEN, ANSWER_MAY_WRITE, ANSWER_RENAME, ANSWER_LOOK, ANSWER_SOCKET, ANSWER_REACH, ANSWER_SEND };
#define NO_ARGUMENT 6
struct answered_call {
	int call;
	enum answer kind;
	/* Indexes of arguments; NO_ARGUMENT: the call has none. */
	unsigned path; /* path, or an address */
	unsigned dir;  /* descriptor of the directory to which the path is relative */
	unsigned how;  /* flags, the request, or the address's length */
};
/* The i-th call; NULL: no more. */
const struct answered_call *answered_call(size_t i);

struct record_path {
	char *path; /* NULL: end of the list */
	unsigned times;
};

/* State of a running script. */
struct record_watch {
	int asks, null, output;		/* null: /dev/null; output: the pipe that records go to */
	struct record_path written[64]; /* files that it believes to have written or renamed */
	struct record_path missing[64]; /* files that it has looked for */
};

/*
 * Answers one call, if there is one. Who opens a file for writing gets null, or output, if that is RECORD_PIPE; or, if it is a small one on a layer, the file
 * there. Who makes a socket gets one by which nobody is reached, and who connects it is refused; both is told, and so is who looks for what went to null, or
 * again and again for what is not there.
 */
void record_answer(struct record_watch *w);

#endif
