/*
 * qemu-args.c: see qemu-args.h.
 *
 * The rules, option by option, are the table at the end; what is not there is carried as it is.
 * Those for disks are in qemu-args-disks.c.
 *
 *   disks      -drive -blockdev -hda… -pflash …: files in the map are replaced, a guessed format is
 * made explicit media      -cdrom -fda -fdb: as disks, but nothing is said when they are not in the
 * map sockets    listening unix sockets, log files, pidfile → SOCKET_DIR/BASENAME; listeners never
 * wait for a client machine    the type is pinned to the version that runs display    a window of
 * the source's desktop becomes "none" files      -kernel, -L, …: relative paths are made absolute,
 * since the destination runs in / start      -incoming -S -daemonize -loadvm -preconfig are
 * dropped, ours are appended refused    what would give another guest than the one that runs, or
 * needs descriptors that nobody passes
 */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* sizeof(sun_path) - 1: longer unix socket paths do not exist (unix(7)). */
#define SOCKET_PATH_MAX 107

/* Output */

static void emit(struct rewrite *w, const char *arg)
{
	struct args_result *r = w->r;

	r->argv = xrealloc(r->argv, (r->argc + 2) * sizeof(*r->argv));
	r->argv[r->argc++] = xstrdup(arg);
	r->argv[r->argc] = NULL;
}

void args_emit(struct rewrite *w, const char *name, const char *value)
{
	AUTO_FREE char *dashed = xasprintf("-%s", name);

	if (*name)
		emit(w, dashed);
	if (value)
		emit(w, value);
}

void args_emit_list(struct rewrite *w, const char *name, const struct kv_list *l)
{
	AUTO_FREE char *value = kv_print(l);

	args_emit(w, name, value);
}

void args_note(struct rewrite *w, const char *fmt, ...)
{
	struct args_result *r = w->r;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	r->notes = xrealloc(r->notes, (r->note_count + 1) * sizeof(*r->notes));
	r->notes[r->note_count++] = text;
}

/* Paths */

bool args_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *args_absolute(const struct rewrite *w, const char *path)
{
	char *out, *r, *p;

	if (*path == '/' || !w->o->cwd)
		out = xstrdup(path);
	else
		out = xasprintf("%s/%s", w->o->cwd, path);
	for (r = p = out; *r; r++) {
		if (r[0] == '/' && r[1] == '/')
			continue;
		if (r[0] == '/' && r[1] == '.' && r[2] == '/') {
			r++;
			continue;
		}
		*p++ = *r;
	}
	*p = '\0';
	if (args_starts(out, "./"))
		memmove(out, out + 2, strlen(out + 2) + 1);
	return out;
}

static bool is_taken(const struct rewrite *w, const char *path)
{
	size_t i;

	if (w->o->private_qmp && !strcmp(w->o->private_qmp, path))
		return true;
	for (i = 0; i < w->moved_count; i++)
		if (!strcmp(w->moved[i].to, path))
			return true;
	return false;
}

/* SOCKET_DIR/BASENAME for a file that the source writes or listens on; the same file always goes to
 * the same name. */
static char *move_path(struct rewrite *w, const char *what, const char *path)
{
	AUTO_FREE char *from = args_absolute(w, path);
	const char *base = base_name(from);
	char *to;
	size_t i;

	if (!w->o->socket_dir || args_starts(from, "/dev/"))
		return xstrdup(from);
	for (i = 0; i < w->moved_count; i++)
		if (!strcmp(w->moved[i].from, from))
			return xstrdup(w->moved[i].to);
	to = xasprintf("%s/%s", w->o->socket_dir, base);
	for (i = 2; is_taken(w, to); i++) {
		free(to);
		to = xasprintf("%s/%s-%zu", w->o->socket_dir, base, i);
	}
	w->moved = xrealloc(w->moved, (w->moved_count + 1) * sizeof(*w->moved));
	w->moved[w->moved_count++] = (struct moved){.from = xstrdup(from), .to = xstrdup(to)};
	args_note(w, "%s %s is %s on the destination", what, from, to);
	return to;
}

static int move_socket(struct rewrite *w, const char *what, char **path)
{
	char *to = move_path(w, what, *path);

	kv_replace(path, to);
	if (strlen(to) <= SOCKET_PATH_MAX)
		return 0;
	return err_set(
	    w->e, EINVAL,
	    "%s would be the unix socket %s, longer than the %d bytes that a socket path may have",
	    what, to, SOCKET_PATH_MAX);
}

/* Character devices */

