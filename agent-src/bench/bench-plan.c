/* bench-plan.c: what a bench is to measure: links, sizes, workloads, tools, and their order. Pure. */
#include "bench.h"
#include "codec.h"
#include "json-text.h"
#include "object.h"
#include "util.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NETWORK	      "network"
#define CACHED_BEFORE 50 /* percent, in files that do not say */

static const struct workload workloads[] = {
	{"idle", "the guest does nothing but send its heartbeat", "rate=0 disk_rate=0 bg_check=0", NULL, false, false, CACHE_LIVING},
	{"writer", "writes 2000 random pages a second", "rate=2000 disk_rate=0", "rate", false, false, CACHE_LIVING},
	{"hot", "writes 8000 pages a second, all within 32 MiB", "rate=8000 pattern=hot hot_mb=32 disk_rate=0", "rate", false, false,
	 CACHE_LIVING},
	{"disk", "writes 60 times a second to its disk, 34 KiB on average, and discards", "rate=200 disk_rate=60", "disk_rate", true, false,
	 CACHE_LIVING},
	{"cache", "half of its memory is page cache of its disk; 200 pages a second", "rate=200 disk_rate=0", "rate", true, false,
	 CACHE_HALF},
	{"churn", "reads 2000 pages a second of all that its disk holds through the page cache; writes 200",
	 "rate=200 disk_rate=0 cache_rate=2000", "cache_rate", true, false, CACHE_ALL},
	{"compressible", "all that it writes to its memory compresses well; 500 pages a second",
	 "rate=500 disk_rate=0 content=compressible", "rate", false, false, CACHE_NONE},
	{"incompressible", "nothing that it writes to its memory compresses; 500 pages a second",
	 "rate=500 disk_rate=0 content=incompressible", "rate", false, false, CACHE_NONE},
	{"database", "an SQLite database on ext4, 40 durable transactions a second", "rate=0 disk_rate=0 db_rate=40", "db_rate", false,
	 true, CACHE_LIVING},
};

const struct workload *plan_workload(unsigned index)
{
	return index < ARRAY_LEN(workloads) ? &workloads[index] : NULL;
}

/* ---- reading lists ---- */

typedef int (*take_fn)(struct bench_plan *p, const char *word, struct err *e);

static int take_list(struct bench_plan *p, const char *list, unsigned *count, take_fn take, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(list);
	char *rest = copy, *word;
	int r = 0;

	*count = 0;
	while (!r && (word = strsep(&rest, ","))) {
		if (*count == BENCH_LIST_MAX)
			return err_set(e, EINVAL, "'%s' has more than %d entries", list, BENCH_LIST_MAX);
		r = take(p, word, e);
		*count += !r;
	}
	return r;
}

/* Bits per second; 0: it is no rate. */
static double rate_bits(const char *text)
{
	static const struct {
		const char *unit;
		double bits;
	} units[] = {{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}};
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (end != text && *text != '-' && !strcmp(end, units[i].unit) && number <= 1000000)
			return (double)number * units[i].bits;
	return 0;
}

double link_bytes_per_s(const char *link, bool whole)
{
	return rate_bits(link) / 8 * (whole ? 1 : 1448.0 / 1514);
}

static int take_link(struct bench_plan *p, const char *word, struct err *e)
{
	if (strcmp(word, "unshaped") && rate_bits(word) < 1e5)
		return err_set(e, EINVAL, "'%s' is no link: unshaped, or a rate as 100mbit, 1gbit, 10gbit", word);
	p->links[p->link_count] = xstrdup(word);
	return 0;
}

/* Takes a link from a plan that was made before. */
static int take_planned_link(struct bench_plan *p, const char *word, struct err *e)
{
	if (strcmp(word, NETWORK))
		return take_link(p, word, e);
	p->links[p->link_count] = xstrdup(word);
	return 0;
}

static int take_mem(struct bench_plan *p, const char *word, struct err *e)
{
	uint64_t bytes;

	if (parse_bytes(word, &bytes) || bytes < 256 * MIB || bytes > 1024 * GIB)
		return err_set(e, EINVAL, "'%s' is no size of memory from 256M to 1024G", word);
	p->mem_mib[p->mem_count] = (unsigned)(bytes / MIB);
	return 0;
}

