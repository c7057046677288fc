/* fleet-rules.c: see fleet-rules.h. */
#include "fleet-rules.h"
#include "config-file.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OF_HOST "/etc/vmferry/fleet"

static const char *const kind_words[] =
	{[RULE_GROUP] = "group", [RULE_APART] = "apart", [RULE_TOGETHER] = "together", [RULE_STAY] = "stay", NULL};

static int add_word(struct fleet_rule *rule, const char *word, struct err *e)
{
	if (rule->count == RULE_WORDS_MAX)
		return err_set(e, E2BIG, "more than %d names", RULE_WORDS_MAX);
	rule->words[rule->count++] = xstrdup(word);
	return 0;
}

static int add_words(struct fleet_rule *rule, char *text, const char *between, struct err *e)
{
	char *word;
	int r = 0;

	while (!r && (word = strsep(&text, between)))
		if (*word)
			r = add_word(rule, word, e);
	return r;
}

/* The name, and the rest of the line as it stands. */
static int add_reason(struct fleet_rule *rule, char *text, struct err *e)
{
	char *reason = config_rest(text);

	return *text ? add_word(rule, text, e) ?: add_word(rule, reason, e) : 0;
}

static struct fleet_rule *add_rule(struct fleet_rules *r, enum rule_kind kind, struct err *e)
{
	if (r->count == RULES_MAX) {
		err_set(e, E2BIG, "there are more than %d rules", RULES_MAX);
		return NULL;
	}
	r->list = xrealloc(r->list, (r->count + 1) * sizeof(*r->list));
	r->list[r->count] = (struct fleet_rule){.kind = kind};
	return &r->list[r->count++];
}

static int check_rule(const struct fleet_rule *rule, struct err *e)
{
	size_t least = rule->kind == RULE_STAY ? 1 : 2;

	return rule->count >= least ? 0 : err_set(e, EINVAL, "%s needs %zu names or more", kind_words[rule->kind], least);
}

static int take_line(void *ctx, char *line, struct err *e)
{
	char *rest = config_rest(line);
	int kind = word_index(kind_words, line);
	AUTO_FREE char *known = words_or(kind_words);
	struct fleet_rule *rule;

	if (kind < 0)
		return err_set(e, EINVAL, "'%s' is not %s", line, known);
	rule = add_rule(ctx, (enum rule_kind)kind, e);
	if (!rule)
		return -e->code;
	return (kind == RULE_STAY ? add_reason(rule, rest, e) : add_words(rule, rest, " \t", e)) ?: check_rule(rule, e);
}

int rules_parse(struct fleet_rules *r, char *text, const char *name, struct err *e)
{
	return config_file_lines(text, name, take_line, r, e);
}

int rules_read(struct fleet_rules *r, struct err *e)
{
	const char *named = getenv("VMFERRY_FLEET"), *path = named ?: OF_HOST;
	AUTO_FREE char *text = NULL;
	int code = *path ? config_file_read(path, &text, e) : 0;

	return code || !text ? code : rules_parse(r, text, path, e);
}

int rules_add(struct fleet_rules *r, enum rule_kind kind, const char *names, struct err *e)
{
	AUTO_FREE char *text = xstrdup(names);
	struct fleet_rule *rule = add_rule(r, kind, e);
	int code = rule ? add_words(rule, text, ",", e) : -e->code;

	return code ?: check_rule(rule, e);
}

/* ---- all of them ---- */

static bool share_name(const struct fleet_rule *a, const struct fleet_rule *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (rule_names(b, a->words[i]))
			return true;
	return false;
}

/* Takes the second rule's names into the first, and the second one away. */
static int merge(struct fleet_rules *r, size_t into, size_t from, struct err *e)
{
	struct fleet_rule gone = r->list[from];
	int code = 0;

	memmove(&r->list[from], &r->list[from + 1], (--r->count - from) * sizeof(*r->list));
	for (size_t i = 0; i < gone.count; i++) {
		if (!code && !rule_names(&r->list[into], gone.words[i]))
			code = add_word(&r->list[into], gone.words[i], e);
		free(gone.words[i]);
	}
	return code;
}

