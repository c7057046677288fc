/* plain-libvirt-machine.c: name, machine, firmware, clock and what it says of its maker. */
#include "plain-libvirt-private.h"
#include "qemu-args.h"
#include "util.h"
#include "words.h"
#include "xml.h"

#include <stdio.h>
#include <string.h>

/* ---- name, UUID and memory ---- */

static const char *uuid_of(struct plain_work *p)
{
	struct word *w = word_last(p, "uuid"), *s = NULL;
	const char *uuid = w ? word_see(w) : NULL;

	while ((s = word_next(p, "smbios", s)))
		if (!strcmp(kv_get(&s->p.l, "type", NULL) ?: "", "1") && kv_get(&s->p.l, "uuid", NULL))
			uuid = kv_get(&s->p.l, "uuid", NULL); /* the guest sees this one */
	return uuid ?: p->g->uuid;
}

static void set_kib(struct plain_work *p, const char *name, uint64_t bytes)
{
	AUTO_FREE char *kib = xasprintf("%llu", (unsigned long long)(bytes / KIB));

	plain_set(plain_add_text(p->xml.domain, name, kib), "unit", "KiB");
}

/* Memory that is plugged in as modules is a part of the rest there. */
static uint64_t modules_bytes(struct plain_work *p)
{
	struct word *d = NULL;
	uint64_t all = 0, one;

	while ((d = word_next(p, "device", d))) {
		struct word *m = strcmp(kv_get(&d->p.l, "driver", NULL) ?: "", "pc-dimm")
					 ? NULL
					 : word_called(p, "object", "id", kv_get(&d->p.l, "memdev", NULL));
		const char *size = m ? kv_get(&m->p.l, "size", NULL) : NULL;

		if (!size || parse_bytes(size, &one))
			continue;
		all += one;
		word_done(d);
		plain_note(p, "memory that was plugged in (pc-dimm) is a part of its memory there");
	}
	return all;
}

void plain_identity(struct plain_work *p)
{
	static const char *const bare[] = {"nodefaults", "no-user-config", "nodefconfig"};
	struct args_basics basics;
	struct word *w = word_last(p, "name");

	qemu_args_basics(&basics, p->g->argv, p->g->argc);
	plain_set(p->xml.domain, "type", basics.kvm ? "kvm" : "qemu");
	plain_add_text(p->xml.domain, "name", p->g->name);
	plain_add_text(p->xml.domain, "uuid", uuid_of(p));
	set_kib(p, "memory", basics.ram_bytes + modules_bytes(p));
	if (w)
		word_done(w);
	w = word_last(p, "m");
	if (w) {
		word_see(w);
		word_take(w, "size");
	}
	p->has_defaults = !word_last(p, "nodefaults");
	for (size_t i = 0; i < ARRAY_LEN(bare); i++) /* libvirt's guests have these anyway */
		for (w = NULL; (w = word_next(p, bare[i], w));)
			word_see(w);
}

/* ---- machine ---- */

static void machine_flag(struct word *w, const char *key, xmlNode *parent, const char *name)
{
	int is = word_flag(w, key);

	if (is >= 0)
		plain_add_with(parent, name, "state", is ? "on" : "off");
}

static void check_machine(struct plain_work *p, const char *m)
{
	p->is_q35 = !strcmp(m, "q35") || !strncmp(m, "pc-q35-", 7);
	if (!p->is_q35 && strcmp(m, "pc") && strncmp(m, "pc-i440fx-", 10))
		plain_refuse(p, "the machine %.60s, which is neither a q35 nor a pc", m);
	if (!strstr(p->g->emulator, "x86_64") && !strstr(p->g->emulator, "i386") && !strstr(p->g->emulator, "kvm"))
		plain_refuse(p, "a processor that is not of a PC (%.200s)", p->g->emulator);
}

static void take_machine(struct plain_work *p, struct word *w)
{
	static const char *const passed[] = {"type", "accel", "pflash0", "pflash1", "memory-backend"};
	const char *guard = word_take(w, "confidential-guest-support") ?: word_take(w, "memory-encryption");
	int is;

	word_see(w);
	word_pass(w, passed, ARRAY_LEN(passed));
	machine_flag(w, "smm", p->xml.features, "smm");
	machine_flag(w, "vmport", p->xml.features, "vmport");
	is = word_flag(w, "acpi");
	if (is == 0)
		xmlSetProp(p->xml.features, (const xmlChar *)"acpi", (const xmlChar *)"off"); /* taken off again below */
	is = word_flag(w, "hpet");
	if (is >= 0)
		plain_set(plain_add_with(p->xml.clock, "timer", "name", "hpet"), "present", is ? "yes" : "no");
	if (guard)
		plain_refuse(p, "encrypted memory (%.60s)", guard);
}

