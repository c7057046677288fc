/* plain-libvirt-cpu.c: processors, their model, features and arrangement. */
#include "plain-libvirt-private.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Properties of -cpu by what libvirt calls them. */
static const struct {
	const char *key, *element;
} enlightenments[] = {
	{"hv-relaxed", "relaxed"},
	{"hv-vapic", "vapic"},
	{"hv-vpindex", "vpindex"},
	{"hv-runtime", "runtime"},
	{"hv-synic", "synic"},
	{"hv-stimer", "stimer"},
	{"hv-reset", "reset"},
	{"hv-frequencies", "frequencies"},
	{"hv-reenlightenment", "reenlightenment"},
	{"hv-tlbflush", "tlbflush"},
	{"hv-ipi", "ipi"},
	{"hv-evmcs", "evmcs"},
};

/* CPU features that libvirt 9 knows by the same name and that people set. Others are noted for the user. */
static const char *const cpu_features[] = {
	"vmx",
	"svm",
	"aes",
	"avx",
	"avx2",
	"avx512f",
	"pcid",
	"invpcid",
	"pdpe1gb",
	"x2apic",
	"ssbd",
	"spec-ctrl",
	"ibpb",
	"stibp",
	"md-clear",
	"virt-ssbd",
	"amd-ssbd",
	"rdtscp",
	"topoext",
	"la57",
	"hypervisor",
	"invtsc",
	"tsc-deadline",
	"popcnt",
	"ssse3",
	"sse4.1",
	"sse4.2",
	"xsave",
	"xsaveopt",
	"xsavec",
	"xsaves",
	"fma",
	"f16c",
	"bmi1",
	"bmi2",
	"movbe",
	"rdrand",
	"rdseed",
	"adx",
	"smap",
	"smep",
	"erms",
	"fsgsbase",
	"lahf_lm",
	"abm",
	"sse4a",
	"3dnowprefetch",
	"npt",
	"nrip-save",
	"umip",
	"pku",
	"monitor",
	"arch-capabilities",
	"perfctr_core",
	NULL,
};

/* A feature's name with "-" in place of "_", which are the same to QEMU. malloc'ed. */
static char *feature_name(const char *text)
{
	char *out = xstrdup(text + (*text == '+' || *text == '-')), *c;

	for (c = out; *c; c++)
		*c = *c == '_' ? '-' : *c;
	return out;
}

static const char *libvirts_feature(const char *name)
{
	size_t i;

	if (!strcmp(name, "lahf-lm"))
		return "lahf_lm";
	if (!strcmp(name, "perfctr-core"))
		return "perfctr_core";
	for (i = 0; cpu_features[i] && strcmp(cpu_features[i], name) != 0; i++)
		;
	return cpu_features[i];
}

static xmlNode *hyperv(struct plain_work *p)
{
	xmlNode *n;

	for (n = p->xml.features->children; n; n = n->next)
		if (!strcmp((const char *)n->name, "hyperv"))
			return n;
	return plain_add(p->xml.features, "hyperv");
}

static bool take_enlightenment(struct plain_work *p, const char *name, const char *value, bool on)
{
	__auto_type known = ROW_OF(enlightenments, key, name);

	if (known) {
		plain_add_with(hyperv(p), known->element, "state", on ? "on" : "off");
		return true;
	}
	if (!strcmp(name, "hv-spinlocks") && value) {
		xmlNode *n = plain_add_with(hyperv(p), "spinlocks", "state", "on");

		plain_set_number(n, "retries", MAX(strtoul(value, NULL, 0), 4095));
	} else if (!strcmp(name, "hv-vendor-id") && value) {
		plain_set(plain_add_with(hyperv(p), "vendor_id", "state", "on"), "value", value);
	} else if (!strcmp(name, "hv-time")) {
		plain_set(plain_add_with(p->xml.clock, "timer", "name", "hypervclock"), "present", on ? "yes" : "no");
	} else if (!strcmp(name, "hv-passthrough")) {
		plain_set(hyperv(p), "mode", "passthrough");
	} else {
		return false;
	}
	return true;
}

/* 0: it is none of those that have elements of their own. */
static bool take_special(struct plain_work *p, const char *name, bool on, bool is_model)
{
	if (!strcmp(name, "kvm")) {
		if (!on)
			plain_add_with(plain_add(p->xml.features, "kvm"), "hidden", "state", "on");
	} else if (!strcmp(name, "migratable") && !is_model) {
		plain_set(p->xml.cpu, "migratable", on ? "on" : "off");
	} else if (!strcmp(name, "pmu")) {
		plain_add_with(p->xml.features, "pmu", "state", on ? "on" : "off");
	} else {
		return false;
	}
	return true;
}

static void take_feature(struct plain_work *p, struct word *w, size_t i, bool is_model)
{
	const struct kv *v = &w->p.l.v[i];
	const char *text = v->key ?: v->value, *known;
	AUTO_FREE char *name = feature_name(text);
	bool on = v->key ? word_is_yes(v->value) : *text != '-',
	     is_flag = !v->key || word_is_yes(v->value) || !strcmp(v->value, "off") || !strcmp(v->value, "no");

	w->used[i] = true;
	if (take_enlightenment(p, name, v->key ? v->value : NULL, on) || (is_flag && take_special(p, name, on, is_model)))
		return;
	known = is_flag ? libvirts_feature(name) : NULL;
	if (known)
		plain_set(plain_add_with(p->xml.cpu, "feature", "policy", on ? "require" : "disable"), "name", known);
	else
		plain_note(p, "%s%s%s of -cpu is not set there", text, v->key ? "=" : "", v->key ? v->value : "");
}

