/* qemu-args-read.c: reads a QEMU command line without changing it; see qemu-args.h. */
#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <string.h>

bool qemu_args_has(char *const *argv, size_t argc, const char *option)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt))
		if (!strcmp(opt.name, option))
			return true;
	return false;
}

char *qemu_args_name(char *const *argv, size_t argc)
{
	struct qemu_opt opt;
	size_t i = 1;
	char *name = NULL;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct kv_list l;
		const char *guest;

		if (strcmp(opt.name, "name") || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		guest = kv_get(&l, "guest", "guest");
		if (guest)
			kv_replace(&name, xstrdup(guest));
		kv_fini(&l);
	}
	return name;
}

struct strings {
	char **v;
	size_t n;
	bool of_tcp; /* ports are wanted, and no paths */
};

static void add_string(struct strings *s, const char *text)
{
	words_add(&s->v, &s->n, xstrdup(text));
}

/* Adds a port, if it is one, as TCP_MONITOR_PREFIX and the number. A socket that speaks telnet, WebSocket or TLS does not speak plain
 * QMP. */
static void add_port(struct strings *s, const char *port, const struct kv_list *l)
{
	AUTO_FREE char *text = port ? xasprintf(TCP_MONITOR_PREFIX "%s", port) : NULL;

	if (text_is_digits(port) && kv_flag(l, "server", false) && !kv_flag(l, "telnet", false) && !kv_flag(l, "tn3270", false) &&
	    !kv_flag(l, "websocket", false) && !kv_get(l, "tls-creds", NULL))
		add_string(s, text);
}

/* Adds the path or the port at which -chardev socket,id=ID listens, if it does. */
static void add_chardev_path(struct strings *s, char *const *argv, size_t argc, const char *id)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (id && qemu_opt_next(argv, argc, &i, &opt)) {
		const char *found, *backend, *path;
		struct kv_list l;

		if (strcmp(opt.name, "chardev") || !opt.value || !strstr(opt.value, id))
			continue;
		kv_parse(&l, opt.value);
		found = kv_get(&l, "id", NULL);
		backend = kv_get(&l, "backend", "backend");
		path = kv_get(&l, "path", NULL);
		if (found && !strcmp(found, id) && backend && !strcmp(backend, "socket")) {
			if (s->of_tcp && !path)
				add_port(s, kv_get(&l, "port", NULL), &l);
			else if (!s->of_tcp && path && kv_flag(&l, "server", false))
				add_string(s, path);
		}
		kv_fini(&l);
	}
}

static void add_compat_path(struct strings *s, char *const *argv, size_t argc, const char *dev)
{
	struct kv_list l;
	const char *path;

	if (!strncmp(dev, "chardev:", 8)) {
		add_chardev_path(s, argv, argc, dev + 8);
		return;
	}
	if (strncmp(dev, s->of_tcp ? "tcp:" : "unix:", s->of_tcp ? 4 : 5))
		return;
	kv_parse(&l, strchr(dev, ':') + 1);
	path = kv_get(&l, "path", "path");
	if (s->of_tcp && path && strrchr(path, ':'))
		add_port(s, strrchr(path, ':') + 1, &l);
	else if (!s->of_tcp && path && kv_flag(&l, "server", false))
		add_string(s, path);
	kv_fini(&l);
}

bool args_monitor_of(struct args_monitor *out, const char *name, const char *value)
{
	bool is_object = !strcmp(name, "object");
	const char *kind, *chardev;
	struct props p;

	*out = (struct args_monitor){.chardev = NULL};
	if (!value || (!is_object && strcmp(name, "mon")))
		return false;
	props_parse(&p, value);
	kind = is_object ? kv_get(&p.l, "qom-type", "qom-type") : kv_get(&p.l, "mode", NULL);
	chardev = kv_get(&p.l, "chardev", is_object ? NULL : "chardev");
	if (chardev && (!is_object || (kind && (!strcmp(kind, "monitor-qmp") || !strcmp(kind, "monitor-hmp"))))) {
		const char *closing = is_object ? kv_get(&p.l, "close-action", NULL) : NULL;

		out->chardev = xstrdup(chardev);
		out->control = kind && !strcmp(kind, is_object ? "monitor-qmp" : "control");
		out->ends = closing && !strcmp(closing, "delete");
	}
	props_fini(&p);
	return out->chardev != NULL;
}

