/* fleet-choose.c: asks hosts about guests, and chooses among them. See fleet-command.h. */
#include "fleet-command.h"
#include "cpu-use.h"
#include "dest-connect.h"
#include "host-state.h"
#include "json-text.h"
#include "shell-quote.h"
#include "util.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHECKS_AT_ONCE 4

/* Kinds of move, in the order in which they are tried for a guest that no host takes as the options say. */
static const char *const allowed[] = {"quick", "warm", "cold"};

/* ---- what a host says ---- */

static void take_volumes(struct place_offer *o, const json_t *there)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(there, "volumes"), i, one)
		if (o->volume_count < PLACE_VOLUMES_MAX && json_text(one, "dir"))
			o->volumes[o->volume_count++] = (struct place_volume){.dir = (char *)(uintptr_t)json_text(one, "dir"),
									      .device = json_bytes(one, "device"),
									      .free = json_bytes(one, "free"),
									      .total = json_bytes(one, "total"),
									      .need = json_bytes(one, "need")};
}

static void take_host(struct place_host *h, const json_t *there)
{
	h->memory_total = json_bytes(there, "memory_total");
	h->memory_free = json_bytes(there, "memory_available");
	h->processors = json_number(there, "processors");
	h->load = json_number(there, "load");
}

static void take_answer(struct fleet_choice *c, const struct fleet_task *t, size_t guest, size_t host)
{
	struct place_offer *o = &c->offers[guest * c->place.host_count + host];
	const json_t *there = json_object_get(t->plan, "there");

	*o = (struct place_offer){.possible = t->state == FLEET_ENDED && !t->code,
				  .reason = json_text(t->result, "reason") ?: "the host was not asked",
				  .how = fleet_way_of(t)->how,
				  .total_s = json_number(t->estimate, "total_s"),
				  .bytes = json_bytes(t->estimate, "bytes_wire")};
	if (o->possible && json_text(there, "instance") && !strcmp(json_text(there, "instance"), c->here)) {
		o->possible = false;
		o->reason = "the host is this very one";
	}
	take_volumes(o, there);
	if (json_text(there, "instance"))
		c->instances[host] = json_text(there, "instance");
	if (there)
		take_host(&c->hosts[host], there);
	if (json_text(t->plan, "guest")) /* rules call the guest by this name, whatever it is called here: a pid, or a socket */
		c->guests[guest].name = json_text(t->plan, "guest");
	if (!t->is_off)
		c->guests[guest].memory = MAX(c->guests[guest].memory, json_bytes(t->plan, "ram_bytes"));
}

/* ---- asking ---- */

/* A guest's use of processors, from its first plan to when all were asked. */
struct asking {
	struct fleet_board board;
	struct cpu_use *uses; /* a guest each */
	size_t host_count;
	const struct fleet_task *first;
};

static void on_answer(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event)
{
	struct asking *a = ctx;
	size_t guest = (size_t)(t - f->tasks) / a->host_count;
	json_int_t pid = event && event == t->plan ? json_integer_value(json_object_get(event, "pid")) : 0;

	if (pid > 0)
		cpu_use_begin(&a->uses[guest], (pid_t)pid);
}

static void on_tick(void *ctx, struct fleet *f)
{
	struct asking *a = ctx;

	board_tick(&a->board, f);
}

static bool has_offer(const struct fleet_choice *c, size_t guest)
{
	for (size_t h = 0; h < c->place.host_count; h++)
		if (c->offers[guest * c->place.host_count + h].possible)
			return true;
	return false;
}

/* Asks every host about each guest that no host takes yet; how NULL: as the options say. */
static void set_tasks(struct fleet *f, const struct fleet_choice *c, const struct fleet_command *cmd, const char *how)
{
	size_t g, h;

	f->count = cmd->guest_count * cmd->host_count;
	f->tasks = xcalloc(f->count + 1, sizeof(*f->tasks));
	for (g = 0; g < cmd->guest_count; g++)
		for (h = 0; h < cmd->host_count; h++) {
			struct fleet_task *t = &f->tasks[g * cmd->host_count + h];
			const struct off_guest *off = fleet_off(cmd, cmd->guests[g]); /* a guest that is off has only one kind of move */

			t->guest = xstrdup(cmd->guests[g]);
			t->ways = xcalloc(1, sizeof(*t->ways));
			t->ways[0] = (struct fleet_way){cmd->hosts[h], off ? "cold" : how};
			t->way_count = 1;
			t->is_off = off;
			t->only_off = off && off->is_libvirts;
			t->state = has_offer(c, g) || (off && how) ? FLEET_ENDED : FLEET_WAITS;
			t->found_done = t->state == FLEET_ENDED;
		}
}

