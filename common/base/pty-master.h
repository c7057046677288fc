/* pty-master.h: the pseudo-terminals of which another process has the master side, by what the kernel says of its descriptors (/proc/PID/fdinfo). */
#ifndef VMFERRY_PTY_MASTER_H
#define VMFERRY_PTY_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Their numbers, the first most of them; returns how many there are. 0, too, where the kernel does not tell (before 4.14). */
size_t pty_masters_of(pid_t pid, unsigned *numbers, size_t most);
/* True if the terminal at that path (or that a symbolic link there leads to) is one of the process's, by its device number. */
bool pty_is_of(pid_t pid, const char *path);
/* Opens the terminal and returns its descriptor, in raw mode and without the output that came before; or -errno. */
int pty_open(const char *path);

#endif
