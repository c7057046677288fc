/* dest-options.c: see dest-options.h. */
#include "dest-options.h"
#include "exit-code.h"
#include "net.h"
#include "ssh.h"
#include "util.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The strings among the options, by the name that the journal has for them. */
static const struct text_option {
	const char *name;
	size_t offset;
	int option;
	bool file; /* a name that depends on where we are */
} texts[] = {
	{"psk_file", offsetof(struct dest_config, psk_file), DEST_OPT_PSK, true},
	{"token_file", offsetof(struct dest_config, token_file), DEST_OPT_TOKEN, true},
	{"identity", offsetof(struct dest_config, identity), 'i', true},
	{"port", offsetof(struct dest_config, ssh_port), 'p', false},
	{"listen_address", offsetof(struct dest_config, listen_address), DEST_OPT_LISTEN, false},
	{"via", offsetof(struct dest_config, via), DEST_OPT_VIA, false},
	{"data_ports", offsetof(struct dest_config, data_ports), DEST_OPT_PORTS, false},
};

static const char **text_of(struct dest_config *cfg, const struct text_option *t)
{
	return (const char **)(void *)((char *)cfg + t->offset);
}

bool dest_is_option(int c)
{
	return (c >= DEST_OPT_FIRST && c < DEST_OPT_END) || (c > 0 && c < 256 && c != ':' && strchr(DEST_OPTIONS_SHORT, c));
}

static int bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry: %s: '%s' is not %s\n", option, value, want);
	return EXIT_USAGE;
}

bool dest_option_is_file(int c)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].option == c)
			return texts[i].file;
	return false;
}

int dest_option(struct dest_config *cfg, int c, const char *arg)
{
	struct net_ports ports;
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].option == c)
			*text_of(cfg, &texts[i]) = arg;
	if (c == DEST_OPT_PLAIN)
		cfg->plaintext = true;
	if (c == DEST_OPT_ACCEPT_NEW)
		cfg->ssh_accept_new = true;
	if (c == DEST_OPT_KEEP)
		cfg->keep_agent = true;
	if (c == DEST_OPT_SSH) {
		cfg->ssh_chosen = true;
		cfg->openssh = !strcmp(arg, "openssh");
		if (!cfg->openssh && strcmp(arg, "libssh2"))
			return bad("--ssh", arg, "libssh2 or openssh");
	}
	if (c == DEST_OPT_PORTS && net_parse_ports(arg, &ports, &e))
		return bad("--data-ports", arg, "a range of ports such as 50000-50100");
	if (c == 'p' && (net_parse_ports(arg, &ports, &e) || !ports.first || ports.last != ports.first))
		return bad("--port", arg, "a TCP port");
	return 0;
}

static const struct option rows[] = {DEST_OPTIONS, {NULL, 0, NULL, 0}};

/* Of which kind of destination it tells how that is reached. */
static enum dest_kind kind_of(int option)
{
	return option == DEST_OPT_PSK || option == DEST_OPT_TOKEN || option == DEST_OPT_PLAIN ? DEST_STANDING : DEST_SSH;
}

bool dest_option_is_odd(const char *word, enum dest_kind kind)
{
	AUTO_FREE char *name = xstrndup(word, strcspn(word, "="));
	const struct option *o;

	for (o = rows; o->name; o++)
		if (!strncmp(name, "--", 2) && !strcmp(name + 2, o->name))
			return kind_of(o->val) != kind;
	return false;
}

static bool is_given(const struct dest_config *cfg, int option)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].option == option)
			return *text_of((struct dest_config *)cfg, &texts[i]);
	return option == DEST_OPT_PLAIN	       ? cfg->plaintext
	       : option == DEST_OPT_SSH	       ? cfg->openssh
	       : option == DEST_OPT_ACCEPT_NEW ? cfg->ssh_accept_new
					       : cfg->keep_agent;
}

int dest_options_check(const struct dest_config *cfg)
{
	static const char *const kinds[] =
		{[DEST_LOCAL] = "this host itself", [DEST_STANDING] = "a vmferry-dst that stands already", [DEST_SSH] = "reached by SSH"};
	enum dest_kind kind = dest_kind(cfg->where);
	const struct option *o;

	for (o = rows; o->name && (kind_of(o->val) == kind || !is_given(cfg, o->val)); o++)
		;
	if (!o->name)
		return 0;
	fprintf(stderr, "vmferry: --%s does not go with the destination %s, which is %s (--help tells more)\n", o->name, cfg->where,
		kinds[kind]);
	return EXIT_USAGE;
}

json_t *dest_options_save(const struct dest_config *cfg)
{
	json_t *o = json_pack("{s:b,s:b,s:b,s:b}", "plaintext", cfg->plaintext, "accept_new", cfg->ssh_accept_new, "openssh", cfg->openssh,
			      "keep_agent", cfg->keep_agent);
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		const char *s = *text_of((struct dest_config *)cfg, &texts[i]);
		AUTO_FREE char *full = s && texts[i].file ? realpath(s, NULL) : NULL;

		if (s)
			json_object_set_new(o, texts[i].name, json_string(full ? full : s));
	}
	return o;
}

static bool says_port(const char *where)
{
	struct ssh_target t;
	struct err e;
	bool yes;

	if (dest_kind(where) != DEST_SSH || ssh_target_parse(where, &t, &e))
		return false;
	yes = t.port != NULL;
	ssh_target_fini(&t);
	return yes;
}

/* Does what was given now speak of the same? */
static bool is_answered(const struct dest_config *cfg, int option, bool elsewhere)
{
	return ((option == DEST_OPT_PSK || option == DEST_OPT_TOKEN) && (cfg->psk_file || cfg->token_file)) ||
	       (elsewhere && ((option == 'p' && says_port(cfg->where)) || option == DEST_OPT_VIA));
}

void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere)
{
	const struct dest_config given = *cfg;
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		const char *s = json_string_value(json_object_get(json, texts[i].name));

		if (s && !*text_of(cfg, &texts[i]) && !is_answered(&given, texts[i].option, elsewhere))
			*text_of(cfg, &texts[i]) = s;
	}
	cfg->plaintext |= json_is_true(json_object_get(json, "plaintext"));
	cfg->ssh_accept_new |= json_is_true(json_object_get(json, "accept_new"));
	if (!cfg->ssh_chosen)
		cfg->openssh = json_is_true(json_object_get(json, "openssh"));
	cfg->keep_agent |= json_is_true(json_object_get(json, "keep_agent"));
}