/* The first host that is the same machine. */
static size_t first_name_of(const struct fleet_choice *c, size_t host)
{
	for (size_t h = 0; h < host; h++)
		if (c->instances[h] && c->instances[host] && !strcmp(c->instances[h], c->instances[host]))
			return h;
	return host;
}

/* Drops a second name of the same host: its room would be counted twice, and guests that are to be apart would meet there. */
static void drop_doubles(struct fleet_choice *c)
{
	size_t n = c->place.host_count, h, g;

	for (h = 0; h < n; h++) {
		size_t first = first_name_of(c, h);

		if (first == h)
			continue;
		if (!c->doubles[h])
			c->doubles[h] = xasprintf("the host is the same as %s", c->hosts[first].name);
		for (g = 0; g < c->place.guest_count; g++) {
			c->offers[g * n + h].possible = false;
			c->offers[g * n + h].reason = c->doubles[h];
		}
	}
}

static int ask_all(struct fleet_choice *c, const struct fleet_command *cmd, const char *how, struct err *e)
{
	struct asking a = {.uses = xcalloc(cmd->guest_count + 1, sizeof(*a.uses)), .host_count = cmd->host_count};
	struct fleet *f;

	c->looks = xrealloc(c->looks, (c->look_count + 1) * sizeof(*c->looks));
	f = &c->looks[c->look_count++];
	*f = (struct fleet){.program = cmd->program,
			    .command = "check",
			    .options = cmd->words,
			    .at_once = CHECKS_AT_ONCE,
			    .changed = on_answer,
			    .tick = on_tick,
			    .ctx = &a};
	board_init(&a.board, cmd->o.events.json);
	set_tasks(f, c, cmd, how);
	fleet_run(f);
	board_clear(&a.board);
	for (size_t i = 0; i < f->count; i++)
		if (!f->tasks[i].found_done)
			take_answer(c, &f->tasks[i], i / cmd->host_count, i % cmd->host_count);
	drop_doubles(c);
	for (size_t i = 0; i < cmd->guest_count; i++)
		c->guests[i].processors = fmax(c->guests[i].processors, cpu_use_end(&a.uses[i]));
	free(a.uses);
	return f->halted ? err_set(e, ECANCELED, "interrupted: nothing was touched") : 0;
}

enum sameness { ANOTHER, MAYBE, SAME_NAME, SAME };

/* A host that has started anew, or says nothing, is known by its name, unless there are two of that name, at ports of their own. */
static enum sameness is_where(const struct settled_guest *s, const char *name, const char *instance)
{
	AUTO_FREE char *there = dest_host_name(s->dest);
	AUTO_FREE char *host = dest_host_name(name);

	if (!strcmp(s->dest, name) || (s->instance && instance && !strcmp(s->instance, instance)))
		return SAME;
	if (!strcasecmp(there, host))
		return SAME_NAME;
	return s->instance && instance ? ANOTHER : MAYBE;
}

/* A rule binds that guest to one of those that are to go. */
static bool is_bound_here(const struct fleet_choice *c, const char *guest)
{
	size_t i, g;

	for (i = 0; i < c->place.rules->count; i++)
		for (g = 0; g < c->place.guest_count; g++)
			if (fleet_rule_binds(&c->place.rules->list[i]) && rule_names(&c->place.rules->list[i], guest) &&
			    rule_names(&c->place.rules->list[i], c->guests[g].name) && strcmp(guest, c->guests[g].name) != 0)
				return true;
	return false;
}

