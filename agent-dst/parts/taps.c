/* taps.c: see taps.h. */
#include "taps.h"
#include "cmd-tap.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "tap.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PERSIST_MS 5000
#define ANNOUNCE   "{s:i,s:i,s:i,s:i}", "initial", 50, "max", 550, "rounds", 3, "step", 100

static pid_t other_qemu(const struct target *t)
{
	return (pid_t)json_integer_value(json_object_get(json_object_get(t->description, "in_place"), "pid"));
}

static bool is_in_our_network(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	char ours[64] = "", theirs[64] = "";

	return readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0 && readlink(path, theirs, sizeof(theirs) - 1) > 0 &&
	       !strcmp(ours, theirs);
}

static int examine(const struct target *t, const struct args_nic *n, struct err *e)
{
	pid_t other = other_qemu(t);
	bool persists;
	int r = tap_examine(n->attach, &persists, e);

	if (r)
		return r;
	if (geteuid())
		return err_set(e, EPERM, "tap %s cannot go from one QEMU to another: only root can do that", n->attach);
	if (!is_in_our_network(other) || !tap_is_of(other, n->attach))
		return err_set(e, ENODEV, "the guest's QEMU (process %d) does not have tap %s in our network namespace: is it in another?",
			       (int)other, n->attach);
	return if_nametoindex(n->stand_in)
		       ? err_set(e, EEXIST,
				 "there is a network interface %s, which is to stand in for tap %s: remove it, if nobody needs it",
				 n->stand_in, n->attach)
		       : 0;
}

int taps_examine(const struct target *t, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < t->args.nic_count && !r; i++)
		if (t->args.nics[i].stand_in)
			r = examine(t, &t->args.nics[i], e);
	return r;
}

static int persist(const char *tap, pid_t pid, bool on, struct err *e)
{
	AUTO_FREE char *number = xasprintf("%d", (int)pid);

	return cmd_tap_run((char *[]){TAP_PERSIST, (char *)tap, number, on ? "on" : "off", NULL}, PERSIST_MS, e);
}

static int hold(struct target *t, const char *tap, struct err *e)
{
	const json_t *from = json_object_get(t->description, "in_place");
	bool persists;
	int r = tap_examine(tap, &persists, e);

	if (!r)
		r = attempt_own(t->part.a, "tap",
				json_pack("{s:s,s:b,s:O,s:O}", "path", tap, "persists", persists, "pid", json_object_get(from, "pid"),
					  "start_time", json_object_get(from, "start_time")),
				e);
	return r || persists ? r : persist(tap, other_qemu(t), true, e);
}

int taps_hold(struct target *t, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < t->args.nic_count && !r; i++)
		if (t->args.nics[i].stand_in)
			r = hold(t, t->args.nics[i].attach, e);
	fault_point("dst-taps-held");
	return r;
}

static bool stays_here(const struct target *t)
{
	return t->keep_guest && qemu_is_alive(t->qemu.pid, t->qemu.start_time);
}

/* Switches learn where it is from what it sends, and what it has sent until now led nowhere. */
static void announce(const struct target *t)
{
	struct err e;

	if (t->qmp && qmp_call(t->qmp, "announce-self", json_pack(ANNOUNCE), NULL, &e))
		log_info("the guest is not announced: %s", e.msg);
}

static int take(const struct target *t, const char *tap, const json_t *detail, struct err *e)
{
	AUTO_FREE char *pid = xasprintf("%d", (int)t->qemu.pid);
	AUTO_FREE char *before = xasprintf("%d", (int)json_integer_value(json_object_get(detail, "pid")));
	AUTO_FREE char *start = xasprintf("%lld", (long long)json_integer_value(json_object_get(detail, "start_time")));
	int r = cmd_tap_run((char *[]){TAP_TAKE, (char *)tap, pid, before, start, NULL}, TAP_TAKE_MS + PERSIST_MS, e);

	if (r)
		return err_prefix(e,
				  "the guest runs in its new QEMU (process %s) without its network on tap %s (vmferry recover tries again)",
				  pid, tap);
	fault_point("dst-tap-taken");
	announce(t);
	return 0;
}

int taps_undo(const struct target *t, const json_t *detail, struct err *e)
{
	const char *tap = json_text(detail, "path") ?: "";
	pid_t has = stays_here(t) ? t->qemu.pid : (pid_t)json_integer_value(json_object_get(detail, "pid"));
	int r = stays_here(t) ? take(t, tap, detail, e) : 0;

	return r || json_is_true(json_object_get(detail, "persists")) ? r : persist(tap, has, false, e);
}