static void take_features(struct plain_work *p)
{
	xmlAttr *off = xmlHasProp(p->xml.features, (const xmlChar *)"acpi");
	struct word *w = word_last(p, "no-acpi");

	if (w)
		word_see(w);
	if (!off && !w)
		plain_add(p->xml.features, "acpi");
	if (off)
		xmlRemoveProp(off);
	plain_add(p->xml.features, "apic");
}

static void take_os(struct plain_work *p, const char *machine)
{
	bool is_32 = strstr(p->g->emulator, "i386");
	xmlNode *type;

	p->xml.os = plain_add(p->xml.domain, "os");
	type = plain_add_text(p->xml.os, "type", "hvm");
	plain_set(type, "arch", is_32 ? "i686" : "x86_64");
	plain_set(type, "machine", machine);
}

static void take_accelerators(struct plain_work *p)
{
	static const char *const options[] = {"enable-kvm", "no-kvm"};
	struct word *w = NULL;

	while ((w = word_next(p, "accel", w))) {
		word_see(w);
		word_take(w, "accel");
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		for (w = NULL; (w = word_next(p, options[i], w));)
			word_see(w);
}

void plain_machine(struct plain_work *p)
{
	static const char *const options[] = {"machine", "M"};
	AUTO_FREE char *said = qemu_machine_type(p->g->argv, p->g->argc);
	const char *type = p->g->machine ?: said ?: "pc";
	struct word *w = NULL;

	check_machine(p, type);
	take_os(p, type);
	p->xml.features = plain_add(p->xml.domain, "features");
	p->xml.cpu = plain_add(p->xml.domain, "cpu");
	p->xml.clock = plain_add(p->xml.domain, "clock");
	p->xml.devices = plain_add(p->xml.domain, "devices");
	plain_add_text(p->xml.devices, "emulator", p->g->emulator);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		for (w = NULL; (w = word_next(p, options[i], w));)
			take_machine(p, w);
	take_features(p);
	take_accelerators(p);
	w = word_last(p, "no-reboot");
	plain_add_text(p->xml.domain, "on_reboot", w ? "destroy" : "restart");
	if (w)
		word_see(w);
}

/* ---- firmware and kernel ---- */

static void take_code(struct plain_work *p, const char *path, const char *format)
{
	AUTO_FREE char *whole = plain_path(p, path);
	xmlNode *n = plain_add_text(p->xml.os, "loader", whole);

	plain_set(n, "readonly", "yes");
	plain_set(n, "type", "pflash");
	if (format && strcmp(format, "raw"))
		plain_set(n, "format", format);
}

static void take_vars(struct plain_work *p, const char *path, const char *format)
{
	AUTO_FREE char *whole = plain_path(p, path);
	xmlNode *n = plain_add_text(p->xml.os, "nvram", whole);

	if (format && strcmp(format, "raw"))
		plain_set(n, "format", format);
}

/* Takes a flash. Where no unit is said, they count in the order in which they stand on the line. */
static void take_flash(struct plain_work *p, struct word *w, unsigned *unit)
{
	static const char *const passed[] = {"if", "id", "index"};
	const char *said = word_take(w, "unit"), *file = word_take(w, "file"), *format = word_take(w, "format") ?: word_take(w, "driver");
	int readonly = word_flag(w, "readonly");
	unsigned n = said ? (unsigned)strtoul(said, NULL, 10) : *unit;

	word_see(w);
	word_pass(w, passed, ARRAY_LEN(passed));
	*unit = n + 1;
	if (!file || n > 1)
		plain_refuse(p, "a flash device that is neither its firmware nor the variables of that");
	else if (n)
		take_vars(p, file, format);
	else if (readonly != 1)
		plain_refuse(p,
			     "firmware whose code may be written to, with its variables in it (%.200s): give it both in files of their own",
			     file);
	else
		take_code(p, file, format);
}

/* -machine pflash0=NODE, of -blockdev. */
static void take_flash_node(struct plain_work *p, const char *key, bool is_vars)
{
	struct word *m = word_last(p, "machine") ?: word_last(p, "M");
	struct word *node = m ? word_called(p, "blockdev", "node-name", kv_get(&m->p.l, key, NULL)) : NULL;
	struct word *below = node ? word_called(p, "blockdev", "node-name", kv_get(&node->p.l, "file", NULL)) : NULL;
	const char *path = node ? kv_get(&node->p.l, "file.filename", NULL) ?: kv_get(&(below ?: node)->p.l, "filename", NULL) : NULL,
		   *format = node ? kv_get(&node->p.l, "driver", NULL) : NULL;

	if (!m || !kv_get(&m->p.l, key, NULL))
		return;
	if (!path)
		plain_refuse(p, "firmware whose file vmferry cannot find out (%s)", key);
	else if (is_vars)
		take_vars(p, path, format);
	else
		take_code(p, path, format);
	if (node)
		word_done(node);
	if (below)
		word_done(below);
}

static void take_bios(struct plain_work *p, struct word *w)
{
	const char *path = word_see(w);
	AUTO_FREE char *whole = plain_path(p, path ?: "");

	if (!path || !strchr(path, '/'))
		plain_refuse(p, "firmware that is named without a directory (-bios %.60s)", path ?: "");
	else
		plain_set(plain_add_text(p->xml.os, "loader", whole), "type", "rom");
}

static void take_file(struct plain_work *p, const char *option, const char *element)
{
	struct word *w = word_last(p, option);
	AUTO_FREE char *whole = w && w->value ? plain_path(p, w->value) : NULL;

	if (!whole)
		return;
	word_see(w);
	plain_add_text(p->xml.os, element, whole);
}

static void take_kernel(struct plain_work *p)
{
	struct word *w = word_last(p, "append");

	take_file(p, "kernel", "kernel");
	take_file(p, "initrd", "initrd");
	if (w && w->value) {
		word_see(w);
		plain_add_text(p->xml.os, "cmdline", w->value);
	}
}

void plain_firmware(struct plain_work *p)
{
	struct word *w = NULL, *bios = word_last(p, "bios");
	unsigned unit = 0;

	take_flash_node(p, "pflash0", false);
	take_flash_node(p, "pflash1", true);
	while ((w = word_next(p, "drive", w)))
		if (!strcmp(kv_get(&w->p.l, "if", NULL) ?: "", "pflash"))
			take_flash(p, w, &unit);
	for (w = NULL; (w = word_next(p, "pflash", w));) {
		word_see(w);
		plain_refuse(p, "firmware whose code may be written to (-pflash %.200s): give it code and variables in files of their own",
			     w->value);
	}
	if (bios)
		take_bios(p, bios);
	take_kernel(p);
}

/* ---- clock, and properties of what every machine has ---- */

/* -global DRIVER.PROPERTY=VALUE, or in three parts. */
static bool global_is(struct word *w, const char *driver, const char *property, const char **value)
{
	static const char *const parts[] = {"driver", "property", "value"};
	AUTO_FREE char *key = xasprintf("%s.%s", driver, property);
	const char *is_driver = kv_get(&w->p.l, "driver", NULL), *is_property = kv_get(&w->p.l, "property", NULL);

	*value = word_take(w, key);
	if (*value || !is_driver || !is_property || strcmp(is_driver, driver) || strcmp(is_property, property))
		return *value;
	*value = kv_get(&w->p.l, "value", NULL);
	word_pass(w, parts, ARRAY_LEN(parts));
	return *value;
}

static xmlNode *power(struct plain_work *p)
{
	xmlNode *n;

	for (n = p->xml.domain->children; n; n = n->next)
		if (!strcmp((const char *)n->name, "pm"))
			return n;
	return plain_add(p->xml.domain, "pm");
}

static xmlNode *loader(struct plain_work *p)
{
	xmlNode *n;

	for (n = p->xml.os->children; n && strcmp((const char *)n->name, "loader"); n = n->next)
		;
	return n;
}

/* libvirt wants SMM for it, which a q35 has unless its line says no. */
static void take_secure(struct plain_work *p, bool is_secure)
{
	xmlNode *n;

	for (n = p->xml.features->children; n && strcmp((const char *)n->name, "smm"); n = n->next)
		;
	if (is_secure && n && xml_attr_is(n, "state", "off")) {
		plain_note(p, "its firmware's variables are not kept from the guest there (secure=on): that needs SMM, which is off");
		return;
	}
	if (is_secure && !n)
		plain_add_with(p->xml.features, "smm", "state", "on");
	plain_set(loader(p), "secure", is_secure ? "yes" : "no");
}

static bool take_global(struct plain_work *p, struct word *w)
{
	static const char *const chips[] = {"ICH9-LPC", "PIIX4_PM"};
	const char *value;

	for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
		if (global_is(w, chips[i], "disable_s3", &value)) {
			plain_add_with(power(p), "suspend-to-mem", "enabled", strcmp(value, "0") ? "no" : "yes");
			return true;
		}
		if (global_is(w, chips[i], "disable_s4", &value)) {
			plain_add_with(power(p), "suspend-to-disk", "enabled", strcmp(value, "0") ? "no" : "yes");
			return true;
		}
	}
	if (global_is(w, "kvm-pit", "lost_tick_policy", &value) && (!strcmp(value, "discard") || !strcmp(value, "delay")))
		plain_set(plain_add_with(p->xml.clock, "timer", "name", "pit"), "tickpolicy", value);
	else if (global_is(w, "cfi.pflash01", "secure", &value) && loader(p))
		take_secure(p, word_is_yes(value));
	else
		return false;
	return true;
}

