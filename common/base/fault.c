/* fault.c: see fault.h. */
#include "fault.h"
#include "util.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* False when it was there already: this point has been hit. */
static bool mark(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 && dprintf(fd, "%d\n", (int)getpid()) > 0;
}

static void act(const char *action)
{
	if (!strcmp(action, "kill"))
		raise(SIGKILL);
	else if (!strcmp(action, "stop"))
		raise(SIGSTOP);
	else if (!strcmp(action, "exit"))
		_exit(70); /* EX_SOFTWARE of sysexits.h */
}

static bool is_reached(const char *wanted, const char *here)
{
	char point[64] = "", action[8] = "kill";
	int file = 0;

	if (!wanted)
		return false;
	if (sscanf(wanted, "%63[^:]:%7[^:]:%n", point, action, &file) < 1 || strcmp(point, here))
		return false;
	if (file && !mark(wanted + file))
		return false;
	act(action);
	return !strcmp(action, "fail");
}

bool fault_point(const char *name, ...)
{
	char here[64];
	bool failed;
	va_list ap;

	va_start(ap, name);
	vsnprintf(here, sizeof(here), name, ap);
	va_end(ap);
	failed = is_reached(getenv("VMFERRY_FAULT"), here);
	return is_reached(getenv("VMFERRY_FAULT_BEFORE"), here) || failed;
}
