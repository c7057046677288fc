/* html-input.c: see html-input.h. */
#include "html-input.h"
#include "html-value.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CHUNK (1u << 20)

/* ---- bytes ---- */

static int read_all(int fd, char **text, size_t *n, struct err *e)
{
	size_t cap = CHUNK;
	char *p = xmalloc(cap);
	ssize_t r;

	for (*n = 0; (r = read(fd, p + *n, cap - *n)) != 0;) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			free(p);
			return err_sys(e, errno, "cannot read it");
		}
		*n += (size_t)r;
		if (*n > INPUT_MAX) {
			free(p);
			return err_set(e, EFBIG, "it is larger than %u MiB, the most that a report is made of", INPUT_MAX >> 20);
		}
		if (*n == cap)
			p = xrealloc(p, cap *= 2);
	}
	*text = p;
	return 0;
}

/* JSON grows many times when parsed, so its values are counted first. */
static int check_size(const char *text, size_t n, struct err *e)
{
	size_t values = 0, containers = 0, i;

	if (n > INPUT_MAX)
		return err_set(e, EFBIG, "it is larger than %u MiB, the most that a report is made of", INPUT_MAX >> 20);
	for (i = 0; i < n; i++) {
		values += text[i] == ',';
		containers += text[i] == '{' || text[i] == '[';
	}
	if (values > INPUT_VALUES_MAX || containers > INPUT_CONTAINERS_MAX)
		return err_set(e, E2BIG,
			       "it has more than %u million values, or %u million arrays and objects, the most that a report is made of",
			       INPUT_VALUES_MAX >> 20, INPUT_CONTAINERS_MAX >> 20);
	return 0;
}

/* ---- what it is ---- */

static int bad_json(struct err *e, const json_error_t *je, long long line)
{
	char text[JSON_ERROR_TEXT_LENGTH];

	snprintf(text, sizeof(text), "%s", je->text); /* the text quotes the file */
	text_make_utf8(text);
	text_make_printable(text, false);
	return err_set(e, EINVAL, "line %lld, column %d: %s. It is not JSON, or was cut off: take the file as vmferry wrote it", line,
		       je->column, text);
}

static size_t line_length(const char *text, size_t n)
{
	const char *end = memchr(text, '\n', n);

	return end ? (size_t)(end - text) : n;
}

static bool is_blank(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(" \t\r", text[i]) || !text[i])
			return false;
	return true;
}

/* True if the first line of the text is an event, or the line of status with which `status --follow` begins. */
static bool begins_with_event(const char *text, size_t n)
{
	json_auto_t *first = json_loadb(text, line_length(text, n), 0, NULL);

	return value_text(first, "event") || (value_text(first, "stage") && value_text(first, "guest"));
}

static int parse_lines(struct input *in, const char *text, size_t n, struct err *e)
{
	size_t at, length;
	long long line = 1;
	json_error_t je;
	json_t *event;

	in->root = json_array();
	for (at = 0; at < n; at += length + 1, line++) {
		length = line_length(text + at, n - at);
		if (is_blank(text + at, length))
			continue;
		event = json_loadb(text + at, length, 0, &je);
		if (!event && at + length == n && json_array_size(in->root)) {
			in->is_cut = true;
			return 0;
		}
		if (!event)
			return bad_json(e, &je, line);
		json_array_append_new(in->root, event);
	}
	return 0;
}

int input_parse(struct input *in, const char *text, size_t n, struct err *e)
{
	json_error_t je;
	int r;

	*in = (struct input){.root = NULL};
	if (is_blank(text, n))
		return err_set(e, EINVAL, "it is empty");
	r = check_size(text, n, e);
	if (r)
		return r;
	in->is_move = begins_with_event(text, n);
	if (in->is_move) {
		r = parse_lines(in, text, n, e);
	} else {
		in->root = json_loadb(text, n, JSON_DECODE_ANY, &je);
		r = in->root ? 0 : bad_json(e, &je, je.line);
	}
	if (r)
		input_fini(in);
	return r;
}

int input_read(struct input *in, const char *path, struct err *e)
{
	bool is_stdin = !strcmp(path, "-");
	AUTO_CLOSE int fd = is_stdin ? dup(0) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_FREE char *text = NULL;
	size_t n;
	int r;

	*in = (struct input){.root = NULL};
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	r = read_all(fd, &text, &n, e) ?: input_parse(in, text, n, e);
	if (r)
		return err_prefix(e, "%s", is_stdin ? "standard input" : path);
	if (is_stdin) {
		in->text = text;
		in->text_length = n;
		text = NULL;
	}
	return 0;
}