static int refuse_descriptor(struct rewrite *w, const struct qemu_opt *opt)
{
	return err_set(w->e, EINVAL,
		       "-%s %s uses a file descriptor that whoever started this QEMU passed to it; "
		       "the destination has "
		       "none like it",
		       opt->name, opt->value ? opt->value : "");
}

/* The socket in l, its path being the part with key "path" or, with implied, the first. */
static int rewrite_socket(struct rewrite *w, const struct qemu_opt *opt, struct kv_list *l,
			  bool implied)
{
	AUTO_FREE char *what = xasprintf("-%s socket", opt->name);
	bool server = kv_flag(l, "server", false);
	char **path = NULL;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const char *key = l->v[i].key ? l->v[i].key : i == 0 && implied ? "path" : "";

		if (!strcmp(key, "path"))
			path = &l->v[i].value;
		else if (!strcmp(key, "fd"))
			return refuse_descriptor(w, opt);
	}
	if (!server) {
		if (path)
			args_note(w,
				  "-%s connects to %s: somebody must be listening there on the "
				  "destination too",
				  opt->name, *path);
		return 0;
	}
	if (path && move_socket(w, what, path) < 0)
		return -w->e->code;
	/* a listener waits for its first client unless told not to, and QEMU does not start
	 * meanwhile */
	if (kv_flag(l, "wait", true)) {
		kv_set_flag(l, "wait", "off");
		args_note(w, "-%s no longer waits for a client before QEMU starts (wait=off)",
			  opt->name);
	}
	return 0;
}

static void move_logfile(struct rewrite *w, struct kv_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].key && !strcmp(l->v[i].key, "logfile"))
			kv_replace(&l->v[i].value, move_path(w, "log", l->v[i].value));
}

static int on_chardev(struct rewrite *w, const struct qemu_opt *opt)
{
	const char *backend;
	struct kv_list l;
	size_t i;
	int r = 0;

	kv_parse(&l, opt->value);
	backend = kv_get(&l, "backend", "backend");
	if (backend && !strcmp(backend, "socket"))
		r = rewrite_socket(w, opt, &l, false);
	for (i = 0; backend && i < l.n; i++) {
		char **value = &l.v[i].value;

		if (!l.v[i].key || strcmp(l.v[i].key, "path"))
			continue;
		if (!strcmp(backend, "file") || !strcmp(backend, "pty"))
			kv_replace(value, move_path(w, "-chardev file", *value));
		if (!strcmp(backend, "pipe")) {
			kv_replace(value, move_path(w, "-chardev pipe", *value));
			args_note(
			    w, "-chardev pipe needs the FIFOs %s.in and %s.out on the destination",
			    *value, *value);
		}
	}
	move_logfile(w, &l);
	if (r == 0)
		args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return r;
}

/* What -serial, -monitor, -qmp … take (qemu_chr_parse_compat): "unix:PATH,server=on", "file:PATH",
 * "mon:…". */
static int on_chardev_compat(struct rewrite *w, const struct qemu_opt *opt)
{
	static const char *const sockets[] = {"unix:", "tcp:", "telnet:", "tn3270:", "websocket:"};
	AUTO_FREE char *what = xasprintf("-%s", opt->name);
	const char *dev = opt->value, *rest;
	struct kv_list l;
	size_t i;
	int r;

	if (args_starts(dev, "mon:"))
		dev += 4;
	if (args_starts(dev, "file:") || args_starts(dev, "pipe:")) {
		AUTO_FREE char *path = move_path(w, what, dev + 5);
		AUTO_FREE char *value =
		    xasprintf("%.*s%s", (int)(dev + 5 - opt->value), opt->value, path);

		if (args_starts(dev, "pipe:"))
			args_note(w, "-%s needs the FIFOs %s.in and %s.out on the destination",
				  opt->name, path, path);
		args_emit(w, opt->name, value);
		return 0;
	}
	for (i = 0; i < ARRAY_LEN(sockets) && !args_starts(dev, sockets[i]); i++)
		;
	/* QEMU itself adds what -gdb needs, but for unix: */
	if (i == ARRAY_LEN(sockets) || (!strcmp(opt->name, "gdb") && i)) {
		args_emit(w, opt->name, opt->value);
		return 0;
	}
	rest = dev + strlen(sockets[i]);
	kv_parse(&l, rest);
	r = rewrite_socket(w, opt, &l, i == 0);
	move_logfile(w, &l);
	if (r == 0) {
		AUTO_FREE char *list = kv_print(&l);
		AUTO_FREE char *value =
		    xasprintf("%.*s%s", (int)(rest - opt->value), opt->value, list);

		args_emit(w, opt->name, value);
	}
	kv_fini(&l);
	return r;
}