/* "writer=5000": at another rate. */
static int take_rate(struct bench_plan *p, struct workload *w, const char *word, const char *text, struct err *e)
{
	char *end;
	unsigned long rate = strtoul(text, &end, 10);

	if (!w->rate)
		return err_set(e, EINVAL, "'%s': %s has no rate that could be changed", word, w->name);
	if (p->own_count + 3 > ARRAY_LEN(p->own))
		return err_set(e, EINVAL, "'%s': --workloads has been given too often", word);
	if (end == text || *end || *text == '-' || rate > WORKLOAD_RATE_MAX)
		return err_set(e, EINVAL, "'%s': a rate is a number up to %d, a second", word, WORKLOAD_RATE_MAX);
	w->witness = p->own[p->own_count++] = xasprintf("%s %s=%lu", w->witness, w->rate, rate);
	w->text = p->own[p->own_count++] = xasprintf("%s; but %lu a second", w->text, rate);
	w->name = p->own[p->own_count++] = xstrdup(word);
	return 0;
}

static int take_workload(struct bench_plan *p, const char *word, struct err *e)
{
	size_t i;

	size_t n = strcspn(word, "=");
	struct workload *w = &p->workloads[p->workload_count];

	for (i = 0; i < ARRAY_LEN(workloads) && (strncmp(word, workloads[i].name, n) || workloads[i].name[n]); i++)
		;
	if (i == ARRAY_LEN(workloads))
		return err_set(e, EINVAL, "there is no workload '%s'; vmferry bench --help lists them", word);
	*w = workloads[i];
	return word[n] ? take_rate(p, w, word, word + n + 1, e) : 0;
}

static int tool_option(struct tool *t, const char *word, struct err *e)
{
	unsigned most = t->kind == TOOL_VMFERRY ? CHANNELS_MAX - 1 : 16; /* limit of vmferry migrate; for QEMU, a sensible one */
	char *end;

	if (!strncmp(word, "channels=", 9) && t->kind != TOOL_SINGLE && t->kind != TOOL_XBZRLE) {
		t->channels = (unsigned)strtoul(word + 9, &end, 10);
		if (word[9] >= '1' && word[9] <= '9' && !*end && t->channels <= most)
			return 0;
	}
	if (!strcmp(word, "tls") && t->kind != TOOL_VIRSH) {
		t->tls = true;
		return 0;
	}
	if (!strcmp(word, "libvirt") && t->kind == TOOL_VMFERRY) {
		t->libvirt = true;
		return 0;
	}
	if (t->kind == TOOL_VMFERRY && !strncmp(word, "from=/", 6) && !t->from) {
		t->from = xstrdup(word + 5);
		return 0;
	}
	if (t->kind == TOOL_VMFERRY && !strcmp(word, "recheck=off")) {
		t->no_recheck = true;
		return 0;
	}
	for (size_t i = 0; t->kind == TOOL_VMFERRY && !strncmp(word, "codec=", 6) && codec_words[i]; i++) {
		if (!strcmp(word + 6, codec_words[i])) {
			t->codec = codec_words[i];
			return 0;
		}
	}
	return err_set(
		e, EINVAL,
		"'%s': there is no option '%s' (tls, but of virsh; channels=1…%u of vmferry, …16 of multifd and virsh; of vmferry also libvirt, codec=auto|none|lz4|zstd, recheck=off, from=/DIRECTORY)",
		t->text, word, CHANNELS_MAX - 1);
}

static int take_tool(struct bench_plan *p, const char *word, struct err *e)
{
	static const struct {
		const char *name;
		enum tool_kind kind;
	} names[] = {{"single", TOOL_SINGLE}, {"multifd+zstd", TOOL_ZSTD}, {"multifd", TOOL_MULTIFD},
		     {"xbzrle", TOOL_XBZRLE}, {"virsh", TOOL_VIRSH},	   {"vmferry", TOOL_VMFERRY}};
	struct tool t = {0};
	AUTO_FREE char *copy = NULL;
	char *rest, *option;
	size_t i, n = 0;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		n = strlen(names[i].name);
		if (!strncmp(word, names[i].name, n) && (!word[n] || word[n] == '+'))
			break;
	}
	if (i == ARRAY_LEN(names))
		return err_set(e, EINVAL, "there is no tool '%s' (single, multifd, multifd+zstd, xbzrle, virsh, vmferry)", word);
	t.kind = names[i].kind;
	t.libvirt = t.kind == TOOL_VIRSH;
	t.text = xstrdup(word);
	copy = rest = xstrdup(word + n);
	strsep(&rest, "+");
	while (!r && (option = strsep(&rest, "+")))
		r = tool_option(&t, option, e);
	if (r)
		free(t.text), free(t.from);
	else
		p->tools[p->tool_count] = t;
	return r;
}

