/* list-host.c: see list-host.h. All that is shown is the other host's word. */
#include "list-host.h"
#include "exit-code.h"
#include "json-text.h"
#include "text-table.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS	    5
#define GUESTS_MAX  4096
#define VOLUMES_MAX 64

bool list_is_host(const char *word)
{
	return !strchr(word, '/') ? strchr(word, '@') != NULL : text_starts_with(word, "ssh://");
}

static size_t count_of(const json_t *all, const char *key, size_t most)
{
	return MIN(json_array_size(json_object_get(all, key)), most);
}

static void print_host(const json_t *all, const char *where)
{
	AUTO_FREE char *name = text_shown(where);
	char total[24], available[24];

	printf("%s: ", name);
	if (json_bytes(all, "memory_total"))
		printf("%s of memory, %s available; ", format_bytes(total, json_bytes(all, "memory_total")),
		       format_bytes(available, json_bytes(all, "memory_available")));
	printf("%d processors, load %.1f\n", (int)json_integer_value(json_object_get(all, "processors")),
	       json_number_value(json_object_get(all, "load")));
}

static void print_volumes(const json_t *all)
{
	size_t n = count_of(all, "volumes", VOLUMES_MAX), i;
	AUTO_FREE char **cells = xcalloc(2 * n + 1, sizeof(*cells));
	char free_bytes[24], total[24];

	for (i = 0; i < n; i++) {
		const json_t *v = json_array_get(json_object_get(all, "volumes"), i);
		AUTO_FREE char *dir = text_shown(json_text(v, "dir"));

		cells[2 * i] = xasprintf("  %s", dir);
		cells[2 * i + 1] = xasprintf("%s free of %s", format_bytes(free_bytes, json_bytes(v, "free")),
					     format_bytes(total, json_bytes(v, "total")));
	}
	text_table_print(stdout, cells, 2, n);
	for (i = 0; i < 2 * n; i++)
		free(cells[i]);
}

/* "bridges: br0, lan"; nothing if there are none. member: of each object, its name; NULL: each is a text. */
static void print_names(const json_t *all, const char *key, const char *member, const char *words)
{
	size_t n = count_of(all, key, GUESTS_MAX), i;

	for (i = 0; i < n; i++) {
		const json_t *one = json_array_get(json_object_get(all, key), i);
		AUTO_FREE char *name = text_shown(member ? json_text(one, member) : json_string_value(one));

		printf("%s%s", i ? ", " : words, name);
	}
	if (n)
		putchar('\n');
}

static char *user_of(const json_t *guest)
{
	const json_t *user = json_object_get(guest, "user");

	return json_is_integer(user) ? xasprintf("%lld", (long long)json_integer_value(user)) : text_shown(json_string_value(user));
}

static void print_guests(const json_t *all)
{
	static const char *const heads[COLUMNS] = {"NAME", "PID", "MEMORY", "CPUS", "USER"};
	size_t n = count_of(all, "guests", GUESTS_MAX), i;
	AUTO_FREE char **cells = xcalloc((n + 1) * COLUMNS, sizeof(*cells));
	char bytes[24];

	if (!n) {
		puts("no guest runs there");
		return;
	}
	for (i = 0; i < COLUMNS; i++)
		cells[i] = xstrdup(heads[i]);
	for (i = 0; i < n; i++) {
		const json_t *g = json_array_get(json_object_get(all, "guests"), i);
		char **row = &cells[(i + 1) * COLUMNS];

		row[0] = text_shown(json_text(g, "name"));
		row[1] = xasprintf("%d", (int)json_integer_value(json_object_get(g, "pid")));
		row[2] = xstrdup(format_bytes(bytes, json_bytes(g, "ram_bytes")));
		row[3] = xasprintf("%d", (int)json_integer_value(json_object_get(g, "vcpus")));
		row[4] = user_of(g);
	}
	text_table_print(stdout, cells, COLUMNS, n + 1);
	for (i = 0; i < (n + 1) * COLUMNS; i++)
		free(cells[i]);
}

static int ask(const struct dest_config *cfg, json_t **all, struct err *e)
{
	static const char *const args[] = {"list", NULL};
	AUTO_FREE char *text = NULL;
	int r = dest_ask(cfg, args, &text, e);

	if (r)
		return r;
	*all = json_loads(text, 0, NULL);
	if (json_is_object(*all))
		return 0;
	json_decref(*all);
	return err_set(e, EPROTO, "%s: its vmferry-dst says nothing that can be understood", cfg->where);
}

int list_host(const struct dest_config *cfg, bool json)
{
	struct err e;
	json_t *all;

	if (ask(cfg, &all, &e)) {
		fprintf(stderr, "vmferry: cannot list the guests there: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	if (json) {
		json_text_print(all);
	} else {
		print_host(all, cfg->where);
		print_volumes(all);
		print_names(all, "bridges", NULL, "  bridges: ");
		print_guests(all);
		print_names(all, "coming", "guest", "on the way there: ");
	}
	json_decref(all);
	return 0;
}
