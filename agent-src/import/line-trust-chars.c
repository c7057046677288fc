/*
 * line-trust-chars.c: what a stranger's character devices, monitors and displays open here. Whether something leads to a network goes by its kind, and not
 * by the properties that it has, which may be another kind's. The last of several of one name is what counts for QEMU.
 */
#include "line-trust-private.h"
#include "qemu-args-monitors.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- monitors ---- */

/* -chardev hub and mux have others behind them: "chardevs.0=ID", "chardev=ID". */
static bool stands_behind(const char *value, const char *id)
{
	struct props p;
	bool yes = false;

	props_parse(&p, value);
	for (size_t i = 0; i < p.l.n && !yes; i++)
		yes = p.l.v[i].key && !strncmp(p.l.v[i].key, "chardev", 7) && !strcmp(p.l.v[i].value, id);
	props_fini(&p);
	return yes;
}

/* True if a monitor is, or can be, behind that character device. */
static bool serves_monitor(const struct judge *j, const struct kv_list *chardev)
{
	const char *id = kv_get(chardev, "id", NULL);
	struct qemu_opt opt;
	size_t i = 1;
	bool yes = kv_flag(chardev, "mux", false);

	while (!yes && id && qemu_opt_next(j->line->argv, j->line->argc, &i, &opt)) {
		static const char *const options[] = {"monitor", "qmp", "qmp-pretty", "gdb"};
		struct args_monitor m;

		if (args_monitor_of(&m, opt.name, opt.value)) {
			yes = !strcmp(m.chardev, id);
			free(m.chardev);
		} else if (opt.value && judge_among(opt.name, options, ARRAY_LEN(options))) {
			yes = !strcmp(opt.value + (strncmp(opt.value, "chardev:", 8) ? 0 : 8), id);
		} else if (opt.value && !strcmp(opt.name, "chardev")) {
			yes = stands_behind(opt.value, id);
		}
	}
	return yes;
}

int judge_monitors(struct judge *j)
{
	struct err why;

	if (!qemu_args_check_monitors(j->line->argv, j->line->argc, &why))
		return 0;
	if (j->trusted)
		return judge_say_monitor(j, why.msg);
	return err_set(j->e, EINVAL,
		       "the command line has a monitor that others may reach: %.300s: take it from whom you trust, and say --trust-line",
		       why.msg);
}

/* ---- character devices ---- */

int judge_chardev(struct judge *j)
{
	static const char *const local[] = {"null",	"vc",	   "ringbuf", "memory",	  "file",     "pipe",	   "pty",
					    "stdio",	"serial",  "tty",     "parallel", "parport",  "msmouse",   "testdev",
					    "wctablet", "braille", "mux",     "hub",	  "spicevmc", "spiceport", "qemu-vdagent"};
	bool is_socket, is_open;
	const char *kind;
	struct props p;
	int r;

	props_parse(&p, j->value);
	kind = kv_get(&p.l, "backend", "backend") ?: "";
	is_socket = !strcmp(kind, "socket");
	is_open = !strcmp(kind, "udp") || (is_socket && !kv_get(&p.l, "path", NULL));
	r = is_open || is_socket || judge_among(kind, local, ARRAY_LEN(local)) ? 0
									       : judge_object(j, "a character device that " NOT_HARMLESS);
	r = r ?: judge_list(j, &p.l, 0);
	if (!r && is_open)
		r = judge_open_port(j, kv_get(&p.l, "host", NULL) ?: "", serves_monitor(j, &p.l));
	props_fini(&p);
	return r;
}

/* Refuses a word behind the address that names another address. */
static int judge_socket_words(struct judge *j, const struct kv_list *l)
{
	static const char *const words[] = {"server",	 "wait",      "delay",	 "nodelay",	 "telnet",    "tn3270",
					    "websocket", "reconnect", "mux",	 "reconnect-ms", "tls-creds", "tls-authz",
					    "ipv4",	 "ipv6",      "logfile", "logappend",	 "abstract",  "tight"};

	for (size_t i = 1; i < l->n; i++) {
		const char *word = l->v[i].key ?: l->v[i].value;

		if (!judge_among(word, words, ARRAY_LEN(words)) &&
		    (strncmp(word, "no", 2) || !judge_among(word + 2, words, ARRAY_LEN(words))))
			return judge_object(j, "which says more than one address, or what is not known to vmferry");
	}
	return 0;
}

