/* clients.c: see clients.h. */
#include "clients.h"
#include "qemu-opts.h"
#include "tcp-listener.h"
#include "unix-socket.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NOBODY ", where no process listens at the destination"

static bool is_loopback(const char *host)
{
	static const char *const names[] = {"", "localhost", "::1", "[::1]", NULL};

	return word_index(names, host) >= 0 || text_starts_with(host, "127.");
}

/* The port of this host that the socket connects to once, at its start; 0: none that is known. */
static unsigned port_of(const struct kv_list *l, const char *host, const char *port)
{
	bool waits = kv_flag(l, "server", false) || args_connects_again(l);

	return !waits && host && is_loopback(host) && text_is_digits(port) ? (unsigned)strtoul(port, NULL, 10) : 0;
}

/* "mon:tcp:127.0.0.1:4444,reconnect-ms=100" */
static unsigned port_of_short_form(const char *value)
{
	static const char *const kinds[] = {"tcp:", "telnet:", "tn3270:"};
	AUTO_FREE char *host = NULL;
	AUTO_KV struct kv_list l = {.n = 0};
	const char *colon;

	value += text_starts_with(value, "mon:") ? 4 : 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (text_starts_with(value, kinds[i]))
			kv_parse(&l, value + strlen(kinds[i]));
	colon = l.n && !l.v[0].key ? strrchr(l.v[0].value, ':') : NULL;
	host = colon ? xasprintf("%.*s", (int)(colon - l.v[0].value), l.v[0].value) : NULL;
	return port_of(&l, host, colon ? colon + 1 : NULL);
}

static unsigned port_of_option(const struct qemu_opt *opt)
{
	static const char *const short_forms[] = {"serial", "parallel", "monitor", "qmp", "qmp-pretty", "debugcon", NULL};
	AUTO_KV struct kv_list l = {.n = 0};

	if (!opt->value || (strcmp(opt->name, "chardev") && word_index(short_forms, opt->name) < 0))
		return 0;
	if (strcmp(opt->name, "chardev"))
		return port_of_short_form(opt->value);
	kv_parse(&l, opt->value);
	return strcmp(kv_get(&l, "backend", "backend") ?: "", "socket") || kv_get(&l, "path", NULL)
		       ? 0
		       : port_of(&l, kv_get(&l, "host", NULL) ?: "", kv_get(&l, "port", NULL));
}

/* True if that is a socket to which QEMU connects, and no process listens on it. A missing file is refused elsewhere, and a switch of vde is a directory. */
static bool is_deaf(const struct args_file *f)
{
	const char *path = f->to ?: f->path;
	struct stat st;

	return f->role == ARGS_CONNECT && path && *path == '/' && !stat(path, &st) && S_ISSOCK(st.st_mode) && !unix_is_bound(path);
}

/* Sentences, a new array. */
static json_t *unheard(const struct args_result *line)
{
	json_t *out = json_array();
	struct qemu_opt opt;
	size_t i;

	for (i = 0; i < line->file_count; i++)
		if (is_deaf(&line->files[i]))
			json_array_append_new(out, json_sprintf("-%s connects to %s" NOBODY, line->files[i].option,
								line->files[i].to ?: line->files[i].path));
	for (i = 1; qemu_opt_next(line->argv, line->argc, &i, &opt);) {
		unsigned port = port_of_option(&opt);

		if (port && !tcp_is_listened_at(port))
			json_array_append_new(out, json_sprintf("-%s connects to port %u of its host" NOBODY, opt.name, port));
	}
	return out;
}

void clients_examine(struct target *t)
{
	json_auto_t *all = target_is_at_rest(t) ? NULL : unheard(&t->args);
	json_t *one;
	struct err e;
	size_t i;

	json_array_foreach(all, i, one) {
		err_set(&e, ECONNREFUSED, "%s: start what is to listen there first", json_string_value(one));
		target_obstacle(t, &e);
	}
}

void clients_tell(const struct target *t, json_t *cautions)
{
	json_auto_t *all = target_is_at_rest(t) ? unheard(&t->args) : NULL;
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one) {
		json_array_append_new(cautions, json_sprintf("%s yet: its QEMU starts only once one does", json_string_value(one)));
	}
}