/* The monitor that an earlier move added is not carried along: the new one takes its place. */
static int on_qmp(struct rewrite *w, const struct qemu_opt *opt)
{
	struct kv_list l = {.n = 0};
	const char *path;
	bool ours = false;

	if (args_starts(opt->value, "unix:") && w->o->private_qmp) {
		kv_parse(&l, opt->value + 5);
		path = kv_get(&l, "path", "path");
		ours = path && !strcmp(base_name(path), base_name(w->o->private_qmp));
		kv_fini(&l);
	}
	return ours ? 0 : on_chardev_compat(w, opt);
}

/* Displays */

static int on_vnc(struct rewrite *w, const struct qemu_opt *opt)
{
	struct kv_list l;
	int r = 0;

	w->has_display = true;
	kv_parse(&l, opt->value);
	if (l.n && !l.v[0].key && args_starts(l.v[0].value, "unix:")) {
		AUTO_FREE char *path = xstrdup(l.v[0].value + 5);

		r = move_socket(w, "-vnc socket", &path);
		kv_replace(&l.v[0].value, xasprintf("unix:%s", path));
	}
	if (r == 0)
		args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return r;
}

static int on_spice(struct rewrite *w, const struct qemu_opt *opt)
{
	struct kv_list l;
	size_t i;
	int r = 0;

	w->has_display = true;
	kv_parse(&l, opt->value);
	for (i = 0; i < l.n && r == 0; i++)
		if (l.v[i].key && !strcmp(l.v[i].key, "addr") && kv_flag(&l, "unix", false))
			r = move_socket(w, "-spice socket", &l.v[i].value);
	if (r == 0)
		args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return r;
}

static int on_window(struct rewrite *w, const struct qemu_opt *opt)
{
	w->has_display = true;
	args_emit(w, "display", "none");
	args_note(
	    w,
	    "-%s%s%s is a window on the source's desktop: the destination runs with -display none",
	    opt->name, opt->value ? " " : "", opt->value ? opt->value : "");
	return 0;
}

static int on_display(struct rewrite *w, const struct qemu_opt *opt)
{
	static const char *const windows[] = {"gtk", "sdl", "curses", "cocoa", "spice-app", "dbus"};
	size_t n = strcspn(opt->value, ","), i;

	w->has_display = true;
	for (i = 0; i < ARRAY_LEN(windows); i++)
		if (strlen(windows[i]) == n && !strncmp(opt->value, windows[i], n))
			return on_window(w, opt);
	if (args_starts(opt->value, "vnc="))
		return on_vnc(w, &(struct qemu_opt){.name = "vnc", .value = opt->value + 4});
	args_emit(w, opt->name, opt->value);
	return 0;
}

static int on_nographic(struct rewrite *w, const struct qemu_opt *opt)
{
	w->has_display = true;
	args_emit(w, opt->name, opt->value);
	return 0;
}

/* The machine */

static int on_machine(struct rewrite *w, const struct qemu_opt *opt)
{
	struct kv_list l;
	size_t i;

	kv_parse(&l, opt->value);
	for (i = 0; i < l.n; i++) {
		if (strcmp(l.v[i].key ? l.v[i].key : i ? "" : "type", "type"))
			continue;
		w->machine_typed = true;
		if (!w->o->machine || !strcmp(l.v[i].value, w->o->machine))
			continue;
		args_note(w, "machine type %s is pinned to %s", l.v[i].value, w->o->machine);
		kv_replace(&l.v[i].value, xstrdup(w->o->machine));
	}
	args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return 0;
}

/* Files */

static int on_path(struct rewrite *w, const struct qemu_opt *opt)
{
	AUTO_FREE char *path = args_absolute(w, opt->value);

	args_emit(w, opt->name, path);
	return 0;
}

/* A bare name is looked up in QEMU's own data directory. */
static int on_data_file(struct rewrite *w, const struct qemu_opt *opt)
{
	if (strchr(opt->value, '/'))
		return on_path(w, opt);
	args_emit(w, opt->name, opt->value);
	return 0;
}

/* -initrd may list several files for multiboot; each may have arguments. */
static int on_initrd(struct rewrite *w, const struct qemu_opt *opt)
{
	return strchr(opt->value, ',') ? on_data_file(w, opt) : on_path(w, opt);
}

static int on_output_file(struct rewrite *w, const struct qemu_opt *opt)
{
	AUTO_FREE char *what = xasprintf("-%s", opt->name);
	AUTO_FREE char *path = move_path(w, what, opt->value);

	args_emit(w, opt->name, path);
	return 0;
}

