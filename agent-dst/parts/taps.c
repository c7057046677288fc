/* taps.c: see taps.h. */
#include "taps.h"
#include "file-number.h"
#include "cmd-tap.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "tap.h"
#include "qemu-opts.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PERSIST_MS 5000
#define ANNOUNCE   "{s:i,s:i,s:i,s:i}", "initial", 50, "max", 550, "rounds", 3, "step", 100

static pid_t other_qemu(const struct target *t)
{
	return (pid_t)json_integer_value(json_object_get(json_object_get(t->description, "in_place"), "pid"));
}

static int examine(struct target *t, const struct args_nic *n, struct err *e)
{
	pid_t other = other_qemu(t), has;
	bool persists;
	int r = tap_examine(n->attach, &persists, e);

	if (r)
		return r;
	if (geteuid())
		return err_set(e, EPERM, "tap %s cannot go from one QEMU to another: only root can do that", n->attach);
	if (!tap_is_of(other, n->attach))
		return err_set(e, ENODEV, "the guest's QEMU (process %d) does not have tap %s in our network namespace: is it in another?",
			       (int)other, n->attach);
	if (!if_nametoindex(n->stand_in))
		return 0;
	has = tap_owner(n->stand_in);
	return has ? err_set(e, EEXIST,
			     "the network interface %s, which is to stand in for tap %s, is that of process %d: if that is a guest's QEMU which waits for "
			     "its tap, vmferry recover GUEST gives it that",
			     n->stand_in, n->attach, (int)has)
		   : err_set(e, EEXIST,
			     "the network interface %s, which is to stand in for tap %s, already exists: if it is not needed, "
			     "remove it",
			     n->stand_in, n->attach);
}

/* A bridge with STP lets nothing through for so many seconds once a tap has a process again; 0: it does. */
static double quiet_s(const char *tap)
{
	AUTO_FREE char *stp = xasprintf("/sys/class/net/%s/master/bridge/stp_state", tap);
	AUTO_FREE char *delay = xasprintf("/sys/class/net/%s/master/bridge/forward_delay", tap);

	return file_number(stp) > 0 ? 2.0 * (double)file_number(delay) / 100 : 0;
}

void taps_tell(const struct target *t, json_t *cautions)
{
	for (size_t i = 0; i < t->args.nic_count; i++) {
		const struct args_nic *n = &t->args.nics[i];
		double s = n->stand_in ? quiet_s(n->attach) : 0;

		if (s > 0)
			json_array_append_new(
				cautions,
				json_sprintf("the bridge of tap %s has STP: for %.0f s after the guest goes on there nothing reaches it, "
					     "and nothing from it goes out",
					     n->attach, s));
	}
}

static int persist(const char *tap, bool on, struct err *e)
{
	return cmd_tap_run((char *[]){TAP_PERSIST, (char *)tap, on ? "on" : "off", NULL}, PERSIST_MS, e);
}

/* Better now than when the guest has gone. */
static int try(const char *tap, pid_t pid, struct err *e)
{
	AUTO_FREE char *number = xasprintf("%d", (int)pid);
	int r = cmd_tap_run((char *[]){TAP_TRY, (char *)tap, number, NULL}, PERSIST_MS, e);

	return r ? err_prefix(e, "tap %s could not go from one QEMU to another", tap) : 0;
}

static int hold(struct target *t, const struct args_nic *n, struct err *e)
{
	const json_t *from = json_object_get(t->description, "in_place");
	AUTO_FREE char *boot = boot_id();
	bool persists;
	int r = tap_examine(n->attach, &persists, e) ?: try(n->attach, other_qemu(t), e);

	if (!r)
		r = attempt_own(t->part.a, "tap",
				json_pack("{s:s,s:s,s:I,s:b,s:O,s:O,s:s*}", "path", n->attach, "stand_in", n->stand_in, "index",
					  (json_int_t)if_nametoindex(n->attach), "persists", persists, "pid", json_object_get(from, "pid"),
					  "start_time", json_object_get(from, "start_time"), "boot_id", boot),
				e);
	return r || persists ? r : persist(n->attach, true, e);
}

static int each(struct target *t, int (*fn)(struct target *t, const struct args_nic *n, struct err *e), struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < t->args.nic_count && !r; i++)
		if (t->args.nics[i].stand_in)
			r = fn(t, &t->args.nics[i], e);
	return r;
}

int taps_examine(struct target *t, struct err *e)
{
	return each(t, examine, e);
}

/* -1: nobody, or that is not known. */
static long number_of(const char *tap, const char *attribute)
{
	AUTO_FREE char *path = xasprintf("/sys/class/net/%s/%s", tap, attribute);

	return access(path, F_OK) ? -1 : file_number(path);
}

static bool is_in_group(gid_t group)
{
	gid_t groups[NGROUPS_MAX];
	int n = getgroups(ARRAY_LEN(groups), groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return group == getegid();
}

/* QEMU has rights of its own that we do not have. */
static bool has_rights(const char *exe)
{
	return !geteuid() || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0) == 1 ||
	       (exe && getxattr(exe, "security.capability", NULL, 0) > 0);
}

/* True if the kernel keeps the tap for others (tun_not_capable()): one with an owner is for that user, one with a group for its members. */
static bool is_somebody_s(const char *tap)
{
	long owner = number_of(tap, "owner"), group = number_of(tap, "group");

	return (owner >= 0 && (uid_t)owner != geteuid()) || (group >= 0 && !is_in_group((gid_t)group));
}