int plan_links(struct bench_plan *p, const char *list, struct err *e)
{
	return take_list(p, list, &p->link_count, take_link, e);
}

void plan_network(struct bench_plan *p)
{
	while (p->link_count)
		free(p->links[--p->link_count]);
	p->links[p->link_count++] = xstrdup(NETWORK);
}

int plan_mems(struct bench_plan *p, const char *list, struct err *e)
{
	return take_list(p, list, &p->mem_count, take_mem, e);
}

int plan_workloads(struct bench_plan *p, const char *list, struct err *e)
{
	return take_list(p, list, &p->workload_count, take_workload, e);
}

int plan_tools(struct bench_plan *p, const char *list, struct err *e)
{
	return take_list(p, list, &p->tool_count, take_tool, e);
}

/* A number with decimals, and nothing else that strtod() would take. */
static int decimal(const char *text, double below, double *out)
{
	size_t n = strspn(text, "0123456789.");
	char *end;
	double v = strtod(text, &end);

	if (!n || text[n] || *end || !(v < below))
		return -EINVAL;
	*out = v;
	return 0;
}

int plan_delay(struct bench_plan *p, const char *word, struct err *e)
{
	if (decimal(word, BENCH_DELAY_MAX_MS, &p->delay_ms))
		return err_set(e, EINVAL, "'%s' is no delay: milliseconds, less than %d", word, BENCH_DELAY_MAX_MS);
	return 0;
}

int plan_loss(struct bench_plan *p, const char *word, struct err *e)
{
	if (decimal(word, 100, &p->loss_percent))
		return err_set(e, EINVAL, "'%s' is no loss: percent of the packets, less than 100", word);
	return 0;
}

static const char *const contents[] = {[CONTENT_LIVING] = "living", [CONTENT_NOISE] = "noise", [CONTENT_ZEROS] = "zeros"};

int plan_content(struct bench_plan *p, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		if (!strcmp(word, contents[i])) {
			p->content = (enum bench_content)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "there is no content '%s': living, noise or zeros", word);
}

void plan_fini(struct bench_plan *p)
{
	for (unsigned i = 0; i < p->link_count; i++)
		free(p->links[i]);
	for (unsigned i = 0; i < p->own_count; i++)
		free(p->own[i]);
	for (unsigned i = 0; i < p->tool_count; i++)
		free(p->tools[i].text), free(p->tools[i].from);
}

const struct tool *plan_libvirt(const struct bench_plan *p)
{
	for (unsigned i = 0; i < p->tool_count; i++)
		if (p->tools[i].libvirt)
			return &p->tools[i];
	return NULL;
}

/* ---- as JSON ---- */

enum bench_content plan_really(const struct bench_plan *p)
{
	return p->content == CONTENT_LIVING && !(p->disks && p->disk_data_mib) ? CONTENT_NOISE : p->content;
}

/* Members of the plan that are whole numbers. */
static const struct {
	const char *name;
	size_t offset; /* offset of an unsigned */
	unsigned max;
} numbers[] = {{"repeat", offsetof(struct bench_plan, repeat), BENCH_REPEAT_MAX},
	       {"seed", offsetof(struct bench_plan, seed), INT32_MAX},
	       {"disks", offsetof(struct bench_plan, disks), BENCH_DISKS_MAX - 1},
	       {"disk_mib", offsetof(struct bench_plan, disk_mib), INT32_MAX},
	       {"disk_data_mib", offsetof(struct bench_plan, disk_data_mib), INT32_MAX},
	       {"cached_percent", offsetof(struct bench_plan, cached_percent), BENCH_CACHED_MAX}};

