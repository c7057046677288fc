/*
 * guest-unit.h: the systemd service that a process runs in, by its cgroup, which only the kernel and those who own the cgroup say.
 */
#ifndef VMFERRY_GUEST_UNIT_H
#define VMFERRY_GUEST_UNIT_H

#include <stdbool.h>
#include <sys/types.h>

struct guest_unit {
	char *name;   /* NULL: none */
	bool is_user; /* a unit of a user's own systemd */
	unsigned uid; /* id of that user */
};

/* The path of a process in cgroup v2, or in systemd's own v1 hierarchy; malloc'ed. NULL: it is in neither, or that cannot be told. */
char *guest_cgroup(pid_t pid);
/* free(u->name). */
void guest_unit_of(struct guest_unit *u, pid_t pid);

#endif
