/* trial.c: see trial.h. */
#include "trial.h"
#include "log.h"
#include "qemu-args-trial.h"
#include "qemu-blocked.h"
#include "qemu-helper.h"
#include "same-file.h"
#include "util.h"
#include "rom-sizes.h"
#include "virtio-rings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TRIES	   8 /* reasons that are looked for */
#define ACL	   "/etc/qemu/bridge.conf"
#define BRIDGE_MAX 16

/* The bridge of the option that failed; QEMU's default if it names none. */
static void bridge_of(const char *said, char out[BRIDGE_MAX])
{
	const char *br = strstr(said, ",br=");

	snprintf(out, BRIDGE_MAX, "br0");
	if (br)
		snprintf(out, BRIDGE_MAX, "%.*s", (int)MIN(strcspn(br + 4, ",: "), BRIDGE_MAX - 1U), br + 4);
}

/* QEMU's helper says why on a line of its own, and whose list it read where it could not. */
static char *bridge_remedy(const char *said)
{
	const char *named = strstr(said, "acl file `"), *path = named ? named + strlen("acl file `") : ACL;
	int n = named ? (int)strcspn(path, "'") : (int)strlen(path);
	char br[BRIDGE_MAX];

	bridge_of(said, br);
	if (strstr(said, "acl file"))
		return xasprintf("QEMU may not use %s at the destination: put \"allow %s\" into %.*s there", br, br, n, path);
	if (strstr(said, "Operation not permitted") || strstr(said, "Permission denied"))
		return xasprintf(
			"QEMU's bridge helper at the destination has no rights, which a QEMU that root does not run needs: chmod u+s "
			"qemu-bridge-helper there");
	return xasprintf("QEMU cannot use %s at the destination: its bridge helper (qemu-bridge-helper) fails there", br);
}

static const struct remedy {
	const char *said, *words;
} remedies[] = {
	{"Address already in use",
	 "another process has that port at the destination: end it (ss -lntup there names it), or give the guest another port"},
	{"Could not set up host forwarding",
	 "another process has that port at the destination, or its address is not there: end it (ss -lntup there names it), or go without "
	 "forwarded ports (--map-net NIC=user)"},
	{"Cannot assign requested address", "the destination does not have that address: give it to it, or have the guest started without"},
	{"Failed to find an available port", "another process has that port at the destination: end it (ss -lntup there names it)"},
	{"Perhaps you want to install", "the destination's QEMU lacks a module: install what it names there"},
	{"is not a valid device model",
	 "the destination's QEMU does not have that device: install all of QEMU's packages there that are here"},
	{"failed to find romfile", "the destination's QEMU does not have that option ROM: install what has it there (Debian: ipxe-qemu)"},
	{"could not open disk image", "a file that it names is not there"},
	{"network script", "the script that sets up the guest's tap is missing or fails at the destination: bring it there (script=)"},
	{"/dev/net/tun", "QEMU cannot make network interfaces at the destination: modprobe tun there, and run vmferry-dst there as root"},
	{"/dev/vhost", "that device is missing at the destination: modprobe vhost_net (or vhost_vsock) there"},
	{"unable to set guest cid", "another guest of the destination has that vsock address: give this one another (guest-cid=)"},
	{"cannot set up guest memory", "the destination has not so much memory"},
	{"unable to map backing store", "the destination has not so many huge pages: sysctl vm.nr_hugepages there"},
	{"could not load PC BIOS", "the destination's QEMU has no such firmware: install it there (Debian: seabios, ovmf)"},
	{"could not read keymap", "the destination's QEMU does not have that keymap: install qemu-system-data there"},
};

/* "2026-11-28T03:02:05.540819Z ", of -msg timestamp=on. */
static const char *behind_time(const char *p)
{
	size_t n = strspn(p, "0123456789-T:.");

	return n > 10 && p[4] == '-' && p[10] == 'T' && p[n] == 'Z' && p[n + 1] == ' ' ? p + n + 2 : p;
}

static bool is_news(const char *p)
{
	static const char *const other[] = {"warning: ", "char device redirected to "};
	size_t i;

	for (i = 0; i < ARRAY_LEN(other) && strncmp(p, other[i], strlen(other[i])); i++)
		;
	return i == ARRAY_LEN(other);
}

