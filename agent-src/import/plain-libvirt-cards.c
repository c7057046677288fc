/* plain-libvirt-cards.c: network cards, and what the firmware starts the guest from. */
#include "plain-libvirt-private.h"
#include "util.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

/* ---- network cards ---- */

/* A card, and what is behind it, which may be words of one option. */
struct card {
	const char *model, *mac, *id, *kind;
	struct word *device, *backend;
};

static const char *const cards[] = {
	"virtio-net-pci",
	"virtio-net",
	"virtio-net-pci-transitional",
	"virtio-net-pci-non-transitional",
	"e1000",
	"e1000-82540em",
	"e1000e",
	"rtl8139",
	"ne2k_pci",
	"pcnet",
	"vmxnet3",
	"i82551",
	"i82557b",
	"i82559er",
	"igb",
	NULL,
};

static const char *model_of(const char *driver)
{
	if (!strcmp(driver, "virtio-net-pci") || !strcmp(driver, "virtio-net"))
		return "virtio";
	return !strncmp(driver, "virtio-net-pci-", 15) ? (strstr(driver, "non-") ? "virtio-non-transitional" : "virtio-transitional")
						       : driver;
}

static bool wish_is_for(const char *wish, size_t bytes, const struct card *c)
{
	const char *const names[] = {c->id, c->device ? kv_get(&c->device->p.l, "id", NULL) : NULL, c->mac,
				     c->backend ? kv_get(&c->backend->p.l, "id", NULL) : NULL};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && strlen(names[i]) == bytes && !strncasecmp(names[i], wish, bytes))
			return true;
	return false;
}

/* --map-net NIC=WHAT; NULL: nothing is said. */
static const char *wish_for(struct plain_work *p, const struct card *c)
{
	const char *what = NULL;

	for (size_t i = 0; i < p->g->net_count; i++) {
		const char *to = strchr(p->g->nets[i], '=');

		if (!to || !wish_is_for(p->g->nets[i], (size_t)(to - p->g->nets[i]), c))
			continue;
		p->nets_used[i] = true;
		what = to + 1;
	}
	return what && strcmp(what, "as-is") ? what : NULL;
}

static void attach(xmlNode *n, const char *kind, const char *source)
{
	plain_set(n, "type", kind);
	if (source)
		plain_add_with(n, "source", kind, source);
}

static void attach_none(xmlNode *n)
{
	attach(n, "user", NULL);
	plain_add_with(n, "link", "state", "down");
}

static void attach_as_wished(struct plain_work *p, xmlNode *n, const char *what)
{
	if (!strncmp(what, "network:", 8) && what[8])
		attach(n, "network", what + 8);
	else if (!strncmp(what, "bridge:", 7) && what[7])
		attach(n, "bridge", what + 7);
	else if (!strcmp(what, "user"))
		attach(n, "user", NULL);
	else if (!strcmp(what, "none"))
		attach_none(n);
	else
		plain_refuse(p, "a network card on %.60s (--map-net takes network:NAME, bridge:BRIDGE, user or none here)", what);
}

static void attach_tap(struct plain_work *p, xmlNode *n, const struct card *c)
{
	const char *tap = word_take(c->backend, "ifname"), *said = word_take(c->backend, "br");
	AUTO_FREE char *bridge = said ? xstrdup(said) : tap && p->g->bridge_of ? p->g->bridge_of(tap) : NULL;
	static const char *const passed[] = {"script", "downscript", "helper"};

	word_pass(c->backend, passed, ARRAY_LEN(passed));
	if (bridge)
		attach(n, "bridge", bridge);
	else
		plain_refuse(
			p,
			"a network card on the tap %.40s, of which nothing says on which bridge it is (--map-net %.60s=bridge:BRIDGE or network:NAME)",
			tap ?: "that a script attaches", c->mac);
}

static void attach_user(struct plain_work *p, xmlNode *n, const struct card *c)
{
	attach(n, "user", NULL);
	for (size_t i = 0; c->backend && i < c->backend->p.l.n; i++) {
		const struct kv *v = &c->backend->p.l.v[i];

		if (v->key && !strcmp(v->key, "hostfwd")) {
			c->backend->used[i] = true;
			plain_note(
				p,
				"a port of its host's is not passed on to it there (hostfwd=%s): --map-net %s=network:default has it reached by its own address",
				v->value, c->mac);
		}
	}
}

