/*
 * ssh-bootstrap.h: gets vmferry-dst to run at the other end of an SSH connection, where nothing was installed.
 *
 * One command there does it all: the remote login shell, whichever it is, is only asked to run `sh`, which reads a script
 * from its stdin (POSIX sh; busybox will do). It looks for the first of
 *
 *     ${XDG_CACHE_HOME:-$HOME/.cache}/vmferry   $XDG_RUNTIME_DIR/vmferry-bin   /var/cache/vmferry (root)
 *     a new directory under ${TMPDIR:-/tmp}
 *
 * that is, or can be made, a directory of this user alone (0700, no symbolic link) in which a program can be executed and
 * there is room. The program is vmferry-dst-HASH there, HASH being the beginning of its SHA-256; if it is not there with
 * the right SHA-256 and owner, it is sent, under another name first. The sum is taken there each time before the program is
 * run. With `keep` it stays for the next time, and those of other versions that are older than OLD_DAYS are removed; without,
 * what was sent is removed as soon as it runs, with the directory if that is then empty.
 *
 * The program replaces the shell: its stdin, stdout and stderr are those of the command, and it ignores SIGHUP. The session
 * that sshd made for it is its own, so the end of the connection does not end it. (Where systemd-logind has
 * KillUserProcesses=yes it does, as for any program of that user.)
 */
#ifndef VMFERRY_SSH_BOOTSTRAP_H
#define VMFERRY_SSH_BOOTSTRAP_H

#include "ssh.h"

#include <stddef.h>

struct bootstrap_config {
	const char *binary;	 /* path here of a vmferry-dst for PROCESSOR_NAME Linux */
	const char *const *args; /* arguments, up to a NULL; not for secrets */
	bool keep;
};

/* Returns when the program is being started: what it writes is next on *fd. *where, if not NULL: the directory it was started
 * from, malloc'ed. An exec that fails shows as the end of *fd and status 126 or 127. */
int ssh_bootstrap(struct ssh *s, const struct bootstrap_config *cfg, struct ssh_proc **proc, int *fd, char **where, struct err *e);

#endif