/* Returns QEMU's words without the time and the program's name, and without what it only warns of (our own stand-ins, too) or tells of
 * its terminals; malloc'ed. */
static char *without_warnings(const char *said)
{
	static const char starting[] = " while starting: ", between[] = " / ", program[] = "qemu-system-";
	const char *p = strstr(said, starting) ? strstr(said, starting) + strlen(starting) : said, *end, *colon;
	char *all = xstrdup(""), *longer;

	for (; *p; p = *end ? end + strlen(between) : end) {
		end = strstr(p, between) ?: p + strlen(p);
		p = behind_time(p);
		colon = !text_starts_with(p, program) ? NULL : strstr(p, ": ");
		if (colon && colon < end)
			p = colon + 2;
		if (!is_news(p))
			continue;
		longer = xasprintf("%s%s%.*s", all, *all ? between : "", (int)(end - p), p);
		free(all);
		all = longer;
	}
	return all;
}

char *trial_reason(const char *said)
{
	AUTO_FREE char *words = without_warnings(said);
	AUTO_FREE char *bridge = strstr(words, "bridge helper failed") ? bridge_remedy(words) : NULL;
	const char *remedy = bridge;

	for (size_t i = 0; i < ARRAY_LEN(remedies) && !remedy; i++)
		if (strstr(words, remedies[i].said))
			remedy = remedies[i].words;
	return remedy ? xasprintf("%s (QEMU, tried there: %s)", remedy, *words ? words : said)
		      : xasprintf("QEMU does not start at the destination with the guest's command line; tried there, it says: %s",
				  *words ? words : said);
}

/* A QEMU that does not answer is a reason for nothing. */
static char *rom_misfit_of(const struct trial *t, struct qmp *q)
{
	json_t *there;
	struct err ignored;
	char *words;

	if (!t->roms || rom_sizes_ask(q, &there, &ignored))
		return NULL;
	words = rom_sizes_misfit(t->roms, there, t->own_bios);
	json_decref(there);
	return words;
}

static char *misfit_of(const struct trial *t, struct qmp *q)
{
	json_t *longest;
	struct err e;
	char *words;

	if (!t->rings || virtio_rings_longest(q, &longest, &e))
		return NULL;
	words = virtio_rings_misfit(t->rings, longest);
	json_decref(longest);
	return words;
}

/* A QEMU that does not answer names no device. */
static json_t *devices_of(const struct trial *t, struct qmp *q)
{
	struct err ignored;
	json_t *info, *devices;

	if (!t->takes_state || qmp_call(q, "query-migrate", NULL, &info, &ignored))
		return NULL;
	devices = qemu_blocked_devices(q, info);
	json_decref(info);
	return devices;
}

static int try_once(const struct trial *t, struct loop *l, const struct args_trial *line, struct trial_misfits *out, struct err *e)
{
	struct qemu_helper h;
	int r = qemu_helper_try(&h, l, t->exe, t->env, t->work_dir, line->words, e);

	if (r)
		return r;
	*out = (struct trial_misfits){.rings = misfit_of(t, h.qmp), .roms = rom_misfit_of(t, h.qmp), .devices = devices_of(t, h.qmp)};
	qemu_helper_end(&h);
	return 0;
}

json_t *trial_reasons(const struct trial *t, struct loop *l, struct trial_misfits *misfits)
{
	json_t *reasons = json_array();
	struct args_trial line;
	struct err e;
	int r;

	*misfits = (struct trial_misfits){.rings = NULL};
	args_trial_of(&line, t->argv, t->argc, path_is_directory);
	for (unsigned i = 0; i < TRIES && (r = try_once(t, l, &line, misfits, &e)); i++) {
		AUTO_FREE char *reason = r == -ECHILD ? trial_reason(e.msg) : NULL;

		if (!reason) {
			log_info("QEMU could not be tried: %s", e.msg);
			break;
		}
		json_array_append_new(reasons, json_string(reason));
		if (!args_trial_without(&line, e.msg))
			break;
	}
	args_trial_fini(&line);
	return reasons;
}
