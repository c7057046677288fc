/*
 * qemu-args.c: see qemu-args.h. This file: the table of options, and the walk over a line.
 *
 * The table at the end has every x86 option of QEMU 5 to 10. The meaning of an option for a move is one of:
 *
 *   CARRIED    as it is
 *   NOTED      as it is, and the plan says what that means there
 *   PATH       one host file: mapped, made absolute (the destination runs in /), told to the caller
 *   OUTPUT     one file that QEMU writes: under its own name or as SOCKET_DIR/BASENAME
 *   DROPPED    left out, and the plan says why
 *   SILENT     left out: ours takes its place
 *   REFUSED    the guest cannot be moved, with the reason
 *   RULE       a function: files and sockets inside it, devices of the host, network, displays
 *
 * An option that is not in the table is carried, and the plan says so. Before the walk -readconfig and -set are worked
 * into the line (qemu-args-expand.c), so that all else is in one form.
 */
#include "qemu-args-monitors.h"
#include "qemu-args-rules.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

void args_emit_item(struct rewrite *w, const struct item *it)
{
	struct props p = it->p;
	AUTO_FREE char *value = props_print(&p);

	args_emit(w, it->name, value);
}

bool args_is_new(struct rewrite *w, const char *what)
{
	if (!w->said)
		w->said = json_object();
	if (json_object_get(w->said, what))
		return false;
	json_object_set_new_nocheck(w->said, what, json_true());
	return true;
}

void args_note(struct rewrite *w, const char *fmt, ...)
{
	struct args_result *r = w->r;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (args_is_new(w, text))
		words_add(&r->notes, &r->note_count, text);
	else
		free(text);
}

/* Looking */

bool args_among(const char *name, const char *const *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(patterns[i]);

		if (n && patterns[i][n - 1] == '*' ? !strncmp(name, patterns[i], n - 1) : !strcmp(name, patterns[i]))
			return true;
	}
	return false;
}

static int compare_refs(const void *a, const void *b)
{
	const struct args_ref *x = a, *y = b;
	int r = strcmp(x->name, y->name) ?: strcmp(x->key, y->key) ?: strcmp(x->value, y->value);

	return r ? r : x->item < y->item ? -1 : x->item > y->item;
}

/* Builds the index that args_find() searches. */
static void args_index(struct rewrite *w)
{
	static const struct {
		const char *name, *key;
	} keys[] = {{"chardev", "id"},	  {"tpmdev", "chardev"}, {"blockdev", "node-name"}, {"blockdev", "file"},   {"device", "drive"},
		    {"device", "netdev"}, {"device", "memdev"},	 {"device", "chardev"},	    {"netdev", "chardev"},  {"netdev", "id"},
		    {"netdev", "hubid"},  {"nic", "hubid"},	 {"net", "hubid"},	    {"machine", "pflash0"}, {"machine", "pflash1"},
		    {"M", "pflash0"},	  {"M", "pflash1"}};
	size_t i, k;

	w->refs = xcalloc(4 * w->item_count, sizeof(*w->refs)); /* no option has more keys in the table */
	for (i = 0; i < w->item_count; i++)
		for (k = 0; k < ARRAY_LEN(keys); k++) {
			const char *value = strcmp(w->items[i].name, keys[k].name) ? NULL : kv_get(&w->items[i].p.l, keys[k].key, NULL);

			if (value)
				w->refs[w->ref_count++] = (struct args_ref){keys[k].name, keys[k].key, xstrdup(value), i};
		}
	qsort(w->refs, w->ref_count, sizeof(*w->refs), compare_refs);
}

struct item *args_find(const struct rewrite *w, const char *name, const char *key, const char *value)
{
	const struct args_ref want = {name, key, (char *)value, 0};
	size_t low = 0, high = w->ref_count, mid;