static void take_rtc(struct plain_work *p, struct word *w)
{
	const char *base = word_take(w, "base"), *clock = kv_get(&w->p.l, "clock", NULL), *drift = word_take(w, "driftfix");

	word_see(w);
	plain_set(p->xml.clock, "offset", base && !strcmp(base, "localtime") ? "localtime" : "utc");
	if (base && strcmp(base, "localtime") && strcmp(base, "utc"))
		plain_note(p, "its clock is that of its host there, and not %s", base);
	if (clock && !strcmp(clock, "host"))
		word_take(w, "clock");
	if (drift && !strcmp(drift, "slew"))
		plain_set(plain_add_with(p->xml.clock, "timer", "name", "rtc"), "tickpolicy", "catchup");
}

void plain_clock(struct plain_work *p)
{
	struct word *w = word_last(p, "rtc"), *local = word_last(p, "localtime"), *hpet = word_last(p, "no-hpet");

	plain_set(p->xml.clock, "offset", local ? "localtime" : "utc");
	if (local)
		word_see(local);
	if (w)
		take_rtc(p, w);
	if (hpet) {
		word_see(hpet);
		plain_set(plain_add_with(p->xml.clock, "timer", "name", "hpet"), "present", "no");
	}
	for (w = NULL; (w = word_next(p, "global", w));)
		if (take_global(p, w))
			word_see(w);
}