/* A guest that is together with another is so with everything that is together with that one. */
static int merge_together(struct fleet_rules *r, struct err *e)
{
	size_t i, k;
	int code = 0;

	for (i = 0; i < r->count; i++)
		for (k = i + 1; k < r->count && !code && r->list[i].kind == RULE_TOGETHER; k++)
			if (r->list[k].kind == RULE_TOGETHER && share_name(&r->list[i], &r->list[k])) {
				code = merge(r, i, k, e);
				k = i; /* names have come, which rules that were passed over may have */
			}
	return code;
}

static int check_apart(const struct fleet_rule *apart, const struct fleet_rule *together, struct err *e)
{
	const char *first = NULL;

	for (size_t i = 0; i < apart->count; i++) {
		if (!rule_names(together, apart->words[i]))
			continue;
		if (first && strcmp(first, apart->words[i]) != 0)
			return err_set(e, EINVAL, "the rules have %s and %s apart, and together as well: no host could take both", first,
				       apart->words[i]);
		first = first ?: apart->words[i];
	}
	return 0;
}

int rules_settle(struct fleet_rules *r, struct err *e)
{
	int code = merge_together(r, e);
	size_t i, k;

	for (i = 0; i < r->count; i++)
		for (k = 0; k < r->count && !code; k++)
			if (r->list[i].kind == RULE_APART && r->list[k].kind == RULE_TOGETHER)
				code = check_apart(&r->list[i], &r->list[k], e);
	return code;
}

/* ---- hosts ---- */

static void add_host(char ***hosts, size_t *count, const char *host)
{
	for (size_t i = 0; i < *count; i++)
		if (!strcmp((*hosts)[i], host))
			return;
	*hosts = xrealloc(*hosts, (*count + 2) * sizeof(**hosts));
	(*hosts)[(*count)++] = xstrdup(host);
	(*hosts)[*count] = NULL;
}

static int add_group(const struct fleet_rules *r, const char *name, char ***hosts, size_t *count, struct err *e)
{
	bool found = false;
	size_t i, k;

	for (i = 0; i < r->count; i++) {
		const struct fleet_rule *rule = &r->list[i];

		if (rule->kind != RULE_GROUP || strcmp(rule->words[0], name) != 0)
			continue;
		found = true;
		for (k = 1; k < rule->count; k++)
			add_host(hosts, count, rule->words[k]);
	}
	return found ? 0 : err_set(e, ENOENT, "there is no group '%s': a line of %s would be: group %s HOST ...", name, OF_HOST, name);
}

int rules_hosts(const struct fleet_rules *r, const char *text, char ***hosts, size_t *count, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(text);
	char *rest = copy, *word;
	int code = 0;

	*hosts = NULL;
	*count = 0;
	while (!code && (word = strsep(&rest, ",")))
		if (*word == '@')
			code = add_group(r, word + 1, hosts, count, e);
		else if (*word)
			add_host(hosts, count, word);
	if (!code && !*count)
		code = err_set(e, EINVAL, "'%s' names no host", text);
	if (!code)
		return 0;
	for (size_t i = 0; i < *count; i++)
		free((*hosts)[i]);
	free(*hosts);
	*hosts = NULL;
	*count = 0;
	return code;
}

/* ---- questions ---- */

bool rule_names(const struct fleet_rule *rule, const char *guest)
{
	return words_have(rule->words, rule->count, guest);
}

const char *rules_stay(const struct fleet_rules *r, const char *guest)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct fleet_rule *rule = &r->list[i];

		if (rule->kind == RULE_STAY && !strcmp(rule->words[0], guest))
			return rule->count > 1 && *rule->words[1] ? rule->words[1] : "a rule says that it stays here";
	}
	return NULL;
}

void rules_fini(struct fleet_rules *r)
{
	size_t i, k;

	for (i = 0; i < r->count; i++)
		for (k = 0; k < r->list[i].count; k++)
			free(r->list[i].words[k]);
	free(r->list);
	*r = (struct fleet_rules){.list = NULL};
}