/* Guests that went before to one of these hosts. */
static void settle_guests(struct fleet_choice *c, const struct fleet_command *cmd)
{
	size_t i, h;

	c->settled = xcalloc(cmd->settled.count + 1, sizeof(*c->settled));
	for (i = 0; i < cmd->settled.count; i++) {
		const struct settled_guest *s = &cmd->settled.list[i];
		enum sameness best = ANOTHER, one;
		size_t host = 0;

		for (h = 0; h < cmd->host_count; h++) {
			one = is_where(s, cmd->hosts[h], c->instances[h]);
			if (one > best) {
				best = one;
				host = h;
			}
		}
		if (best >= SAME_NAME)
			c->settled[c->place.settled_count++] = (struct place_settled){s->guest, first_name_of(c, host)};
		if (best == MAYBE && is_bound_here(c, s->guest))
			fprintf(stderr,
				"vmferry: guest %s went to %s, and vmferry cannot tell whether that is one of these hosts: rules that "
				"name it do not count it\n",
				s->guest, s->dest);
	}
	c->place.settled = c->settled;
}

bool fleet_all_have_offers(const struct fleet_choice *c)
{
	size_t g;

	for (g = 0; g < c->place.guest_count && has_offer(c, g); g++)
		;
	return g == c->place.guest_count;
}

int fleet_choose(struct fleet_choice *c, const struct fleet_command *cmd, struct err *e)
{
	size_t n = cmd->guest_count * cmd->host_count, i;
	int r;

	*c = (struct fleet_choice){.guests = xcalloc(cmd->guest_count + 1, sizeof(*c->guests)),
				   .hosts = xcalloc(cmd->host_count + 1, sizeof(*c->hosts)),
				   .offers = xcalloc(n + 1, sizeof(*c->offers)),
				   .ranks = xcalloc(n + 1, sizeof(*c->ranks)),
				   .ratings = xcalloc(n + 1, sizeof(*c->ratings)),
				   .instances = xcalloc(cmd->host_count + 1, sizeof(*c->instances)),
				   .doubles = xcalloc(cmd->host_count + 1, sizeof(*c->doubles))};
	c->here = host_instance();
	c->place = (struct place){.guests = c->guests,
				  .hosts = c->hosts,
				  .offers = c->offers,
				  .guest_count = cmd->guest_count,
				  .host_count = cmd->host_count,
				  .rules = &cmd->rules,
				  .wish = (enum place_wish)cmd->f.wish,
				  .keep_memory = cmd->f.keep_memory};
	for (i = 0; i < cmd->guest_count; i++)
		c->guests[i].name = cmd->guests[i];
	for (i = 0; i < cmd->host_count; i++)
		c->hosts[i].name = cmd->hosts[i];
	r = ask_all(c, cmd, NULL, e);
	for (i = 0; i < ARRAY_LEN(allowed) && !r && !fleet_all_have_offers(c); i++)
		if (cmd->f.allow & 1u << i)
			r = ask_all(c, cmd, allowed[i], e);
	settle_guests(c, cmd);
	if (!r)
		place_all(&c->place, c->ranks, c->ratings);
	return r;
}

void fleet_choice_fini(struct fleet_choice *c)
{
	if (c->ratings)
		place_free_ratings(c->ratings, c->place.guest_count * c->place.host_count);
	for (size_t i = 0; i < c->look_count; i++)
		fleet_fini(&c->looks[i]);
	for (size_t i = 0; i < c->place.host_count; i++)
		free(c->doubles[i]);
	FREE_ALL(c->doubles, c->instances, c->settled, c->looks, c->guests, c->hosts, c->offers, c->ranks, c->ratings, c->here);
	*c = (struct fleet_choice){.look_count = 0};
}

/* ---- what was chosen, for people ---- */

char *fleet_why_nowhere(const struct fleet_choice *c, size_t guest)
{
	char *text = xstrdup("no host takes it"), *longer;
	size_t h, n = c->place.host_count;

	for (h = 0; h < n; h++) {
		longer = xasprintf("%s%s %s: %s", text, h ? ";" : ":", c->hosts[h].name, c->ratings[guest * n + h].words ?: "not asked");
		free(text);
		text = longer;
	}
	return text;
}

static void print_cost(const struct place_offer *o, const struct place_rating *r, const char *words)
{
	AUTO_FREE char *dir = o->volume_count ? text_shown(o->volumes[0].dir) : NULL;
	char bytes[24];

	printf("%-*.*s   least left there: %s; %.0f s, %s to carry%s%s", PLACE_STARS, (int)r->stars, "*****", words, o->total_s,
	       format_bytes(bytes, o->bytes), o->how ? "; --how " : "", o->how ?: "");
	if (dir)
		printf("; %s (%s free)", dir, format_bytes(bytes, o->volumes[0].free));
	putchar('\n');
}