/* ---- SMBIOS ---- */

static const struct {
	const char *type, *element;
	const char *keys[8]; /* QEMU's, and libvirt's behind "=" where that is another */
} tables[] = {
	{"0", "bios", {"vendor", "version", "date", "release"}},
	{"1", "system", {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"}},
	{"2", "baseBoard", {"manufacturer", "product", "version", "serial", "asset", "location"}},
	{"3", "chassis", {"manufacturer", "version", "serial", "asset", "sku"}},
};

static void take_strings(struct word *w, xmlNode *sysinfo)
{
	xmlNode *strings = plain_add(sysinfo, "oemStrings");

	for (size_t i = 0; i < w->p.l.n; i++)
		if (w->p.l.v[i].key && !strcmp(w->p.l.v[i].key, "value")) {
			plain_add_text(strings, "entry", w->p.l.v[i].value);
			w->used[i] = true;
		}
}

static bool take_table(struct word *w, xmlNode *sysinfo, const char *type)
{
	__auto_type known = ROW_OF(tables, type, type);
	xmlNode *table = NULL;

	if (!strcmp(type, "11") && !kv_get(&w->p.l, "path", NULL)) {
		take_strings(w, sysinfo);
		return true;
	}
	for (size_t k = 0; known && k < ARRAY_LEN(known->keys) && known->keys[k]; k++) {
		const char *value = word_take(w, known->keys[k]);

		if (!value)
			continue;
		table = table ?: plain_add(sysinfo, known->element);
		plain_set(plain_add_text(table, "entry", value), "name", known->keys[k]);
	}
	return known;
}

void plain_smbios(struct plain_work *p)
{
	struct word *w = NULL;
	xmlNode *sysinfo = NULL;

	while ((w = word_next(p, "smbios", w))) {
		const char *type = word_take(w, "type");

		word_see(w);
		if (!sysinfo) {
			sysinfo = plain_add_with(p->xml.domain, "sysinfo", "type", "smbios");
			plain_add_with(p->xml.os, "smbios", "mode", "sysinfo");
		}
		if (!type || !take_table(w, sysinfo, type))
			plain_refuse(p, "an SMBIOS table that libvirt does not write (-smbios %.60s)", w->value ?: "");
	}
}
