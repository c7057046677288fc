/* cmd-attach.c: vmferry attach: gives a running QEMU without a QMP monitor one. */
#include "attach.h"
#include "cmd.h"
#include "command-options.h"
#include "log.h"
#include "paths.h"
#include "util.h"
#include "with-monitor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

struct attach_options {
	const char *runtime_dir; /* directory of the socket */
	bool json, verbose, detach;
};

static const char before[] =
	"usage: vmferry attach VM [options]\n"
	"\n"
	"Gives a guest that was started without a QMP monitor one, while it runs, so that every other command of vmferry can work "
	"with it. VM is its name or its pid.\n"
	"\n"
	"QEMU's main thread is stopped for a moment (ptrace), and sent to call QEMU's own functions for a monitor on a unix socket; the "
	"guest's processors run on. vmferry knows these functions in QEMU 7.2, 8.2, 10.0 and 11.1 on x86_64, and does nothing to any other. "
	"The socket, in vmferry's runtime directory, which only this user may enter, stays until that QEMU ends, or --detach. Whatever the guest "
	"is moved to is started with a monitor on its command line.\n"
	"\n";

static const char after[] = "\n"
			    "Guests of libvirt and Proxmox are refused: they have monitors, and owners.\n"
			    "\n"
			    "Exit code: 0 it has a monitor; 2 wrong usage; 3 it has none, and runs as before.\n"
			    "\n"
			    "examples:\n"
			    "  vmferry attach 4711\n"
			    "  vmferry migrate 4711 root@host-b\n";

#define MEMBER(name) offsetof(struct attach_options, name)

static const struct command_option rows[] = {
	{"runtime-dir", "DIR", "where the socket is made (default /run/vmferry)", OPT_TEXT, .offset = MEMBER(runtime_dir)},
	{"detach", NULL, "have QEMU remove the monitor that it was given so, as QEMU 11.1 and later can", OPT_FLAG,
	 .offset = MEMBER(detach)},
	{"json", NULL, "the result as JSON on standard output", OPT_FLAG, .offset = MEMBER(json)},
	{"verbose", NULL, "say what is done", OPT_FLAG, .offset = MEMBER(verbose), .letter = 'v'},
	{.name = NULL},
};

static void tell(const struct guest *g, const struct attached *a, bool json)
{
	AUTO_FREE char *name = text_shown(g->name), *path = text_shown(a->path);

	json_auto_t *o = json_pack("{s:s,s:i,s:s,s:b,s:f,s:f}", "guest", name, "pid", (int)g->pid, "qmp", path, "was_there", a->was_there,
				   "held_ms", a->held_ms, "called_ms", a->called_ms);

	if (json)
		json_dumpf(o, stdout, 0), putchar('\n');
	else if (a->was_there)
		printf("%s (pid %d) has its monitor already: %s\n", name, (int)g->pid, path);
	else
		printf("%s (pid %d) has a QMP monitor now: %s\n"
		       "QEMU's main thread stood still for %.1f ms and made it in %.1f ms; the guest's processors ran on. It stays until that QEMU ends.\n",
		       name, (int)g->pid, path, a->held_ms, a->called_ms);
}

/* 0, also of a guest that was found to have no monitor. */
static int find(struct guest *g, const char *vm, struct err *e)
{
	int r = guest_find(g, vm, e);

	return r == -ENXIO ? 0 : r;
}

/* True if QEMU runs as before: it has not ended (-ESRCH), and the change had not begun (-EIO). */
static bool is_as_before(int r)
{
	return r != -ESRCH && r != -EIO;
}

static int attach(const char *vm, struct attach_options *o, struct err *e)
{
	AUTO_FREE char *runtime = NULL;
	struct attached a = {.path = NULL};
	struct guest g;
	int r = find(&g, vm, e) ?: runtime_dir_get(&runtime, o->runtime_dir, e);

	if (!r)
		attach_sweep(runtime);
	r = r ?: attach_guest(&g, runtime, &a, e);
	if (!r) {
		tell(&g, &a, o->json);
		r = monitor_directory(&g, o->json ? NULL : stdout, e);
	} else if (g.name)
		err_prefix(e, "guest %s (pid %d) was not given a monitor%s", g.name, (int)g.pid,
			   is_as_before(r) ? ", and runs as before" : "");
	free(a.path);
	guest_fini(&g);
	return r;
}

static int remove_monitor(const struct guest *g, const char *path, struct err *e)
{
	struct loop *l;
	int r = loop_new(&l, 64, e);

	if (r)
		return r;
	r = guest_check_user(g, e) ? -e->code : lent_remove(g->pid, path, l, e);
	loop_free(l);
	return r;
}

/* Having none is as good. */
static int detach(const char *vm, struct err *e)
{
	AUTO_FREE char *path = NULL;
	struct guest g;
	int r = find(&g, vm, e);

	path = r ? NULL : guest_attached_path(g.pid);
	if (path)
		r = remove_monitor(&g, path, e);
	if (!r)
		printf("%s (pid %d) has no monitor of vmferry's%s\n", g.name, (int)g.pid, path ? " any more" : "");
	guest_fini(&g);
	return r;
}

int cmd_attach(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry attach",	 before,     after,    .tables = tables,
						   .words = "one guest", .least = 1, .most = 1};
	struct attach_options o = {.json = false};
	struct err e;
	int first, r = command_take(&usage, argc, argv, &o, &first);

	if (r)
		return MAX(r, 0);
	log_init("src", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	if (!(o.detach ? detach(argv[first], &e) : attach(argv[first], &o, &e)))
		return 0;
	fprintf(stderr, "vmferry: %s\n", e.msg);
	return EXIT_REFUSED;
}