static size_t widest(char *const *words)
{
	size_t most = 0;

	for (; *words; words++)
		most = MAX(most, strlen(*words));
	return most;
}

static void print_host(const struct fleet_choice *c, const struct fleet_command *cmd, size_t guest, size_t host, bool first)
{
	const struct place_rating *r = &c->ratings[guest * c->place.host_count + host];
	int guests = (int)widest(cmd->guests), hosts = (int)widest(cmd->hosts);
	AUTO_FREE char *words = text_shown(r->words);
	AUTO_FREE char *shown = text_shown(cmd->guests[guest]);

	printf("%-*s %s %-*s  ", guests, first ? shown : "", first && r->possible ? "->" : "  ", hosts, c->hosts[host].name);
	if (r->possible)
		print_cost(&c->offers[guest * c->place.host_count + host], r, words);
	else
		printf("no      %s\n", words);
}

static void print_guest(const struct fleet_choice *c, const struct fleet_command *cmd, size_t guest)
{
	const size_t *ranks = &c->ranks[guest * c->place.host_count];
	bool first = true;

	for (size_t i = 0; i < c->place.host_count && ranks[i] < c->place.host_count; i++) {
		print_host(c, cmd, guest, ranks[i], first);
		first = false;
	}
	for (size_t i = 0; i < c->place.host_count; i++)
		if (!c->ratings[guest * c->place.host_count + i].possible) {
			print_host(c, cmd, guest, i, first);
			first = false;
		}
}

static json_t *host_event(const struct fleet_choice *c, size_t guest, size_t host)
{
	const struct place_rating *r = &c->ratings[guest * c->place.host_count + host];
	const struct place_offer *o = &c->offers[guest * c->place.host_count + host];

	if (!r->possible)
		return json_pack("{s:s,s:b,s:s}", "destination", c->hosts[host].name, "possible", false, "reason", r->words);
	return json_pack("{s:s,s:b,s:f,s:s,s:i,s:f,s:I,s:s*}", "destination", c->hosts[host].name, "possible", true, "left", r->left,
			 "least", r->words, "stars", (int)r->stars, "total_s", o->total_s, "bytes_wire", (json_int_t)o->bytes, "how",
			 o->how);
}

static void print_event(const struct fleet_choice *c, const struct fleet_command *cmd, size_t guest)
{
	size_t n = c->place.host_count, first = c->ranks[guest * n], i;
	json_t *hosts = json_array(), *event;

	for (i = 0; i < n; i++)
		json_array_append_new(hosts, host_event(c, guest, i));
	event = json_pack("{s:s,s:s,s:s*,s:o}", "event", "placement", "vm", cmd->guests[guest], "destination",
			  first < n ? c->hosts[first].name : NULL, "hosts", hosts);
	json_text_print(event);
	fflush(stdout);
	json_decref(event);
}

static void print_script(const struct fleet_choice *c, const struct fleet_command *cmd, size_t guest)
{
	size_t n = c->place.host_count, host = c->ranks[guest * n], i;
	const struct off_guest *off = fleet_off(cmd, cmd->guests[guest]);
	AUTO_FREE char *name = shell_quote_shown(cmd->guests[guest]);

	if (host >= n) {
		AUTO_FREE char *why = fleet_why_nowhere(c, guest);
		AUTO_FREE char *shown = text_shown(why);

		printf("# %s stays here: %s\n", name, shown);
		return;
	}
	AUTO_FREE char *dest = shell_quote_shown(c->hosts[host].name);

	printf("vmferry migrate %s %s", name, dest);
	for (i = 0; i < cmd->word_count; i++) {
		AUTO_FREE char *word = shell_quote_shown(cmd->words[i]);

		printf(" %s", word);
	}
	if (c->offers[guest * n + host].how)
		printf(" --how %s", c->offers[guest * n + host].how);
	if (off && off->is_libvirts)
		fputs(" --only-off", stdout);
	putchar('\n');
}

void fleet_print_choice(const struct fleet_choice *c, const struct fleet_command *cmd)
{
	for (size_t g = 0; g < c->place.guest_count; g++)
		if (cmd->o.events.json)
			print_event(c, cmd, g);
		else if (cmd->o.plan.as_script)
			print_script(c, cmd, g);
		else
			print_guest(c, cmd, g);
}