/* "Skylake-Server-v4": QEMU's versions of a model are not all known to a libvirt. */
static char *model_of(struct plain_work *p, const char *said)
{
	const char *v = strrchr(said, '-');

	if (!v || v[1] != 'v' || !isdigit((unsigned char)v[2]))
		return xstrdup(said);
	plain_note(p, "its processor is a %.*s there, and not its version %s", (int)(v - said), said, v + 1);
	return xstrndup(said, (size_t)(v - said));
}

static void take_model(struct plain_work *p, struct word *w)
{
	const char *said = word_take(w, "model") ?: "host";
	bool is_model = strcmp(said, "host") && strcmp(said, "max");
	AUTO_FREE char *model = is_model ? model_of(p, said) : NULL;

	word_see(w);
	plain_set(p->xml.cpu, "mode", is_model ? "custom" : !strcmp(said, "host") ? "host-passthrough" : "maximum");
	plain_set(p->xml.cpu, "check", "none");
	if (is_model) {
		plain_set(p->xml.cpu, "match", "exact");
		plain_set(plain_add_text(p->xml.cpu, "model", model), "fallback", "forbid");
	}
	for (size_t i = 0; i < w->p.l.n; i++)
		if (!w->used[i])
			take_feature(p, w, i, is_model);
}

static unsigned long cpu_number(struct word *w, const char *key)
{
	const char *value = w ? word_take(w, key) : NULL;
	unsigned long n = value ? strtoul(value, NULL, 10) : 0;

	return n <= 4096 ? n : 0;
}

/* Up to machines of QEMU 6.1 sockets are added first, and then cores, of which Windows counts neither the same. */
static bool prefers_sockets(const char *machine)
{
	const char *v = strstr(machine, "-q35-") ?: strstr(machine, "-i440fx-");
	int major = 99, minor = 0;

	if (v && sscanf(strchr(v + 1, '-'), "-%d.%d", &major, &minor) != 2)
		return false;
	return major < 6 || (major == 6 && minor < 2);
}

struct topology {
	unsigned long max, sockets, dies, clusters, cores, threads;
};

/* Fills in missing numbers as QEMU does (hw/core/machine-smp.c). */
static void complete_topology(struct topology *t, bool sockets_first, unsigned long count)
{
	unsigned long others = MAX(t->dies, 1) * MAX(t->clusters, 1);
	unsigned long all = t->max ?: count;

	t->dies = MAX(t->dies, 1);
	t->clusters = MAX(t->clusters, 1);
	if (!t->cores && !(sockets_first && !t->sockets)) {
		t->sockets = t->sockets ?: 1;
		t->threads = t->threads ?: 1;
		t->cores = all / (t->sockets * others * t->threads);
	} else if (!t->sockets) {
		t->cores = t->cores ?: 1;
		t->threads = t->threads ?: 1;
		t->sockets = all / (t->cores * others * t->threads);
	}
	t->threads = t->threads ?: all / (t->sockets * others * t->cores);
	t->max = t->max ?: t->sockets * others * t->cores * t->threads;
}

static void set_topology(struct plain_work *p, const struct topology *t)
{
	xmlNode *n = plain_add(p->xml.cpu, "topology");

	plain_set_number(n, "sockets", t->sockets);
	if (t->dies > 1)
		plain_set_number(n, "dies", t->dies);
	plain_set_number(n, "cores", t->cores);
	plain_set_number(n, "threads", t->threads);
}

static void take_smp(struct plain_work *p)
{
	struct word *w = word_last(p, "smp");
	unsigned long count = cpu_number(w, "cpus");
	struct topology t = {cpu_number(w, "maxcpus"),	cpu_number(w, "sockets"), cpu_number(w, "dies"),
			     cpu_number(w, "clusters"), cpu_number(w, "cores"),	  cpu_number(w, "threads")};
	AUTO_FREE char *machine = (char *)xmlGetProp(p->xml.os->children, (const xmlChar *)"machine");
	AUTO_FREE char *number = NULL;
	xmlNode *vcpu;

	if (w)
		word_see(w);
	if (!count && !t.max && !(t.sockets | t.cores | t.threads | t.dies))
		count = 1;
	complete_topology(&t, prefers_sockets(machine ?: ""), count);
	count = count ?: t.max;
	if (t.clusters > 1 || t.sockets * t.dies * t.clusters * t.cores * t.threads != t.max || count > t.max) {
		plain_note(p, "its processors are not arranged there as -smp says");
		t = (struct topology){MAX(count, t.max), 1, 1, 1, MAX(count, t.max), 1};
	}
	number = xasprintf("%lu", t.max);
	vcpu = plain_add_text(p->xml.domain, "vcpu", number);
	if (count < t.max)
		plain_set_number(vcpu, "current", count);
	set_topology(p, &t);
}

void plain_cpu(struct plain_work *p)
{
	struct word *w = word_last(p, "cpu");

	if (w)
		take_model(p, w);
	take_smp(p);
}