	while (value && low < high) {
		mid = low + (high - low) / 2;
		if (compare_refs(&w->refs[mid], &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (!value || low == w->ref_count || strcmp(w->refs[low].name, name) || strcmp(w->refs[low].key, key) ||
	    strcmp(w->refs[low].value, value))
		return NULL;
	return &w->items[w->refs[low].item];
}

/* Refusing */

int args_refuse_descriptor(struct rewrite *w, const struct item *it)
{
	static const char *const nets[] = {"netdev", "nic", "net"};

	return err_set(w->e, EINVAL,
		       "-%s %s uses a file descriptor that this QEMU's parent process passed to it; the destination has none like it%s",
		       it->name, it->value ? it->value : "",
		       args_among(it->name, nets, ARRAY_LEN(nets)) ? " (--map-net NIC=… has it be on something else there)" : "");
}

int args_check_in_place(struct rewrite *w, const struct item *it, const char *why)
{
	return w->o->in_place ? err_set(w->e, EINVAL,
					"-%s %s: %s, and with --in-place the guest's old QEMU and its new one are there at the same time",
					it->name, it->value ? it->value : "", why)
			      : 0;
}

static int refuse_add_fd(struct rewrite *w, struct item *it)
{
	return args_refuse_descriptor(w, it);
}

/* ---- the table ---- */

enum meaning {
	CARRIED,
	NOTED,
	PATH,
	OUTPUT,
	DROPPED,
	SILENT,
	REFUSED,
	RULE,
};

#define SOURCE_START "it is about how the source was started"
#define A_WINDOW     "it is about a window on the source's desktop"
#define XEN	     "it runs under Xen; only guests of KVM and TCG can be moved"

static const struct rule {
	const char *name;
	enum meaning meaning;
	const char *why;     /* NOTED, DROPPED, REFUSED */
	rule_fn *apply;	     /* RULE */
	enum args_role role; /* PATH, OUTPUT */
	bool bare;	     /* comes without a value */
} rules[] = {
	/* disks and media */
	{"drive", RULE, .apply = args_on_drive},
	{"blockdev", RULE, .apply = args_on_blockdev},
	{"", RULE, .apply = args_on_disk_file},
	{"hda", RULE, .apply = args_on_disk_file},
	{"hdb", RULE, .apply = args_on_disk_file},
	{"hdc", RULE, .apply = args_on_disk_file},
	{"hdd", RULE, .apply = args_on_disk_file},
	{"pflash", RULE, .apply = args_on_disk_file},
	{"sd", RULE, .apply = args_on_disk_file},
	{"mtdblock", RULE, .apply = args_on_disk_file},
	{"cdrom", RULE, .apply = args_on_media},
	{"fda", RULE, .apply = args_on_media},
	{"fdb", RULE, .apply = args_on_media},
	{"iscsi", .meaning = CARRIED},
	{"snapshot", RULE, .apply = args_on_snapshot, .bare = true},

	/* the machine */
	{"machine", RULE, .apply = args_on_machine},
	{"M", RULE, .apply = args_on_machine},
	{"accel", RULE, .apply = args_on_accel},
	{"cpu", RULE, .apply = args_on_cpu},
	{"enable-kvm", CARRIED, .bare = true},
	{"m", .meaning = CARRIED},
	{"smp", .meaning = CARRIED},
	{"numa", .meaning = CARRIED},
	{"mem-path", RULE, .apply = args_on_mem_path},
	{"mem-prealloc", CARRIED, .bare = true},
	{"uuid", .meaning = CARRIED},
	{"name", .meaning = CARRIED},
	{"global", RULE, .apply = args_on_global},
	{"compat", .meaning = CARRIED},
	{"rtc", .meaning = CARRIED},
	{"icount", RULE, .apply = args_on_icount},
	{"boot", RULE, .apply = args_on_file_keys},
	{"overcommit", .meaning = CARRIED},
	{"realtime", .meaning = CARRIED},
	{"seed", .meaning = CARRIED},
	{"no-acpi", RULE, .apply = args_on_old_word, .bare = true},
	{"no-hpet", RULE, .apply = args_on_old_word, .bare = true},
	{"no-fd-bootchk", CARRIED, .bare = true},
	{"no-kvm", CARRIED, .bare = true},
	{"no-kvm-irqchip", CARRIED, .bare = true},
	{"no-kvm-pit", CARRIED, .bare = true},
	{"no-kvm-pit-reinjection", CARRIED, .bare = true},
	{"win2k-hack", CARRIED, .bare = true},
	{"tb-size", .meaning = CARRIED},
	{"singlestep", CARRIED, .bare = true},
	{"one-insn-per-tb", CARRIED, .bare = true},
	{"enable-hax", REFUSED, "it runs with HAXM; only guests of KVM and TCG can be moved", .bare = true},
	{"xen-domid", REFUSED, .why = XEN},
	{"xen-attach", REFUSED, XEN, .bare = true},
	{"xen-domid-restrict", REFUSED, XEN, .bare = true},

	/* kernel, firmware and other files for the guest */
	{"kernel", PATH, .role = ARGS_KERNEL},
	{"initrd", RULE, .apply = args_on_initrd},
	{"append", .meaning = CARRIED},
	{"dtb", PATH, .role = ARGS_DTB},
	{"shim", PATH, .role = ARGS_SHIM},
	{"bios", RULE, .apply = args_on_data_file},
	{"option-rom", RULE, .apply = args_on_option_rom},
	{"fw_cfg", RULE, .apply = args_on_file_keys},
	{"smbios", RULE, .apply = args_on_file_keys},
	{"acpitable", RULE, .apply = args_on_file_keys},
	{"prom-env", .meaning = CARRIED},
	{"semihosting", CARRIED, .bare = true},
	{"semihosting-config", .meaning = CARRIED},
	{"L", PATH, .role = ARGS_DIRECTORY},

	/* devices */
	{"device", RULE, .apply = args_on_device},
	{"object", RULE, .apply = args_on_object},
	{"fsdev", RULE, .apply = args_on_fsdev},
	{"virtfs", RULE, .apply = args_on_fsdev},
	{"virtfs_synth", CARRIED, .bare = true},
	{"tpmdev", RULE, .apply = args_on_tpmdev},
	{"usb", CARRIED, .bare = true},
	{"usbdevice", RULE, .apply = args_on_usbdevice},
	{"vga", .meaning = CARRIED},
	{"balloon", .meaning = CARRIED},
	{"watchdog", RULE, .apply = args_on_old_word},
	{"watchdog-action", .meaning = CARRIED},
	{"action", .meaning = CARRIED},
	{"soundhw", .meaning = CARRIED},
	{"audiodev", RULE, .apply = args_on_audiodev},
	{"audio", RULE, .apply = args_on_audio},
	{"k", .meaning = CARRIED},

	/* network */
	{"netdev", RULE, .apply = args_on_network},
	{"nic", RULE, .apply = args_on_network},
	{"net", RULE, .apply = args_on_network},

	/* character devices and monitors */
	{"chardev", RULE, .apply = args_on_chardev},
	{"mon", .meaning = CARRIED},
	{"qmp", RULE, .apply = args_on_qmp},
	{"qmp-pretty", RULE, .apply = args_on_chardev_compat},
	{"monitor", RULE, .apply = args_on_chardev_compat},
	{"serial", RULE, .apply = args_on_chardev_compat},
	{"parallel", RULE, .apply = args_on_chardev_compat},
	{"debugcon", RULE, .apply = args_on_chardev_compat},
	{"virtioconsole", RULE, .apply = args_on_chardev_compat},
	{"gdb", RULE, .apply = args_on_chardev_compat},
	{"s", NOTED, "QEMU waits for a debugger on TCP port 1234 of the destination, as it does here", .bare = true},
	{"echr", .meaning = CARRIED},

	/* displays */
	{"vnc", RULE, .apply = args_on_vnc},
	{"spice", RULE, .apply = args_on_spice},
	{"display", RULE, .apply = args_on_display},
	{"sdl", RULE, .apply = args_on_window, .bare = true},
	{"curses", RULE, .apply = args_on_window, .bare = true},
	{"nographic", RULE, .apply = args_on_nographic, .bare = true},
	{"full-screen", DROPPED, A_WINDOW, .bare = true},
	{"no-frame", DROPPED, A_WINDOW, .bare = true},
	{"no-quit", DROPPED, A_WINDOW, .bare = true},
	{"alt-grab", DROPPED, A_WINDOW, .bare = true},
	{"ctrl-grab", DROPPED, A_WINDOW, .bare = true},
	{"show-cursor", DROPPED, A_WINDOW, .bare = true},
	{"portrait", DROPPED, A_WINDOW, .bare = true},
	{"rotate", DROPPED, .why = A_WINDOW},

	/* the process */
	{"nodefaults", CARRIED, .bare = true},
	{"no-user-config", CARRIED, .bare = true},
	{"nodefconfig", CARRIED, .bare = true},
	{"no-reboot", CARRIED, .bare = true},
	{"no-shutdown", CARRIED, .bare = true},
	{"only-migratable", CARRIED, .bare = true},
	{"sandbox", .meaning = CARRIED},
	{"enable-fips", CARRIED, .bare = true},
	{"async-teardown", CARRIED, .bare = true},
	{"run-with", RULE, .apply = args_on_run_with},
	{"runas", RULE, .apply = args_on_run_with},
	{"chroot", RULE, .apply = args_on_run_with},
	{"pidfile", OUTPUT, .role = ARGS_PIDFILE},
	{"D", OUTPUT, .role = ARGS_LOG},
	{"d", .meaning = CARRIED},
	{"dfilter", .meaning = CARRIED},
	{"msg", .meaning = CARRIED},
	{"trace", RULE, .apply = args_on_trace},
	{"plugin", RULE, .apply = args_on_file_keys},
	{"perfmap", CARRIED, .bare = true},
	{"jitdump", CARRIED, .bare = true},
	{"enable-sync-profile", CARRIED, .bare = true},

	/* how it starts */
	{"S", SILENT, .bare = true},
	{"incoming", .meaning = SILENT},
	{"daemonize", DROPPED, SOURCE_START, .bare = true},
	{"preconfig", DROPPED, SOURCE_START, .bare = true},
	{"loadvm", DROPPED, .why = SOURCE_START},
	{"id", DROPPED, .why = "only Proxmox's QEMU has it"},
	{"writeconfig", DROPPED, .why = SOURCE_START},
	{"dump-vmstate", DROPPED, .why = SOURCE_START},

	/* tests of QEMU itself */
	{"qtest", REFUSED, .why = "it is driven by QEMU's own test program"},
	{"qtest-log", REFUSED, .why = "it is driven by QEMU's own test program"},
	{"add-fd", RULE, .apply = refuse_add_fd},
};

/* ---- the walk ---- */

static const struct rule *rule_of(const char *name)
{
	return ROW_OF(rules, name, name);
}

static int apply_path(struct rewrite *w, const struct rule *rule, struct item *it)
{
	AUTO_FREE char *what = xasprintf("-%s", it->name);
	AUTO_FREE char *path = xstrdup(it->value);

	args_file(w, it, rule->role, rule->meaning == PATH, rule->meaning == OUTPUT ? what : NULL, &path);
	if (w->o->in_place && rule->role == ARGS_LOG)
		args_note(w, "what is in the log %s is lost: the new QEMU begins it anew", path);
	args_emit(w, it->name, path);
	return 0;
}

/* Options with properties, whose "fd" is an inherited descriptor. */
static bool has_descriptor(const struct item *it)
{
	static const char *const options[] = {"chardev", "netdev", "nic",   "net",    "device",	 "object",
					      "fsdev",	 "virtfs", "drive", "tpmdev", "blockdev"};
	static const char *const keys[] = {"fd", "fds", "vhostfd", "vhostfds", "sock_fd"};

	if (!args_among(it->name, options, ARRAY_LEN(options)))
		return false;
	for (size_t i = 0; i < it->p.l.n; i++)
		if ((it->p.l.v[i].key && args_among(it->p.l.v[i].key, keys, ARRAY_LEN(keys))) ||
		    text_starts_with(it->p.l.v[i].value, "/dev/fdset/"))
			return true;
	return false;
}

static int apply_rule(struct rewrite *w, struct item *it)
{
	const struct rule *rule = rule_of(it->name);

	if (!rule) {
		args_note(w, "-%s is not known to this vmferry and carried as it is", it->name);
		args_emit(w, it->name, it->value);
		return 0;
	}
	if (!rule->bare && !it->value)
		return err_set(w->e, EINVAL, "the guest's command line ends after -%s, without its value", it->name);
	if (has_descriptor(it) && !args_network_is_mapped(w, it))
		return args_refuse_descriptor(w, it);
	switch (rule->meaning) {
	case NOTED:
		if (args_check_in_place(w, it, ARGS_ONE_PORT)) /* -s */
			return -w->e->code;
		args_note(w, "-%s: %s", it->name, rule->why);
		break;
	case CARRIED:
		break;
	case PATH:
	case OUTPUT:
		return apply_path(w, rule, it);
	case DROPPED:
		args_note(w, "-%s%s%s is left out: %s", it->name, it->value ? " " : "", it->value ? it->value : "", rule->why);
		return 0;
	case SILENT:
		return 0;
	case REFUSED:
		return err_set(w->e, EINVAL, "the guest runs with -%s: %s", it->name, rule->why);
	case RULE:
		if (it->p.broken)
			return err_set(w->e, EINVAL, "cannot read -%s %s: it is no JSON", it->name, it->value);
		return rule->apply(w, it);
	}
	args_emit(w, it->name, it->value);
	return 0;
}

static void append_ours(struct rewrite *w)
{
	struct kv_list l = {.n = 0};
	AUTO_FREE char *value = NULL;

	if (!w->machine_typed && w->o->machine) {
		args_emit(w, "machine", w->o->machine);
		args_note(w, w->o->no_state ? "machine type is %s" : "machine type is pinned to %s, the default of the source's QEMU",
			  w->o->machine);
	}
	if (!w->has_display) {
		args_emit(w, "display", "none");
		args_note(w, "no display is named: the destination runs with -display none");
	}
	if (!w->o->no_state)
		args_emit(w, "incoming", "defer");
	args_emit(w, "S", NULL);
	if (!w->o->private_qmp)
		return;
	value = xasprintf("unix:%s", w->o->private_qmp);
	kv_append(&l, NULL, value);
	kv_append(&l, "server", "on");
	/* a client that connects while QEMU sets up its monitor is greeted twice or not at all, so QEMU waits for us before that */
	kv_append(&l, "wait", "on");
	args_emit_list(w, "qmp", &l);
	kv_fini(&l);
}

static void read_items(struct rewrite *w, char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	size_t i = 1;

	w->items = xcalloc(argc, sizeof(*w->items));
	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct item *it = &w->items[w->item_count++];

		*it = (struct item){.name = opt.name, .value = opt.value};
		props_parse(&it->p, opt.value);
	}
}

static void finish(struct rewrite *w)
{
	for (size_t i = 0; i < w->item_count; i++)
		props_fini(&w->items[i].p);
	for (size_t i = 0; i < w->ref_count; i++)
		free(w->refs[i].value);
	free(w->refs);
	json_decref(w->said);
	free(w->items);
	json_decref(w->moved);
	json_decref(w->taken);
}

/* The program may have another name there, and in the script that starts the guest again. */
static void write_in_accelerator(struct rewrite *w, char *const *argv, size_t argc)
{
	struct args_basics b;

	qemu_args_basics(&b, argv, argc);
	if (!b.kvm_by_name)
		return;
	args_emit(w, "accel", "kvm");
	args_emit(w, "accel", "tcg");
	args_note(w, "QEMU tries KVM first, as the source's program is called %s: -accel kvm -accel tcg", path_base(argv[0]));
}

/* Goes on after an option that cannot be carried if the caller wants to hear of all such options. */
static int go_on(const struct rewrite *w, int r)
{
	if (!r || !w->o->refused)
		return r;
	w->o->refused(w->o->ctx, w->e);
	return 0;
}

static int rewrite_expanded(struct rewrite *w, char *const *argv, size_t argc)
{
	int r;

	read_items(w, argv, argc);
	args_index(w);
	args_mark_ejected(w);
	args_find_files(w);
	emit(w, argv[0]);
	write_in_accelerator(w, argv, argc);
	r = w->o->at_rest ? 0 : go_on(w, args_check_monitors(w));
	if (r == 0)
		r = go_on(w, args_list_nics(w));
	for (size_t i = 0; i < w->item_count && r == 0; i++)
		r = go_on(w, apply_rule(w, &w->items[i]));
	if (r == 0)
		append_ours(w);
	finish(w);
	return r;
}

int qemu_args_rewrite(struct args_result *out, char *const *argv, size_t argc, const struct args_options *o, struct err *e)
{
	struct args_result result = {.argc = 0};
	struct rewrite w = {.o = o, .r = &result, .e = e};
	char **line;
	size_t count;
	int r;

	if (!argc)
		return err_set(e, EINVAL, "the guest's command line is empty");
	r = qemu_args_expand(&line, &count, argv, argc, o->configs, o->config_count, e);
	if (r < 0)
		return r;
	r = rewrite_expanded(&w, line, count);
	args_free_strings(line, count);
	if (r == 0)
		*out = result;
	else
		args_result_fini(&result);
	return r;
}

int qemu_args_check_monitors(char *const *argv, size_t argc, struct err *e)
{
	const struct args_options o = {.at_rest = true};
	struct rewrite w = {.o = &o, .e = e};
	int r;

	read_items(&w, argv, argc);
	args_index(&w);
	r = args_check_monitors(&w);
	finish(&w);
	return r;
}

void args_free_strings(char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

static void free_nic(struct args_nic *n)
{
	FREE_ALL(n->netdev, n->device, n->model, n->mac, n->type, n->attach, n->to_type, n->to_attach, n->stand_in);
}

void args_result_fini(struct args_result *r)
{
	args_free_strings(r->argv, r->argc);
	args_free_strings(r->notes, r->note_count);
	for (size_t i = 0; i < r->file_count; i++) {
		FREE_ALL(r->files[i].option, r->files[i].path, r->files[i].format, r->files[i].to);
	}
	free(r->files);
	for (size_t i = 0; i < r->nic_count; i++)
		free_nic(&r->nics[i]);
	free(r->nics);
	*r = (struct args_result){.argc = 0};
}