void input_fini(struct input *in)
{
	json_decref(in->root);
	free(in->text);
	*in = (struct input){.root = NULL};
}

/* ---- several runs ---- */

/* Names a property in which two runs differ, if it changes their figures and is not a property of cells; NULL: none. Older files may
 * lack some, except those of the machine. */
static const char *different(const json_t *a, const json_t *b)
{
	static const struct {
		const char *part, *member; /* part NULL: of the file itself */
		bool machine;
	} all[] = {{"environment", "cpu", true},	 {"environment", "cores", true},    {"environment", "memory_bytes", true},
		   {"environment", "kernel", true},	 {"environment", "qemu", true},	    {"environment", "accel", true},
		   {"environment", "where", true},	 {NULL, "software", true},	    {"environment", "tcp_congestion", false},
		   {"environment", "qemu_there", false}, {"environment", "libvirt", false}, {"plan", "disks", false},
		   {"plan", "disk_mib", false},		 {"plan", "disk_data_mib", false},  {"plan", "max_downtime_ms", false}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const json_t *x = json_object_get(all[i].part ? json_object_get(a, all[i].part) : a, all[i].member);
		const json_t *y = json_object_get(all[i].part ? json_object_get(b, all[i].part) : b, all[i].member);

		if (x && y ? !json_equal(x, y) : all[i].machine && x != y)
			return all[i].member;
	}
	return NULL;
}

static void add_new(json_t *plan, const json_t *more, const char *name)
{
	json_t *list = json_object_get(plan, name), *v;
	size_t i;

	json_array_foreach(json_object_get(more, name), i, v)
		if (json_is_array(list) && !json_has(list, v))
			json_array_append(list, v);
}

/* A file that does not say it has noise. */
static void say_content(json_t *moves, const json_t *plan)
{
	const char *content = value_text(plan, "content");
	json_t *m;
	size_t i;

	json_array_foreach(moves, i, m)
		if (json_is_object(m) && !json_object_get(m, "content"))
			json_object_set_new(m, "content", json_string(content ? content : "noise"));
}

static void join_plans(json_t *plan, const json_t *more)
{
	static const char *const lists[] = {"links", "mem_mib", "workloads", "tools"};
	double a = value_of(plan, "repeat"), b = value_of(more, "repeat");

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		add_new(plan, more, lists[i]);
	if (b < a)
		json_object_set(plan, "repeat", json_object_get(more, "repeat"));
	if (!(a == b))
		json_object_set_new(plan, "repeat_is_least", json_true());
	json_object_del(plan, "content"); /* each move has it */
}

int input_join(struct input *in, const struct input *more, struct err *e)
{
	json_t *moves = json_object_get(in->root, "moves"), *others = json_object_get(more->root, "moves"), *m;
	size_t i;

	if (in->is_move || more->is_move || !json_is_array(moves) || !json_is_array(others))
		return err_set(e, EINVAL, "several files make one page only if each is of a run of `vmferry bench`");
	if (different(in->root, more->root))
		return err_set(e, ESTALE,
			       "its %s is not that of the others, and its figures cannot stand beside theirs: make a page of its own",
			       different(in->root, more->root));
	say_content(moves, json_object_get(in->root, "plan"));
	say_content(others, json_object_get(more->root, "plan"));
	json_array_foreach(others, i, m) {
		if (json_is_object(m))
			json_object_set_new(m, "number", json_integer((json_int_t)json_array_size(moves) + 1));
		json_array_append(moves, m);
	}
	join_plans(json_object_get(in->root, "plan"), json_object_get(more->root, "plan"));
	if (value_of(more->root, "began_at") < value_of(in->root, "began_at"))
		json_object_set(in->root, "began_at", json_object_get(more->root, "began_at"));
	if (!json_object_get(more->root, "ended_at"))
		json_object_del(in->root, "ended_at");
	else if (value_of(more->root, "ended_at") > value_of(in->root, "ended_at"))
		json_object_set(in->root, "ended_at", json_object_get(more->root, "ended_at"));
	return 0;
}
