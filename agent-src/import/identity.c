/* identity.c: see identity.h. */
#include "identity.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void random_bytes(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		abort();
}

void identity_uuid(char out[UUID_CHARS + 1])
{
	uint8_t u[16];
	char *p = out;

	random_bytes(u, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* RFC 4122: version 4, variant 1 */
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(u); i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

void identity_mac(uint8_t out[6])
{
	memcpy(out, (uint8_t[]){0x52, 0x54, 0x00}, 3);
	random_bytes(out + 3, 3);
}

/* ---- on a line ---- */

static void append(struct args_result *line, const char *option, const char *value)
{
	line->argv = xrealloc(line->argv, (line->argc + 3) * sizeof(*line->argv));
	line->argv[line->argc++] = xstrdup(option);
	line->argv[line->argc++] = xstrdup(value);
	line->argv[line->argc] = NULL;
}

static void set(struct props *p, const char *key, const char *implied, const char *value)
{
	struct kv *kv = kv_find(&p->l, key, implied);

	if (kv)
		kv_replace(&kv->value, xstrdup(value));
	else
		kv_append(&p->l, key, value);
}

static void add_name(struct args_result *line, const char *name)
{
	AUTO_KV struct kv_list l = {.n = 0};
	AUTO_FREE char *value = NULL;

	kv_append(&l, "guest", name);
	value = kv_print(&l);
	append(line, "-name", value);
}

void identity_set_name(struct args_result *line, const char *name)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(line->argv, line->argc, &i, &opt)) {
		struct props p;

		if (strcmp(opt.name, "name") || !opt.value)
			continue;
		props_parse(&p, opt.value);
		set(&p, "guest", "guest", name);
		kv_replace(&line->argv[i - 1], props_print(&p)); /* the value is the option's last word */
		props_fini(&p);
		return;
	}
	add_name(line, name);
}

static bool is_card(const char *driver)
{
	static const char *const begin[] = {"virtio-net", "e1000", "rtl8139", "vmxnet3", "igb",	  "pcnet",
					    "ne2k",	  "i825",  "usb-net", "tulip",	 "rocker"};

	for (size_t i = 0; driver && i < ARRAY_LEN(begin); i++)
		if (!strncmp(driver, begin[i], strlen(begin[i])))
			return true;
	return false;
}

/* The key of its address, if the option is a network card. */
static const char *address_of(const char *option, const struct kv_list *l)
{
	const char *type = kv_get(l, "type", "type");

	if (!strcmp(option, "device"))
		return kv_get(l, "netdev", NULL) || kv_get(l, "mac", NULL) || is_card(kv_get(l, "driver", "driver")) ? "mac" : NULL;
	if (!strcmp(option, "nic"))
		return type && !strcmp(type, "none") ? NULL : "mac";
	return !strcmp(option, "net") && type && !strcmp(type, "nic") ? "macaddr" : NULL;
}

static void renew_card(struct props *p, const char *key)
{
	uint8_t m[6];
	char text[24];

	identity_mac(m);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	set(p, key, NULL, text);
}

/* True: it has changed. */
static bool renew(const char *option, struct props *p, const char *uuid)
{
	const char *driver = kv_get(&p->l, "driver", "driver"), *key = address_of(option, &p->l);

	if (key) {
		renew_card(p, key);
		return true;
	}
	if (!strcmp(option, "smbios") && kv_get(&p->l, "uuid", NULL)) {
		set(p, "uuid", NULL, uuid);
		return true;
	}
	if (!strcmp(option, "device") && driver && !strcmp(driver, "vmgenid")) {
		char generation[UUID_CHARS + 1];

		identity_uuid(generation);
		set(p, "guid", NULL, generation);
		return true;
	}
	return false;
}

void identity_renew(struct args_result *line)
{
	char uuid[UUID_CHARS + 1];
	struct qemu_opt opt;
	bool has_uuid = false;
	size_t i = 1;

	identity_uuid(uuid);
	while (qemu_opt_next(line->argv, line->argc, &i, &opt)) {
		struct props p;

		if (!opt.value)
			continue;
		if (!strcmp(opt.name, "uuid")) {
			kv_replace(&line->argv[i - 1], xstrdup(uuid));
			has_uuid = true;
			continue;
		}
		props_parse(&p, opt.value);
		if (renew(opt.name, &p, uuid))
			kv_replace(&line->argv[i - 1], props_print(&p));
		props_fini(&p);
	}
	if (!has_uuid)
		append(line, "-uuid", uuid);
}