json_t *plan_json(const struct bench_plan *p)
{
	json_t *o = json_pack("{s:[],s:[],s:[],s:[],s:f,s:f,s:f,s:s}", "links", "mem_mib", "workloads", "tools", "max_downtime_ms",
			      p->max_downtime_ms, "delay_ms", p->delay_ms, "loss_percent", p->loss_percent, "content",
			      contents[plan_really(p)]);

	for (unsigned i = 0; i < p->link_count; i++)
		json_array_append_new(json_object_get(o, "links"), json_string(p->links[i]));
	for (unsigned i = 0; i < p->mem_count; i++)
		json_array_append_new(json_object_get(o, "mem_mib"), json_integer(p->mem_mib[i]));
	for (unsigned i = 0; i < p->workload_count; i++)
		json_array_append_new(json_object_get(o, "workloads"),
				      json_pack("{s:s,s:s}", "name", p->workloads[i].name, "text", p->workloads[i].text));
	for (unsigned i = 0; i < p->tool_count; i++)
		json_array_append_new(json_object_get(o, "tools"), json_string(p->tools[i].text));
	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
		json_object_set_new(o, numbers[i].name, json_integer(*(const unsigned *)((const char *)p + numbers[i].offset)));
	return o;
}

static int take_array(struct bench_plan *p, const json_t *list, unsigned *count, take_fn take, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const json_t *v;
	const char *word;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)list, i, v) {
		word = json_is_object(v) ? json_text(v, "name") : json_string_value(v);
		if (json_is_integer(v)) {
			free(text);
			text = xasprintf("%lldM", (long long)json_integer_value(v));
			word = text;
		}
		if (!word || *count == BENCH_LIST_MAX)
			return err_set(e, EINVAL, "its plan has an entry that is none");
		r = take(p, word, e);
		if (r)
			return r;
		++*count;
	}
	return *count ? 0 : err_set(e, EINVAL, "its plan is not complete");
}

int plan_from_json(struct bench_plan *p, const json_t *plan, struct err *e)
{
	int r = take_array(p, json_object_get(plan, "links"), &p->link_count, take_planned_link, e);

	r = r ?: take_array(p, json_object_get(plan, "mem_mib"), &p->mem_count, take_mem, e);
	r = r ?: take_array(p, json_object_get(plan, "workloads"), &p->workload_count, take_workload, e);
	r = r ?: take_array(p, json_object_get(plan, "tools"), &p->tool_count, take_tool, e);
	r = r ?: plan_content(p, json_text(plan, "content") ?: contents[CONTENT_NOISE], e);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		json_int_t n = json_integer_value(json_object_get(plan, numbers[i].name));

		*(unsigned *)((char *)p + numbers[i].offset) = n < 0 || n > numbers[i].max ? 0 : (unsigned)n;
	}
	if (!json_object_get(plan, "cached_percent"))
		p->cached_percent = CACHED_BEFORE;
	p->max_downtime_ms = json_number_value(json_object_get(plan, "max_downtime_ms"));
	p->delay_ms = json_number_value(json_object_get(plan, "delay_ms"));
	p->loss_percent = json_number_value(json_object_get(plan, "loss_percent"));
	if (!r && (!p->repeat || !json_is_integer(json_object_get(plan, "disks")) || !p->disk_mib || p->disk_data_mib > p->disk_mib ||
		   p->max_downtime_ms < 1 || !(p->delay_ms >= 0 && p->delay_ms < BENCH_DELAY_MAX_MS) ||
		   !(p->loss_percent >= 0 && p->loss_percent < 100)))
		r = err_set(e, EINVAL, "its plan is not complete");
	return r;
}

/* ---- order ---- */

/* xorshift64*: the same order for the same seed everywhere. */
static uint64_t chance(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dU >> 16;
}

void plan_order(const struct bench_plan *p, unsigned cell, unsigned round, unsigned order[BENCH_LIST_MAX])
{
	uint64_t state = (uint64_t)p->seed << 32 ^ (uint64_t)cell << 16 ^ round ^ 0x9e3779b97f4a7c15U;
	unsigned i, other, kept;

	for (i = 0; i < 8; i++)
		chance(&state);
	for (i = 0; i < p->tool_count; i++)
		order[i] = i;
	for (i = p->tool_count; i > 1; i--) {
		other = (unsigned)(chance(&state) % i);
		kept = order[i - 1];
		order[i - 1] = order[other];
		order[other] = kept;
	}
}