/* KIND:HOST:PORT,… */
static int judge_socket(struct judge *j, const char *rest, bool is_unix, bool monitor)
{
	size_t n = strcspn(rest, ",");
	AUTO_FREE char *host = xstrndup(rest, n);
	char *colon = strrchr(host, ':');
	AUTO_KV struct kv_list l;
	int r;

	if (colon)
		*colon = '\0';
	kv_parse(&l, rest);
	r = judge_socket_words(j, &l) ?: judge_list(j, &l, !is_unix);
	return r || is_unix ? r : judge_open_port(j, host, monitor);
}

/* The value of -serial, -monitor and their like. */
int judge_compat(struct judge *j)
{
	static const char *const monitors[] = {"monitor", "qmp", "qmp-pretty", "gdb"};
	static const char *const sockets[] = {"unix", "tcp", "telnet", "tn3270", "websocket", "udp"};
	static const char *const harmless[] = {"null", "none", "stdio", "pty", "vc", "chardev", "msmouse", "wctablet", "ringbuf"};
	bool mon = !strncmp(j->value, "mon:", 4);
	const char *dev = j->value + (mon ? 4 : 0), *rest = dev + strcspn(dev, ":");
	AUTO_FREE char *kind = xstrndup(dev, strcspn(dev, ":,"));

	rest += !!*rest;
	if (judge_among(kind, sockets, ARRAY_LEN(sockets)))
		return judge_socket(j, rest, !strcmp(kind, "unix"), mon || judge_among(j->option, monitors, ARRAY_LEN(monitors)));
	if (judge_among(kind, harmless, ARRAY_LEN(harmless)))
		return strchr(dev, '/') ? judge_object(j, NOT_HARMLESS) : 0;
	return judge_name(j, strcmp(kind, "file") && strcmp(kind, "pipe") ? dev : rest, true);
}

/* -s: -gdb tcp::1234 */
int judge_gdb(struct judge *j)
{
	return judge_open_port(j, "", true);
}

/* ---- displays ---- */

/* An address of a display: "unix:PATH", "none", or HOST:DISPLAY, which sets *open. */
static int judge_vnc_address(struct judge *j, const char *at, bool *open)
{
	if (!strncmp(at, "unix:", 5))
		return judge_name(j, at + 5, true); /* QEMU removes what has that name */
	*open |= strcmp(at, "none") != 0;
	return 0;
}

/* A word of -vnc says whose display it is, or another address at which it can be seen. */
static int judge_vnc_word(struct judge *j, const struct kv *p, bool *open)
{
	static const char *const words[] = {"id",
					    "share",
					    "display",
					    "head",
					    "connections",
					    "to",
					    "ipv4",
					    "ipv6",
					    "password",
					    "reverse",
					    "password-secret",
					    "lock-key-sync",
					    "key-delay-ms",
					    "lossy",
					    "non-adaptive",
					    "audiodev",
					    "power-control",
					    "sasl",
					    "sasl-authz",
					    "tls-authz",
					    "tls-creds",
					    "acl",
					    "tls",
					    "x509",
					    "x509verify"};
	const char *word = p->key ?: p->value;

	if (!strcmp(word, "vnc"))
		return judge_vnc_address(j, p->value, open);
	if (!strcmp(word, "websocket")) {
		*open |= !p->key || strncmp(p->value, "unix:", 5);
		return p->key ? judge_pair(j, p->key, p->value) : 0;
	}
	if (!judge_among(word, words, ARRAY_LEN(words)) && (strncmp(word, "no", 2) || !judge_among(word + 2, words, ARRAY_LEN(words))))
		return judge_object(j, "a property that " NOT_HARMLESS);
	return p->key ? judge_pair(j, p->key, p->value) : 0;
}

static int judge_vnc(struct judge *j)
{
	AUTO_KV struct kv_list l;
	bool open = false;
	int r = 0;

	kv_parse(&l, j->value);
	for (size_t i = 0; i < l.n && !r; i++)
		r = !i && !l.v[i].key ? judge_vnc_address(j, l.v[i].value, &open) : judge_vnc_word(j, &l.v[i], &open);
	return r || !open ? r : judge_open_port(j, "", false);
}

static int judge_spice(struct judge *j)
{
	AUTO_KV struct kv_list l;
	bool open;
	int r;

	kv_parse(&l, j->value);
	open = kv_get(&l, "tls-port", NULL) || (kv_get(&l, "port", NULL) && !kv_flag(&l, "unix", false));
	r = judge_list(j, &l, 0);
	return r || !open ? r : judge_open_port(j, "", false);
}

int judge_display(struct judge *j)
{
	return strcmp(j->option, "vnc") ? judge_spice(j) : judge_vnc(j);
}