static bool names_file(const struct qemu_opt *opt, const struct kv *p)
{
	static const char *const keys[] = {"file", "filename", "dir", "mem-path", "path", "events"};
	size_t i;

	if (!p->key || !*p->value || qemu_path_has_protocol(p->value))
		return false;
	if (!strcmp(p->key, "romfile"))
		return strchr(p->value, '/');
	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(p->key, keys[i]))
			/* a device's "path" is its own affair */
			return strcmp(opt->name, "device") || strcmp(p->key, "path");
	return false;
}

/* -object, -device, -fw_cfg …: only relative file names change. */
static int on_properties(struct rewrite *w, const struct qemu_opt *opt)
{
	const char *mem_path;
	struct kv_list l;
	size_t i;

	if (*opt->value == '{') {
		args_emit(w, opt->name, opt->value);
		return 0;
	}
	kv_parse(&l, opt->value);
	for (i = 0; i < l.n; i++)
		if (names_file(opt, &l.v[i]))
			kv_replace(&l.v[i].value, args_absolute(w, l.v[i].value));
	mem_path = kv_get(&l, "mem-path", NULL);
	if (mem_path && kv_flag(&l, "share", false))
		args_note(w,
			  "guest memory is backed by %s: the destination must not see the same "
			  "file as the source",
			  mem_path);
	args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return 0;
}

static int on_trace(struct rewrite *w, const struct qemu_opt *opt)
{
	struct kv_list l;
	size_t i;

	kv_parse(&l, opt->value);
	for (i = 0; i < l.n; i++) {
		if (l.v[i].key && !strcmp(l.v[i].key, "file"))
			kv_replace(&l.v[i].value, move_path(w, "-trace file", l.v[i].value));
		else if (names_file(opt, &l.v[i]))
			kv_replace(&l.v[i].value, args_absolute(w, l.v[i].value));
	}
	args_emit_list(w, opt->name, &l);
	kv_fini(&l);
	return 0;
}

static int on_net(struct rewrite *w, const struct qemu_opt *opt)
{
	static const char *const keys[] = {"fd", "fds", "vhostfd", "vhostfds"};
	struct kv_list l;
	bool inherited = false;
	size_t i;

	kv_parse(&l, *opt->value == '{' ? "" : opt->value);
	for (i = 0; i < ARRAY_LEN(keys); i++)
		inherited |= kv_get(&l, keys[i], NULL) != NULL;
	kv_fini(&l);
	if (inherited)
		return refuse_descriptor(w, opt);
	args_emit(w, opt->name, opt->value);
	return 0;
}

/* How the source was started */

static int on_silent_drop(struct rewrite *w, const struct qemu_opt *opt)
{
	(void)w, (void)opt;
	return 0;
}

static int on_drop(struct rewrite *w, const struct qemu_opt *opt)
{
	args_note(w, "-%s%s%s is left out: it is about how the source was started", opt->name,
		  opt->value ? " " : "", opt->value ? opt->value : "");
	return 0;
}

static int on_snapshot(struct rewrite *w, const struct qemu_opt *opt)
{
	(void)opt;
	return err_set(w->e, EINVAL,
		       "the guest runs with -snapshot: what it wrote is in temporary files that "
		       "only the running QEMU can "
		       "read, so its disks cannot be moved");
}

static int on_readconfig(struct rewrite *w, const struct qemu_opt *opt)
{
	return err_set(w->e, EINVAL,
		       "the guest was started with -readconfig %s: vmferry does not rewrite such "
		       "files yet, and this one "
		       "may have changed since; put its contents on the command line",
		       opt->value);
}

static int on_set(struct rewrite *w, const struct qemu_opt *opt)
{
	if (args_starts(opt->value, "drive.") || args_starts(opt->value, "chardev."))
		return err_set(w->e, EINVAL,
			       "the guest was started with -set %s, which vmferry cannot rewrite; "
			       "put it into the option "
			       "that it changes",
			       opt->value);
	args_emit(w, opt->name, opt->value);
	return 0;
}

