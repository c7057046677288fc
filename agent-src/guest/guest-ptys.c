/* guest-ptys.c: see guest-ptys.h. */
#include "guest-ptys.h"
#include "process.h"
#include "pty-master.h"
#include "util.h"

#include <string.h>

char *guest_pty_of(const struct guest *g, const struct args_hmp *on_line)
{
	unsigned number;

	if (on_line->at)
		return guest_path(g, on_line->at);
	if (qemu_args_ptys(g->line.expanded, g->line.expanded_count) != 1 || pty_masters_of(g->pid, &number, 1) != 1)
		return NULL;
	return xasprintf("/dev/pts/%u", number);
}

size_t guest_qmp_ptys(const struct guest *g, char ***out)
{
	struct args_hmp *list;
	size_t n = qemu_args_qmp_ptys(g->line.expanded, g->line.expanded_count, &list), i, found = 0;

	*out = xcalloc(n + 1, sizeof(**out));
	for (i = 0; i < n; i++) {
		AUTO_FREE char *path = guest_pty_of(g, &list[i]);

		if (path && process_sees(g->pid, path))
			(*out)[found++] = xasprintf(QMP_PTY_PREFIX "%s", path);
	}
	args_hmp_free(list, n);
	return found;
}

bool guest_pty_is_taken(const struct guest *g, const char *monitor)
{
	return text_starts_with(monitor, QMP_PTY_PREFIX) && process_that_opened(monitor + strlen(QMP_PTY_PREFIX), g->pid) != 0;
}
