/*
 * line-trust-net.c: what a stranger's -netdev, -nic and -net do here. Kinds of network and their properties are QEMU's (qapi/net.json, net/): one that
 * is not in the table is objected to, as the next QEMU may run a program for it.
 */
#include "line-trust-private.h"
#include "util.h"
#include "words.h"

#include <string.h>

#define WORDS_MAX 26

/* A pattern that ends with a star is what keys begin with. */
static const struct kind {
	const char *type;
	bool open;		      /* guest reaches a network, beside what is forwarded */
	const char *words[WORDS_MAX]; /* say nothing of this host's files */
	const char *files[4];	      /* are files, programs or directories, which the rewriter must know */
	const char *commands[2];      /* say what is run */
	const char *runs;	      /* program that is run in any case */
} kinds[] = {
	{"none", .open = false},
	{"nic", .open = false},
	{"hubport", .words = {"hubid", "netdev"}},
	{"user",
	 .words = {"ipv4", "net", "host", "ipv6", "ipv6-net", "ipv6-host", "ipv6-prefix", "ipv6-prefixlen", "restrict", "hostname", "dns",
		   "ipv6-dns", "dnssearch", "dnssearch.*", "domainname", "tftp-server-name", "bootfile", "dhcpstart", "smbserver"},
	 .files = {"tftp", "smb"}},
	{"tap", .words = {"ifname", "br", "sndbuf", "vnet_hdr", "vhost", "vhostforce", "queues", "poll-us"},
	 .files = {"script", "downscript", "helper"}},
	{"bridge", .words = {"br"}, .files = {"helper"}},
	{"socket", true, .words = {"listen", "connect", "mcast", "localaddr", "udp"}},
	{"stream", true,
	 .words = {"server", "reconnect", "reconnect-ms", "addr.type", "addr.host", "addr.port", "addr.to", "addr.numeric", "addr.ipv4",
		   "addr.ipv6", "addr.keep-alive*", "addr.mptcp", "addr.abstract", "addr.tight"},
	 .files = {"addr.path"}},
	{"dgram", true, .words = {"local.type", "local.host", "local.port", "remote.type", "remote.host", "remote.port"},
	 .files = {"local.path", "remote.path"}},
	{"vde", true, .words = {"port", "group", "mode"}, .files = {"sock"}},
	{"l2tpv3", true,
	 .words = {"src", "dst", "srcport", "dstport", "ipv6", "udp", "cookie64", "counter", "pincounter", "txcookie", "rxcookie",
		   "txsession", "rxsession", "offset"}},
	{"vhost-user", true, .words = {"chardev", "vhostforce", "queues"}},
	{"passt", true, .words = {"quiet",     "vhost-user", "mtu",   "address", "netmask",  "mac",  "gateway", "interface",
				  "outbound*", "dns",	     "dns-*", "search",	 "search.*", "fqdn", "dhcp*",	"map-*",
				  "tcp*",      "udp*",	     "icmp",  "ndp",	 "ra",	     "ipv4", "ipv6",	"freebind"},
	 .commands = {"path", "param*"}, .runs = "passt, a program of this host, which QEMU runs"},
};

static const struct kind *kind_of(const char *type)
{
	return ROW_OF(kinds, type, type);
}

static bool is_in(const char *name, const char *const *patterns, size_t max)
{
	size_t count = 0;

	while (count < max && patterns[count])
		count++;
	return judge_among(name, patterns, count);
}

/* The judge of one part of an option with several, of which the plan speaks alone. */
static struct judge part_of(const struct judge *j, char **text, const struct kv *p)
{
	struct judge each = *j;

	*text = xasprintf("user,%s=%s", p->key, p->value);
	each.value = *text;
	return each;
}

static int judge_host_forward(struct judge *j, const struct kv *p)
{
	AUTO_FREE char *text = NULL;
	struct judge each = part_of(j, &text, p);

	return judge_open_port(&each, "", false);
}

/* "tcp:ADDRESS:PORT-WHAT": behind an address the guest reaches a command, or whatever -serial takes, a file to write to as well. */
static int judge_guest_forward(struct judge *j, const struct kv *p)
{
	static const char *const plain[] = {"tcp:*", "chardev:*", "null"};
	AUTO_FREE char *text = NULL;
	struct judge each = part_of(j, &text, p);
	const char *what = strchr(p->value, '-');

	if (!what || strchr(what, ',') || !judge_among(what + 1, plain, ARRAY_LEN(plain)))
		return judge_object(&each, "which gives the guest a command or a file of this host");
	return judge_say_host(&each, "what it names of this host is open to the guest");
}

static bool is_of_the_device(const struct judge *j, const char *key)
{
	static const char *const keys[] = {"model", "mac", "macaddr", "addr", "vectors", "name", "netdev"};

	return strcmp(j->option, "netdev") && judge_among(key, keys, ARRAY_LEN(keys));
}

static int judge_property(struct judge *j, const struct kind *k, const char *key, const char *value)
{
	static const char *const common[] = {"type", "id"};
	AUTO_FREE char *what = NULL;

	if (is_in(key, k->commands, ARRAY_LEN(k->commands)))
		return judge_object(j, "which says what program is run on this host");
	if (is_in(key, k->files, ARRAY_LEN(k->files)))
		return !*value || !strcmp(value, "no") || judge_is_known(j, value) ? 0 : judge_object(j, NOT_HARMLESS);
	if (judge_among(key, common, ARRAY_LEN(common)) || is_of_the_device(j, key) || is_in(key, k->words, ARRAY_LEN(k->words)))
		return 0;
	what = xasprintf("whose %.60s is not known to vmferry, " NOT_HARMLESS, key);
	return judge_object(j, what);
}

static int judge_each(struct judge *j, const struct kind *k, const struct kv *p, bool first)
{
	const char *word = p->value;

	if (p->key && !strcmp(k->type, "user") && !strncmp(p->key, "hostfwd", 7))
		return judge_host_forward(j, p);
	if (p->key && !strcmp(k->type, "user") && !strncmp(p->key, "guestfwd", 8))
		return judge_guest_forward(j, p);
	if (p->key || first)
		return judge_property(j, k, p->key ?: "type", p->value);
	/* a word alone is on or, behind a "no", off */
	if (!strncmp(word, "no", 2) && is_in(word + 2, k->words, ARRAY_LEN(k->words)))
		return 0;
	return judge_property(j, k, word, "on");
}

int judge_network(struct judge *j)
{
	const struct kind *k;
	const char *type;
	struct props p;
	int r = 0;

	props_parse(&p, j->value);
	type = kv_get(&p.l, "type", "type") ?: strcmp(j->option, "nic") ? kv_get(&p.l, "type", "type") : "user";
	k = type ? kind_of(type) : NULL;
	if (p.broken || !k)
		r = judge_object(j, "a network that " NOT_HARMLESS);
	for (size_t i = 0; k && i < p.l.n && !r; i++)
		r = judge_each(j, k, &p.l.v[i], !i);
	if (!r && k && k->runs)
		r = judge_say_host(j, k->runs);
	if (!r && k && k->open)
		r = judge_open_port(j, "", false);
	props_fini(&p);
	return r;
}
