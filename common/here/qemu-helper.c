/* qemu-helper.c: see qemu-helper.h. */
#include "qemu-helper.h"
#include "util.h"

#define START_MS 20000

static size_t length(const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

/* Starts the helper. first: words before its monitor; options: words behind it. Both end with NULL. */
static int start(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, const char *const *first,
		 char *const *options, struct err *e)
{
	size_t before = length(first), count = length((const char *const *)options), n = 0, i;
	AUTO_FREE char **argv = xcalloc(before + count + 4, sizeof(*argv));
	AUTO_FREE char *monitor = NULL;
	int r;

	*h = (struct qemu_helper){.proc = QEMU_PROC_NONE, .socket = xasprintf("%s/helper.qmp", work_dir)};
	monitor = xasprintf("unix:%s,server=on,wait=on", h->socket);
	argv[n++] = (char *)exe;
	for (i = 0; i < before; i++)
		argv[n++] = (char *)first[i];
	argv[n++] = (char *)"-qmp";
	argv[n++] = monitor;
	for (i = 0; i < count; i++)
		argv[n++] = options[i];
	r = qemu_launch_helper(&h->proc, exe, argv, env, e);
	r = r ?: qemu_launch_wait_qmp(&h->proc, l, h->socket, START_MS, NULL, NULL, &h->qmp, e);
	if (r)
		qemu_helper_end(h);
	return r;
}

int qemu_helper_start(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, char *const *options,
		      struct err *e)
{
	static const char *const first[] = {"-nodefaults", "-no-user-config", "-display", "none", "-S", NULL};

	return start(h, l, exe, env, work_dir, first, options, e);
}

int qemu_helper_try(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, char *const *line,
		    struct err *e)
{
	static const char *const first[] = {"-S", NULL};

	return start(h, l, exe, env, work_dir, first, line, e);
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