static const struct rule {
	const char *name;
	int (*apply)(struct rewrite *w, const struct qemu_opt *opt);
	bool bare; /* comes without a value */
} rules[] = {
    {"drive", args_on_drive, false},
    {"blockdev", args_on_blockdev, false},
    {"", args_on_disk_file, false},
    {"hda", args_on_disk_file, false},
    {"hdb", args_on_disk_file, false},
    {"hdc", args_on_disk_file, false},
    {"hdd", args_on_disk_file, false},
    {"pflash", args_on_disk_file, false},
    {"sd", args_on_disk_file, false},
    {"mtdblock", args_on_disk_file, false},
    {"cdrom", args_on_media, false},
    {"fda", args_on_media, false},
    {"fdb", args_on_media, false},

    {"chardev", on_chardev, false},
    {"qmp", on_qmp, false},
    {"qmp-pretty", on_chardev_compat, false},
    {"monitor", on_chardev_compat, false},
    {"serial", on_chardev_compat, false},
    {"parallel", on_chardev_compat, false},
    {"debugcon", on_chardev_compat, false},
    {"gdb", on_chardev_compat, false},

    {"vnc", on_vnc, false},
    {"spice", on_spice, false},
    {"display", on_display, false},
    {"sdl", on_window, true},
    {"curses", on_window, true},
    {"nographic", on_nographic, true},

    {"machine", on_machine, false},
    {"M", on_machine, false},

    {"kernel", on_path, false},
    {"shim", on_path, false},
    {"dtb", on_path, false},
    {"initrd", on_initrd, false},
    {"L", on_path, false},
    {"mem-path", on_path, false},
    {"bios", on_data_file, false},
    {"option-rom", on_data_file, false},
    {"D", on_output_file, false},
    {"pidfile", on_output_file, false},
    {"trace", on_trace, false},
    {"device", on_properties, false},
    {"object", on_properties, false},
    {"fw_cfg", on_properties, false},
    {"smbios", on_properties, false},
    {"acpitable", on_properties, false},
    {"fsdev", on_properties, false},
    {"virtfs", on_properties, false},
    {"plugin", on_properties, false},
    {"netdev", on_net, false},
    {"nic", on_net, false},
    {"net", on_net, false},

    {"S", on_silent_drop, true},
    {"incoming", on_silent_drop, false},
    {"daemonize", on_drop, true},
    {"preconfig", on_drop, true},
    {"loadvm", on_drop, false},

    {"snapshot", on_snapshot, true},
    {"readconfig", on_readconfig, false},
    {"add-fd", refuse_descriptor, false},
    {"set", on_set, false},
};

static int apply_rule(struct rewrite *w, const struct qemu_opt *opt)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(rules); i++) {
		if (strcmp(rules[i].name, opt->name))
			continue;
		if (!rules[i].bare && !opt->value)
			return err_set(w->e, EINVAL,
				       "the guest's command line ends after -%s, without its value",
				       opt->name);
		return rules[i].apply(w, opt);
	}
	args_emit(w, opt->name, opt->value);
	return 0;
}

static void append_ours(struct rewrite *w)
{
	struct kv_list l = {.n = 0};
	char *value;

	if (!w->machine_typed && w->o->machine) {
		args_emit(w, "machine", w->o->machine);
		args_note(w, "machine type is pinned to %s, the default of the source's QEMU",
			  w->o->machine);
	}
	if (!w->has_display) {
		args_emit(w, "display", "none");
		args_note(w, "no display is named: the destination runs with -display none");
	}
	args_emit(w, "incoming", "defer");
	args_emit(w, "S", NULL);
	if (!w->o->private_qmp)
		return;
	value = xasprintf("unix:%s", w->o->private_qmp);
	kv_append(&l, NULL, value);
	kv_append(&l, "server", "on");
	/* QEMU greets twice, or not at all, who connects while it sets its monitor up: so it waits for us before that */
	kv_append(&l, "wait", "on");
	args_emit_list(w, "qmp", &l);
	free(value);
	kv_fini(&l);
}

int qemu_args_rewrite(struct args_result *out, char *const *argv, size_t argc,
		      const struct args_options *o, struct err *e)
{
	struct args_result result = {.argc = 0};
	struct rewrite w = {.o = o, .r = &result, .e = e};
	struct qemu_opt opt;
	size_t i = 1;
	int r = 0;

	if (!argc)
		return err_set(e, EINVAL, "the guest's command line is empty");
	emit(&w, argv[0]);
	while (r == 0 && qemu_opt_next(argv, argc, &i, &opt))
		r = apply_rule(&w, &opt);
	if (r == 0)
		append_ours(&w);
	for (i = 0; i < w.moved_count; i++) {
		free(w.moved[i].from);
		free(w.moved[i].to);
	}
	free(w.moved);
	if (r == 0)
		*out = result;
	else
		args_result_fini(&result);
	return r;
}

void args_free_strings(char **strings, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

void args_result_fini(struct args_result *r)
{
	args_free_strings(r->argv, r->argc);
	args_free_strings(r->notes, r->note_count);
	*r = (struct args_result){.argc = 0};
}