/* Attaches the card as it is attached here. */
static void attach_alike(struct plain_work *p, xmlNode *n, const struct card *c)
{
	static const char *const slirps[] = {"user", "passt", NULL}, *const nothing[] = {"none", "hubport", NULL};
	const char *bridge;

	if (!c->kind || word_index(nothing, c->kind) >= 0) {
		attach_none(n);
	} else if (word_index(slirps, c->kind) >= 0) {
		attach_user(p, n, c);
	} else if (!strcmp(c->kind, "bridge")) {
		bridge = word_take(c->backend, "br");
		word_take(c->backend, "helper");
		attach(n, "bridge", bridge ?: "br0");
	} else if (!strcmp(c->kind, "tap")) {
		attach_tap(p, n, c);
	} else {
		plain_refuse(p,
			     "a network card on a %.40s (--map-net %.60s=bridge:BRIDGE, network:NAME or user puts it on another network)",
			     c->kind, c->mac);
	}
}

static void add_driver(xmlNode *n, const struct card *c)
{
	const char *queues = c->backend ? word_take(c->backend, "queues") : NULL;
	int vhost = c->backend ? word_flag(c->backend, "vhost") : -1;
	static const char *const passed[] = {"mq", "vectors"};
	xmlNode *d;

	if (queues && c->device)
		word_pass(c->device, passed, ARRAY_LEN(passed));
	if ((!queues && vhost < 0) || !c->model || strncmp(c->model, "virtio", 6))
		return;
	d = plain_add(n, "driver");
	plain_set(d, "name", vhost == 0 ? "qemu" : vhost == 1 ? "vhost" : NULL);
	plain_set(d, "queues", queues);
}

static void add_card(struct plain_work *p, struct card *c)
{
	static const char *const passed[] = {"type", "id", "netdev", "driver", "model", "name"}, *const places[] = {"bus",
														    "addr",
														    "mac",
														    "macaddr",
														    "multifunction",
														    "acpi-index"};
	const char *wish = wish_for(p, c), *rom = c->device ? word_take(c->device, "romfile") : NULL,
		   *mtu = c->device ? word_take(c->device, "host_mtu") : NULL;
	xmlNode *n = plain_add(p->xml.devices, "interface");

	plain_note(p, "its devices get other places on the PCI bus there, so that the guest may call a network card otherwise (enp1s0)");
	plain_add_with(n, "mac", "address", c->mac);
	if (wish)
		attach_as_wished(p, n, wish);
	else
		attach_alike(p, n, c);
	plain_add_with(n, "model", "type", c->model);
	add_driver(n, c);
	if (rom && !*rom)
		plain_add_with(n, "rom", "enabled", "no");
	else if (rom)
		plain_note(p, "romfile=%s of a network card is not set there", rom);
	if (mtu)
		plain_add_with(n, "mtu", "size", mtu);
	if (c->device) {
		plain_boots(p, c->device, n);
		word_see(c->device);
		word_pass(c->device, passed, ARRAY_LEN(passed));
		word_pass(c->device, places, ARRAY_LEN(places));
	}
	if (c->backend) {
		word_see(c->backend);
		word_pass(c->backend, passed, ARRAY_LEN(passed));
		if (wish)
			word_done(c->backend);
	}
}

static bool is_said(const struct plain_work *p, const char *mac)
{
	static const char *const options[] = {"device", "nic", "net"};
	struct word *w;

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		for (w = NULL; (w = word_next(p, options[i], w));) {
			const char *is = kv_get(&w->p.l, "mac", NULL) ?: kv_get(&w->p.l, "macaddr", NULL);

			if (is && !strcasecmp(is, mac))
				return true;
		}
	return false;
}

/* The address that QEMU gives to the next card without one (net/net.c). Freed with the work. */
static char *next_mac(struct plain_work *p)
{
	char *mac = NULL;

	do {
		free(mac);
		mac = xasprintf("52:54:00:12:34:%02x", (0x56 + p->cards++) & 0xff);
	} while (p->cards < 200 && is_said(p, mac));
	return mac;
}

static void take_card(struct plain_work *p, struct card *c, const char *driver)
{
	AUTO_FREE char *mac = c->mac ? NULL : next_mac(p);

	c->mac = c->mac ?: mac;
	c->model = model_of(driver);
	c->kind = c->backend ? kv_get(&c->backend->p.l, "type", NULL) : c->kind;
	add_card(p, c);
}

static const char *default_card(const struct plain_work *p)
{
	return p->is_q35 ? "e1000e" : "e1000";
}

