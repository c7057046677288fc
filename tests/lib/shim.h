/* shim.h: what the shims that tests put under a program by LD_PRELOAD have in common. */
#ifndef VMFERRY_SHIM_H
#define VMFERRY_SHIM_H

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* `real` is the function that this one stands in front of. */
#define REAL(name, type, ...)                                                                                                              \
	static type (*real)(__VA_ARGS__);                                                                                                  \
	if (!real)                                                                                                                         \
	*(void **)&real = dlsym(RTLD_NEXT, name)

/* Whether it is under one of these: what else inherits the environment goes on as if it were not there. */
static inline bool shim_is_under(const char *begin_of_name)
{
	char exe[PATH_MAX] = "", *name;

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return false;
	name = strrchr(exe, '/');
	return name && !strncmp(name + 1, begin_of_name, strlen(begin_of_name));
}

#endif