/* QEMU attaches itself to a tap that is there, or makes one. */
static int check_kind_and_rights(const char *tap, const char *exe, struct err *e)
{
	AUTO_FREE char *here = xasprintf("/sys/class/net/%s", tap);
	struct err ignored;
	bool persists, is_here = !access(here, F_OK);

	if (is_here && tap_examine(tap, &persists, &ignored))
		return err_set(
			e, EEXIST,
			"%s is a network interface at the destination, and no tap: give the guest another with --map-net NIC=tap:NAME or "
			"=bridge:BRIDGE",
			tap);
	if (has_rights(exe) || (is_here && !is_somebody_s(tap)))
		return 0;
	return err_set(
		e, EPERM,
		"QEMU may not %s tap %s at the destination, as vmferry-dst does not run as root there: %sip tuntap add %s mode tap user %d "
		"there",
		is_here ? "open" : "make", tap, is_here ? "remove it, and " : "", tap, (int)geteuid());
}

/* QEMU is not tried with it: whoever has it would lose packets. */
int taps_check_free(const struct args_nic *n, const char *exe, struct err *e)
{
	bool named = n->to_type && !strcmp(n->to_type, "tap") && n->to_attach && !n->helped && !n->stand_in;
	pid_t has = named && !tap_has_queues(n->to_attach) ? tap_owner(n->to_attach) : 0;

	if (has)
		return err_set(e, EBUSY,
			       "process %d has tap %s open at the destination, which NIC %s is to have: give it another with --map-net %s=tap:NAME or "
			       "=bridge:BRIDGE",
			       (int)has, n->to_attach, n->netdev ?: n->mac ?: "?", n->netdev ?: n->mac ?: "NIC");
	if (named && access("/dev/net/tun", R_OK | W_OK))
		return err_sys(e, errno,
			       "QEMU cannot have tap %s at the destination (modprobe tun, and run vmferry-dst there as root): /dev/net/tun",
			       n->to_attach);
	return named ? check_kind_and_rights(n->to_attach, exe, e) : 0;
}

/* True if the back end that has this tap wants several queues. */
static bool wants_queues(const struct args_result *line, const char *tap)
{
	struct qemu_opt opt;
	bool yes = false;
	size_t i = 1;

	while (!yes && qemu_opt_next(line->argv, line->argc, &i, &opt)) {
		struct kv_list l;

		if (!opt.value || (strcmp(opt.name, "netdev") && strcmp(opt.name, "nic")))
			continue;
		kv_parse(&l, opt.value);
		yes = !strcmp(kv_get(&l, "ifname", NULL) ?: "", tap) && atoi(kv_get(&l, "queues", NULL) ?: "1") > 1;
		kv_fini(&l);
	}
	return yes;
}

int taps_check_queues(const struct args_result *line, const struct args_nic *n, struct err *e)
{
	const char *tap = n->to_type && !strcmp(n->to_type, "tap") && !n->stand_in ? n->to_attach : NULL;
	bool persists, wants = tap && wants_queues(line, tap);
	struct err none;

	if (!tap || tap_examine(tap, &persists, &none) || tap_has_queues(tap) == wants)
		return 0;
	return err_set(e, EINVAL,
		       "tap %s exists at the destination %s several queues, and NIC %s needs one %s: make it there so (ip tuntap del %s mode tap%s; "
		       "ip tuntap add %s mode tap%s), or give the guest another with --map-net",
		       tap, wants ? "without" : "with", n->netdev ?: n->mac ?: "?", wants ? "with them (queues=)" : "without", tap,
		       wants ? "" : " multi_queue", tap, wants ? " multi_queue" : "");
}

int taps_hold(struct target *t, struct err *e)
{
	int r = each(t, hold, e);

	fault_point("dst-taps-held");
	return r;
}

static int try_stand_in(struct target *t, const struct args_nic *n, struct err *e)
{
	return try(n->stand_in, t->qemu.pid, e);
}

int taps_try(struct target *t, struct err *e)
{
	return each(t, try_stand_in, e);
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
	char *words[] = {TAP_TAKE, (char *)tap, (char *)json_text(detail, "stand_in"), pid, before, start, NULL};
	int r = cmd_tap_run(words, TAP_TAKE_MS + PERSIST_MS, e);

	if (r) /* an agent that died in between has left QEMU without a tap, and it must not stay so */
		r = cmd_tap_run(words, TAP_TAKE_MS + PERSIST_MS, e);
	if (r)
		return err_prefix(
			e, "the guest runs in its new QEMU (process %s) without its network on tap %s (vmferry recover %s tries again)",
			pid, tap, t->name);
	fault_point("dst-tap-taken");
	announce(t);
	return 0;
}

/* Since the host was booted, or where it was removed, there is nothing to put back. */
static bool is_that_tap(const json_t *detail, const char *tap)
{
	return is_this_boot(json_text(detail, "boot_id")) &&
	       (json_int_t)if_nametoindex(tap) == json_integer_value(json_object_get(detail, "index"));
}

int taps_undo(const struct target *t, const json_t *detail, struct err *e)
{
	const char *tap = json_text(detail, "path") ?: "";
	int r = stays_here(t) && json_text(detail, "stand_in") ? take(t, tap, detail, e) : 0;

	return r || json_is_true(json_object_get(detail, "persists")) || !is_that_tap(detail, tap) ? r : persist(tap, false, e);
}
