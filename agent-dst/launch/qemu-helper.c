/* qemu-helper.c: see qemu-helper.h. */
#include "qemu-helper.h"
#include "util.h"

#define START_MS 20000

int qemu_helper_start(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, char *const *options,
		      const struct qmp_handlers *on, void *ctx, struct err *e)
{
	static const char *const first[] = {"-nodefaults", "-no-user-config", "-display", "none", "-S", "-qmp"};
	AUTO_FREE char *monitor = NULL;
	AUTO_FREE char **argv = NULL;
	size_t count = 0, n = 0, i;
	int r;

	*h = (struct qemu_helper){.proc = QEMU_PROC_NONE, .socket = xasprintf("%s/helper.qmp", work_dir)};
	monitor = xasprintf("unix:%s,server=on,wait=on", h->socket);
	while (options[count])
		count++;
	argv = xcalloc(count + ARRAY_LEN(first) + 3, sizeof(*argv));
	argv[n++] = (char *)exe;
	for (i = 0; i < ARRAY_LEN(first); i++)
		argv[n++] = (char *)first[i];
	argv[n++] = monitor;
	for (i = 0; i < count; i++)
		argv[n++] = options[i];
	r = qemu_launch_helper(&h->proc, exe, argv, env, e);
	if (!r)
		r = qemu_launch_wait_qmp(&h->proc, l, h->socket, START_MS, on, ctx, &h->qmp, e);
	if (r)
		qemu_helper_end(h);
	return r;
}

void qemu_helper_end(struct qemu_helper *h)
{
	qmp_close(h->qmp);
	if (h->proc.pid)
		qemu_end(&h->proc);
	unlink(h->socket);
	free(h->socket);
	*h = (struct qemu_helper){.proc = QEMU_PROC_NONE};
}