static void take_nic(struct plain_work *p, struct word *w)
{
	const char *model = kv_get(&w->p.l, "model", NULL);
	struct card c = {.mac = kv_get(&w->p.l, "mac", NULL), .id = kv_get(&w->p.l, "id", NULL), .device = w, .backend = w};

	if (!strcmp(kv_get(&w->p.l, "type", NULL) ?: "", "none") && !model)
		word_done(w);
	else
		take_card(p, &c, model ? (!strcmp(model, "virtio") ? "virtio-net-pci" : model) : default_card(p));
}

/* -net nic, and the first -net of another kind: all of them are on one hub. */
static void take_old_cards(struct plain_work *p)
{
	struct word *w = NULL, *behind = NULL;

	while ((w = word_next(p, "net", w)))
		if (!behind && strcmp(kv_get(&w->p.l, "type", NULL) ?: "", "nic"))
			behind = w;
	for (w = NULL; (w = word_next(p, "net", w));) {
		const char *model = kv_get(&w->p.l, "model", NULL);
		struct card c = {.mac = kv_get(&w->p.l, "macaddr", NULL), .device = w, .backend = behind};

		if (!strcmp(kv_get(&w->p.l, "type", NULL) ?: "", "nic"))
			take_card(p, &c, model ? (!strcmp(model, "virtio") ? "virtio-net-pci" : model) : default_card(p));
	}
	for (w = NULL; (w = word_next(p, "net", w));)
		if (!w->seen) {
			plain_note(p, "-net %s is not there: its cards are on one network", w->value);
			word_done(w);
		}
}

static bool take_card_device(struct plain_work *p, struct word *w)
{
	const char *driver = kv_get(&w->p.l, "driver", NULL) ?: "";
	struct card c = {.mac = kv_get(&w->p.l, "mac", NULL), .id = kv_get(&w->p.l, "netdev", NULL), .device = w};

	if (word_index(cards, driver) < 0)
		return false;
	c.backend = word_called(p, "netdev", "id", c.id);
	if (word_flag(w, "failover") == 1)
		plain_refuse(p, "a network card that stands in for another (failover)");
	take_card(p, &c, driver);
	return true;
}

void plain_cards(struct plain_work *p)
{
	struct word *w = NULL;
	bool has_none = word_last(p, "nodefaults") || word_next(p, "nic", NULL) || word_next(p, "net", NULL);
	struct card c = {.kind = "user"};

	while ((w = word_next(p, "nic", w)))
		take_nic(p, w);
	take_old_cards(p);
	for (w = NULL; (w = word_next(p, "device", w));)
		has_none |= take_card_device(p, w);
	if (has_none || word_next(p, "netdev", NULL))
		return;
	take_card(p, &c, default_card(p)); /* QEMU adds this card by itself */
	plain_note(p, "the network card that QEMU adds by itself is on QEMU's NAT there, too: no other host can connect to it (--map-net "
		      "52:54:00:12:34:56=network:default)");
}

/* ---- what it starts from ---- */

void plain_boots(struct plain_work *p, struct word *w, xmlNode *node)
{
	const char *index = word_take(w, "bootindex");

	if (!index || *index == '-')
		return;
	p->boots = xrealloc(p->boots, (p->boot_count + 1) * sizeof(*p->boots));
	p->boots[p->boot_count++] = (struct plain_boot){node, strtol(index, NULL, 10)};
}

static int by_index(const void *a, const void *b)
{
	const struct plain_boot *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static const char *device_of(char letter)
{
	return letter == 'c' ? "hd" : letter == 'd' ? "cdrom" : letter == 'n' ? "network" : letter == 'a' ? "fd" : NULL;
}

/* libvirt starts a guest from what is named alone, so all that QEMU would try is. */
static void add_letters(struct plain_work *p, const char *order)
{
	AUTO_FREE char *all = xasprintf("%scdn", order ?: "");
	const char *at, *device;

	for (at = all; *at; at++) {
		device = device_of(*at);
		if (device && !memchr(all, *at, (size_t)(at - all)))
			plain_add_with(p->xml.os, "boot", "dev", device);
	}
}

void plain_boot_order(struct plain_work *p)
{
	struct word *w = word_last(p, "boot");
	const char *order = w ? word_take(w, "order") : NULL;

	if (w) {
		word_see(w);
		if (word_flag(w, "menu") == 1)
			plain_add_with(p->xml.os, "bootmenu", "enable", "yes");
		word_take(w, "strict");
	}
	if (!p->boot_count)
		add_letters(p, order);
	if (p->boot_count)
		qsort(p->boots, p->boot_count, sizeof(*p->boots), by_index);
	for (size_t i = 0; i < p->boot_count; i++)
		plain_set_number(plain_add(p->boots[i].node, "boot"), "order", i + 1);
}