static size_t monitors_of(char *const *argv, size_t argc, bool of_tcp, char ***out)
{
	struct strings s = {.of_tcp = of_tcp};
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct args_monitor m;

		if (opt.value && (!strcmp(opt.name, "qmp") || !strcmp(opt.name, "qmp-pretty")))
			add_compat_path(&s, argv, argc, opt.value);
		if (!args_monitor_of(&m, opt.name, opt.value))
			continue;
		if (m.control && !m.ends) /* the monitor's user would lose it when we disconnect */
			add_chardev_path(&s, argv, argc, m.chardev);
		free(m.chardev);
	}
	*out = s.v;
	return s.n;
}

size_t qemu_args_qmp_paths(char *const *argv, size_t argc, char ***out)
{
	return monitors_of(argv, argc, false, out);
}

size_t qemu_args_qmp_ports(char *const *argv, size_t argc, char ***out)
{
	return monitors_of(argv, argc, true, out);
}

/* -m: MiB unless a unit stands behind it. */
static uint64_t memory_size(const char *text)
{
	size_t n = strlen(text);
	uint64_t bytes;

	if (!n || parse_bytes(text, &bytes) < 0)
		return 0;
	return text[n - 1] >= '0' && text[n - 1] <= '9' && bytes < UINT64_MAX / MIB ? bytes * MIB : bytes;
}

static unsigned count_of(const struct kv_list *l, const char *key, const char *implied)
{
	const char *text = kv_get(l, key, implied);
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;

	return n < 65536 ? (unsigned)n : 0;
}

/* -smp: the number, or what the levels multiply to. */
static unsigned cpu_count(const struct kv_list *l)
{
	static const char *const levels[] = {"drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads"};
	unsigned n = count_of(l, "cpus", "cpus"), each;
	size_t i;

	if (n)
		return n;
	for (n = 1, i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		each = count_of(l, levels[i], NULL);
		if (each && n < 65536)
			n *= each;
	}
	return n;
}

static bool names_kvm(const char *accels)
{
	return accels && !strncmp(accels, "kvm", 3) && (!accels[3] || accels[3] == ':');
}

void qemu_args_basics(struct args_basics *out, char *const *argv, size_t argc)
{
	struct args_basics b = {.ram_bytes = 128 * MIB, .vcpus = 1};
	struct qemu_opt opt;
	bool named = false;
	size_t i = 1;

	while (qemu_opt_next(argv, argc, &i, &opt)) {
		struct kv_list l;

		kv_parse(&l, opt.value ? opt.value : "");
		if (!strcmp(opt.name, "m") && kv_get(&l, "size", "size"))
			b.ram_bytes = memory_size(kv_get(&l, "size", "size"));
		else if (!strcmp(opt.name, "smp"))
			b.vcpus = cpu_count(&l);
		else if (!strcmp(opt.name, "enable-kvm"))
			b.kvm = named = true;
		else if (!strcmp(opt.name, "accel") && !named) /* the first one that works counts */
			b.kvm = names_kvm(kv_get(&l, "accel", "accel")), named = true;
		else if ((!strcmp(opt.name, "machine") || !strcmp(opt.name, "M")) && kv_get(&l, "accel", NULL))
			b.kvm = names_kvm(kv_get(&l, "accel", NULL)), named = true;
		kv_fini(&l);
	}
	/* a program of that name tries KVM first (system/vl.c) */
	if (!named && argc && strlen(argv[0]) >= 3 && !strcmp(argv[0] + strlen(argv[0]) - 3, "kvm"))
		b.kvm = b.kvm_by_name = true;
	*out = b;
}

size_t qemu_args_config_paths(char *const *argv, size_t argc, char ***out)
{
	struct strings s = {.n = 0};
	struct qemu_opt opt;
	size_t i = 1;

	while (s.n < ARGS_CONFIG_COUNT && qemu_opt_next(argv, argc, &i, &opt))
		if (opt.value && !strcmp(opt.name, "readconfig"))
			add_string(&s, opt.value);
	*out = s.v;
	return s.n;
}
