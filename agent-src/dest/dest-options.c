/* dest-options.c: see dest-options.h. */
#include "dest-options.h"
#include "exit-code.h"
#include "net.h"
#include "ssh.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER(name) offsetof(struct dest_config, name)

static int check_ports(void *into, const char *arg, struct err *e)
{
	struct net_ports ports;

	(void)into;
	return net_parse_ports(arg, &ports, e) ? option_bad(e, arg, "a range of ports such as 50000-50100") : 0;
}

static int check_port(void *into, const char *arg, struct err *e)
{
	struct net_ports ports;

	(void)into;
	return net_parse_ports(arg, &ports, e) || !ports.first || ports.last != ports.first ? option_bad(e, arg, "a TCP port") : 0;
}

static const char *const ssh_words[] = {"libssh2", "openssh", NULL};

const struct command_option dest_login_rows[] = {
	{"identity", "FILE", "a private key (default: the SSH agent's, then ~/.ssh/id_*)", OPT_TEXT, .offset = MEMBER(identity),
	 .letter = 'i', .file = true, .heading = "Reaching the destination by SSH:"},
	{"port", "PORT", "port of sshd", OPT_TEXT, .offset = MEMBER(ssh_port), .letter = 'p', .take = check_port},
	{"ssh", "HOW", "libssh2 (default); openssh: use the ssh program and all of its configuration", OPT_SECOND,
	 .offset = MEMBER(openssh), .also = MEMBER(ssh_chosen), .words = ssh_words},
	{"ssh-accept-new", NULL, "accept the key of a host that is not in known_hosts yet; never a changed one", OPT_FLAG,
	 .offset = MEMBER(ssh_accept_new)},
	{"keep-agent", NULL, "leave vmferry-dst there for the next time", OPT_FLAG, .offset = MEMBER(keep_agent)},
	{.name = NULL},
};

const struct command_option dest_ssh_rows[] = {
	{"via", "ADDRESS", "connect to this address of the destination for data (default: where SSH connects to)", OPT_TEXT,
	 .offset = MEMBER(via)},
	{"data-ports", "A-B",
	 "TCP ports the destination may use (default: any). If none can be reached, data goes through SSH, which is slower", OPT_TEXT,
	 .offset = MEMBER(data_ports), .take = check_ports},
	{"listen-address", "A", "the address that it listens on there (default: all)", OPT_TEXT, .offset = MEMBER(listen_address)},
	{.name = NULL},
};

const struct command_option dest_standing_rows[] = {
	{"psk-file", "FILE", "our key there: a line NAME:KEY; the connection uses TLS 1.3", OPT_TEXT, .offset = MEMBER(psk_file),
	 .file = true, .heading = "Reaching a vmferry-dst that stands already:"},
	{"token-file", "FILE", "without TLS, on loopback: a copy of its token (default: this host's own)", OPT_TEXT,
	 .offset = MEMBER(token_file), .file = true},
	{"plaintext", NULL, "without TLS, on any address, in clear: in a test network of your own", OPT_FLAG, .offset = MEMBER(plaintext)},
	{.name = NULL},
};

/* ---- do they fit the destination? ---- */

static const struct option_table ssh_table[] = {{dest_login_rows, 0}, {dest_ssh_rows, 0}, {NULL, 0}},
				 standing_table[] = {{dest_standing_rows, 0}, {NULL, 0}};

bool dest_option_is_odd(const char *word, enum dest_kind kind)
{
	AUTO_FREE char *name = strncmp(word, "--", 2) ? xstrdup("") : xstrndup(word + 2, strcspn(word + 2, "="));

	return (kind != DEST_SSH && option_find(ssh_table, name)) || (kind != DEST_STANDING && option_find(standing_table, name));
}

static void *member(const struct dest_config *cfg, const struct command_option *o)
{
	return (char *)(uintptr_t)cfg + o->offset;
}

static const char *find_given(const struct dest_config *cfg, const struct command_option *rows)
{
	for (; rows->name; rows++)
		if (rows->kind == OPT_TEXT ? *(const char **)member(cfg, rows) != NULL : *(bool *)member(cfg, rows))
			break;
	return rows->name;
}

int dest_options_check(const struct dest_config *cfg)
{
	static const char *const kinds[] =
		{[DEST_LOCAL] = "this host itself", [DEST_STANDING] = "a vmferry-dst that stands already", [DEST_SSH] = "reached by SSH"};
	enum dest_kind kind = dest_kind(cfg->where);
	const char *odd = kind != DEST_SSH ? find_given(cfg, dest_login_rows) ?: find_given(cfg, dest_ssh_rows) : NULL;

	if (!odd && kind != DEST_STANDING)
		odd = find_given(cfg, dest_standing_rows);
	if (!odd)
		return 0;
	fprintf(stderr, "vmferry: --%s does not go with the destination %s, which is %s (--help tells more)\n", odd, cfg->where,
		kinds[kind]);
	return EXIT_USAGE;
}

/* ---- in the journal ---- */

/* Texts are there by the options' names, with _ in place of -. */
static char *name_of(const struct command_option *o)
{
	char *name = xstrdup(o->name), *dash;

	while ((dash = strchr(name, '-')))
		*dash = '_';
	return name;
}

static void save_texts(json_t *json, const struct dest_config *cfg, const struct command_option *rows)
{
	for (; rows->name; rows++) {
		const char *s = rows->kind == OPT_TEXT ? *(const char **)member(cfg, rows) : NULL;
		AUTO_FREE char *full = s && rows->file ? realpath(s, NULL) : NULL;
		AUTO_FREE char *name = name_of(rows);

		if (s)
			json_object_set_new(json, name, json_string(full ?: s));
	}
}

json_t *dest_options_save(const struct dest_config *cfg)
{
	json_t *o = json_pack("{s:b,s:b,s:b,s:b}", "plaintext", cfg->plaintext, "accept_new", cfg->ssh_accept_new, "openssh", cfg->openssh,
			      "keep_agent", cfg->keep_agent);

	save_texts(o, cfg, dest_login_rows);
	save_texts(o, cfg, dest_ssh_rows);
	save_texts(o, cfg, dest_standing_rows);
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

static void load_texts(struct dest_config *cfg, const json_t *json, const struct command_option *rows, bool answered)
{
	for (; rows->name && !answered; rows++) {
		AUTO_FREE char *name = name_of(rows);
		const char *s = rows->kind == OPT_TEXT ? json_string_value(json_object_get(json, name)) : NULL;

		if (s && !*(const char **)member(cfg, rows))
			*(const char **)member(cfg, rows) = s;
	}
}

void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere)
{
	const struct dest_config given = *cfg;

	load_texts(cfg, json, dest_standing_rows, given.psk_file || given.token_file);
	load_texts(cfg, json, dest_login_rows, false);
	load_texts(cfg, json, dest_ssh_rows, false);
	if (elsewhere) /* the saved --via does not lead elsewhere */
		cfg->via = given.via;
	if (elsewhere && says_port(cfg->where))
		cfg->ssh_port = given.ssh_port;
	cfg->plaintext |= json_is_true(json_object_get(json, "plaintext"));
	cfg->ssh_accept_new |= json_is_true(json_object_get(json, "accept_new"));
	if (!cfg->ssh_chosen)
		cfg->openssh = json_is_true(json_object_get(json, "openssh"));
	cfg->keep_agent |= json_is_true(json_object_get(json, "keep_agent"));
}
