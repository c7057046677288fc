/* options.c: see options.h. */
#include "options.h"
#include "dest-options.h"
#include "object.h"
#include "process.h"

#define REVERT_WITHIN_S_MAX (7 * 24 * 3600)
#define KEPT_S_MAX	    (366 * 24 * 3600)
#define SHUTDOWN_S	    60

const char *const how_words[] = {[HOW_LIVE] = "live",
				 [HOW_QUICK] = "quick",
				 [HOW_WARM] = "warm",
				 [HOW_COLD] = "cold",
				 [HOW_DISKS] = "disks",
				 [HOW_REPLICA] = "replica",
				 NULL};
static const char *const how_offered[] = {"live", "quick", "warm", "cold", NULL}; /* the others have options of their own */
static const char *const as_words[] = {[AS_SAME] = "same", [AS_PLAIN] = "plain", [AS_LIBVIRT] = "libvirt", NULL};
const char *const media_words[] = {[MEDIA_AUTO] = "auto", [MEDIA_COPY] = "copy", [MEDIA_PATH] = "path", [MEDIA_EJECT] = "eject", NULL};
const char *const ram_mode_words[] = {[RAM_WISH_AUTO] = "auto", [RAM_WISH_PAGES] = "pages", [RAM_WISH_OPAQUE] = "opaque", NULL};
const char *const drop_words[] = {"snapshots", "bitmaps", "data-file", NULL}; /* DISK_ACCEPT_*, a bit each */
static const char *const chain_words[] = {[CHAIN_COPY] = "copy", [CHAIN_TOP] = "top", [CHAIN_FLATTEN] = "flatten", NULL};
static const char *const on_stall_words[] =
	{[ON_STALL_WAIT] = "wait", [ON_STALL_THROTTLE] = "throttle", [ON_STALL_STOP] = "stop", [ON_STALL_CANCEL] = "cancel", NULL};
static const char *const alike_words[] = {[ALIKE_AUTO] = "auto", [ALIKE_ON] = "on", [ALIKE_OFF] = "off", NULL};
static const char *const recheck_words[] = {[RECHECK_AUTO] = "auto", [RECHECK_ON] = "on", [RECHECK_OFF] = "off", NULL};
static const char *const dedup_words[] = {"on", "off", NULL}, *const unit_words[] = {"disable", "keep", NULL},
			 *const owner_words[] = {"pacemaker", NULL}, *const no[] = {"no", NULL}, *const fine[] = {"fine", NULL},
			 *const reuse_words[] = {"auto", NULL};

/* ---- values that no kind has ---- */

static int check_net(void *into, const char *arg, struct err *e)
{
	(void)into;
	return strchr(arg, '=') ? 0
				: option_bad(e, arg, "NIC=bridge:BRIDGE, NIC=tap:NAME, NIC=network:NAME, NIC=user, NIC=none or NIC=as-is");
}

static int check_disk(void *into, const char *arg, struct err *e)
{
	const char *value = option_pair_value(arg);

	(void)into;
	if (value && (*value == '/' || !strcmp(value, "shared") || !strcmp(value, "copy") || !strcmp(value, "empty")))
		return 0;
	return option_bad(e, arg, "DISK=PATH with an absolute path, DISK=shared, DISK=copy or DISK=empty");
}

/* "auto", "/a/file", "DISK=/a/file" or "DISK=auto"; a DISK may be a path, too. */
static int take_reuse(void *into, const char *arg, struct err *e)
{
	struct disk_options *o = &((struct move_options *)into)->disks;
	const char *value = option_pair_value(arg);

	if (value && (*value == '/' || !strcmp(value, "auto")))
		return 0;
	if (strcmp(arg, "auto") && *arg != '/')
		return option_bad(e, arg, "auto, FILE or DISK=FILE, with an absolute path of the destination");
	if (o->reuse_all && strcmp(o->reuse_all, arg))
		return option_bad(e, arg, "possible beside another one: say DISK=FILE for each disk");
	o->reuse_all = arg;
	return OPTION_TAKEN;
}

/* Refuses a relative path: with another path than the one that was meant a guest would get another QEMU, and nobody would notice. */
static int check_qemu(void *into, const char *arg, struct err *e)
{
	(void)into;
	return *arg == '/' ? 0 : option_bad(e, arg, "an absolute path");
}

static int check_machine(void *into, const char *arg, struct err *e)
{
	(void)into;
	return *arg && !strpbrk(arg, ",= ") ? 0 : option_bad(e, arg, "a machine type of QEMU's, without options");
}

static int take_script(void *into, const char *arg, struct err *e)
{
	struct move_options *o = into;

	(void)arg;
	(void)e;
	o->plan.as_script = o->plan.only = true;
	o->plan.estimate = false;
	return 0;
}

/* ---- rows ---- */

#define MEMBER(name) offsetof(struct move_options, name)

static const struct command_option rows[] = {
	{"disk-dir", "DIR",
	 "where the disks go at the destination; %n is the guest's name (default: they keep their paths); sockets and logs keep "
	 "their paths where they can, and are made there otherwise; auto: the directory with most room of those that "
	 "/etc/vmferry/host names there",
	 OPT_TEXT, .offset = MEMBER(disk_dir), .heading = "The most common:"},
	{"map-net", "NIC=WHAT",
	 "what a NIC (id or MAC) is attached to there: bridge:BRIDGE, tap:NAME[,script=…], user, none or as-is (default); with --as "
	 "libvirt also network:NAME; may be repeated",
	 OPT_LIST, .offset = MEMBER(map_net), .take = check_net},
	{"bwlimit", "RATE", "bytes per second, such as 100M, or bits: 800mbit; not obeyed while the guest is stopped", OPT_RATE,
	 .offset = MEMBER(carry.bwlimit)},
	{"dry-run", NULL, "show the plan and change nothing (vmferry check also says what the move would cost)", OPT_FLAG,
	 .offset = MEMBER(plan.only), .once = true},
	{"verbose", NULL, "say what is done, and show plan and result with all details", OPT_FLAG, .offset = MEMBER(dest.verbose),
	 .letter = 'v', .once = true},

	{"how", "HOW",
	 "live (default): the guest runs on meanwhile; quick: it is stopped, everything is sent once, and it goes on there; warm: "
	 "its disks are copied while it runs, then it is shut down, and boots there (for a guest that cannot take its memory along); "
	 "cold: its disks are copied as files, with snapshots and keys: a guest that is shut down stays so (see --start), one that "
	 "runs is shut down, and started there",
	 OPT_WORD, .offset = MEMBER(how), .words = how_words, .offered = how_offered, .heading = "How it moves:"},
	{"in-place", NULL,
	 "with DEST local: another QEMU of this machine goes on with the guest, with the same disks, sockets and pidfile; only its memory "
	 "is copied",
	 OPT_FLAG, .offset = MEMBER(in_place)},
	{"only-disks", NULL,
	 "copy the disks and nothing else, while the guest runs on here. The copies are kept there for seven days, or as "
	 "--keep-partial says; the guest's move then carries what has changed since",
	 OPT_SET, .offset = MEMBER(how), .base = HOW_DISKS},
	{"start", NULL, "with --how cold: run the guest's script there at the end", OPT_FLAG, .offset = MEMBER(cold.start)},
	{"only-off", NULL,
	 "with --how cold: VM is libvirt's name of a guest that is shut down, and nothing else; refuse if a guest of that name runs",
	 OPT_FLAG, .offset = MEMBER(cold.only_off)},
	{"as", "WHAT",
	 "same (default): a libvirt guest stays libvirt's, and a plain guest plain; plain: a libvirt guest becomes a plain one, "
	 "which a script starts there, on a host that needs no libvirt (--how live, quick or cold); libvirt (with --how cold): a "
	 "plain guest is defined and started by libvirt there",
	 OPT_WORD, .offset = MEMBER(cold.as), .words = as_words},
	{"shutdown-timeout", "S", "with --how warm, or cold for a guest that runs: how many seconds it may take to shut down (default 60)",
	 OPT_NUMBER, .offset = MEMBER(warm.shutdown_timeout_s), .min = 1, .max = 86400, .unit = "seconds"},
	{"force", NULL, "with --how warm: stop a guest that has not shut down by then, as if the plug were pulled", OPT_FLAG,
	 .offset = MEMBER(warm.force)},
	{"qemu", "FILE", "the QEMU that runs the guest there (default: the one of the same name as here)", OPT_TEXT, .offset = MEMBER(qemu),
	 .take = check_qemu},
	{"machine", "TYPE",
	 "with --how warm or cold: the machine type with which the guest boots there (q35, say, where that QEMU lacks its own)", OPT_TEXT,
	 .offset = MEMBER(machine), .take = check_machine},

	{"max-downtime", "MS", "switch over when the guest will be stopped no longer than this (default 300)", OPT_NUMBER,
	 .offset = MEMBER(stop.max_downtime_ms), .min = 1, .max = 3600000, .unit = "milliseconds", .heading = "When it switches over:"},
	{"now", NULL, "begin at once, however many moves leave this host or come to that one", OPT_FLAG, .offset = MEMBER(now)},
	{"hold", NULL, "when the downtime would be within --max-downtime, keep copying and wait for: vmferry switch VM", OPT_FLAG,
	 .offset = MEMBER(stop.hold)},
	{"at", "TIME",
	 "the earliest moment at which the guest may stand still: 3:00, '2026-12-24 3:00:00', +90m (s, m, h or d from now); "
	 "everything is copied until then, but --how quick begins then",
	 OPT_MOMENT, .offset = MEMBER(stop.at)},
	{"on-stall", "WHAT",
	 "what to do if the guest writes too fast for that: wait (default), throttle the guest, stop it for the rest, or cancel", OPT_WORD,
	 .offset = MEMBER(stop.on_stall), .words = on_stall_words},

	{"disk", "DISK=PATH",
	 "where that disk goes (DISK: its node, drive, device or file name); may be repeated. A raw disk may go onto a blank block "
	 "device of its size. DISK=shared: both hosts see the disk, so it stays where it is (vmferry finds this out of a file, "
	 "without --disk-dir; of a block device, and of what is behind a network (NBD, RBD, iSCSI), you must say it); DISK=copy: "
	 "copy it anyway; DISK=empty (warm, cold): leave its contents behind, and make an empty disk of its size there",
	 OPT_LIST, .offset = MEMBER(disks.map), .take = check_disk, .heading = "Disks and files:"},
	{"reuse", "FILE",
	 "an old copy of the disk there (a backup, a base image): what is equal in it does not travel; for several disks: DISK=FILE; "
	 "auto: what an earlier move of the guest left in the disk's place, which the disk then replaces",
	 OPT_LIST, .offset = MEMBER(disks.reuse), .words = reuse_words, .take = take_reuse},
	{"chain", "HOW",
	 "how backing files go: copy (default): the same chain there; files that are there already are used; top: they must be there; "
	 "flatten: one image of all",
	 OPT_WORD, .offset = MEMBER(disks.chain), .words = chain_words},
	{"drop", "WHAT,...", "leave behind what cannot be copied: snapshots, bitmaps; data-file: bring the data into the image", OPT_BITS,
	 .offset = MEMBER(disks.accept), .words = drop_words},
	{"media", "WHAT",
	 "how files that the guest only reads (media, kernel, firmware) go: auto (default): those that are there with the same "
	 "content are used, others copied; copy: all are copied; path: none is copied, they must be there; eject: media are taken "
	 "out of their drives, for the rest as auto",
	 OPT_WORD, .offset = MEMBER(media), .words = media_words},

	{"install-unit", NULL, "make and enable a systemd unit there, which starts the guest when that host boots", OPT_FLAG,
	 .offset = MEMBER(starter.install_unit), .heading = "What starts the guest afterwards:"},
	{"unit", "disable|keep", "the unit that the guest runs in here: stop and disable it (default), or leave it alone", OPT_SECOND,
	 .offset = MEMBER(starter.keep_unit), .words = unit_words},
	{"starter-stopped", NULL,
	 "you say that whatever else starts the guest here (a loop in a script, a supervisor) is stopped: the disks here then keep "
	 "their names",
	 OPT_FLAG, .offset = MEMBER(starter.is_stopped)},
	{"owner", "pacemaker",
	 "the guest is a resource of Pacemaker's: either Pacemaker itself moves it (its agent says so), or you say that its "
	 "maintenance mode is on",
	 OPT_WORD, .offset = MEMBER(owner), .words = owner_words, .base = OWNER_PACEMAKER},

	{"reconnect-timeout", "S",
	 "how many seconds to try to make broken connections again, after which the move goes on where it was (default 60; 0: roll "
	 "back at once); two seconds while the guest stands still",
	 OPT_NUMBER, .offset = MEMBER(reconnect_ms), .max = 86400, .times = 1000, .unit = "seconds", .heading = "When something fails:"},
	{"keep-partial", "TIME",
	 "if the move ends early, for any reason but a cancel, keep what has arrived of the disks there for this long (90m, 12h, "
	 "3d): vmferry recover VM --resume goes on with it, or the guest's next move from here to there; no: this move uses nothing "
	 "that was kept",
	 OPT_SPAN, .offset = MEMBER(disks.keep.partial_s), .also = MEMBER(disks.keep.none), .words = no, .max = KEPT_S_MAX},
	{"revert-within", "TIME",
	 "for this long (10m, 2h) after the guest has begun to run there, vmferry revert VM takes it back as it was when it was "
	 "handed over; what it does there meanwhile is then lost",
	 OPT_SPAN, .offset = MEMBER(revert_within_s), .max = REVERT_WITHIN_S_MAX},

	{"attach", NULL,
	 "if the guest's QEMU has no QMP monitor that can be reached, give it one first, by calling QEMU's own functions in it "
	 "(vmferry attach --help); a QEMU that was daemonized is also put back into its directory, if its disks have relative names",
	 OPT_FLAG, .offset = MEMBER(attach), .heading = "Running it:"},
	{"detach", NULL, "go on in the background once nothing stands in the way (vmferry status, vmferry history)", OPT_FLAG,
	 .offset = MEMBER(dest.background), .once = true},
	{"json", "[=fine]", "events as NDJSON on standard output; the last line is the result. fine: progress ten times a second", OPT_FLAG,
	 .offset = MEMBER(events.json), .also = MEMBER(events.json_fine), .words = fine, .once = true},
	{"script", NULL,
	 "print the migrate command with every choice made explicit, and the command line of the destination's QEMU; change nothing",
	 OPT_CALL, .take = take_script, .once = true},
	{"state-dir", "DIR", "where journals are (default /var/lib/vmferry)", OPT_TEXT, .offset = MEMBER(dirs.state)},
	{"runtime-dir", "DIR", "where sockets are (default /run/vmferry)", OPT_TEXT, .offset = MEMBER(dirs.runtime)},

	{"channels", "N", "data connections (default: as many as processors here, 2 to 8)", OPT_NUMBER, .offset = MEMBER(carry.channels),
	 .min = 1, .max = CHANNELS_MAX - 1, .heading = "For experts:"},
	{"codec", "CODEC", "auto (default), none, lz4 or zstd", OPT_WORD, .offset = MEMBER(carry.codec), .words = codec_words},
	{"dedup", "on|off", "content that is in memory and on disk travels once (default on)", OPT_SECOND, .offset = MEMBER(carry.no_dedup),
	 .words = dedup_words},
	{"alike", "auto|on|off",
	 "do not send blocks that images beside the disks' places there have (of guests that came before, templates): auto "
	 "(default): where the network is no faster than the search for them",
	 OPT_WORD, .offset = MEMBER(carry.alike), .words = alike_words},
	{"recheck", "auto|on|off",
	 "read the stopped guest's memory once more, and send what QEMU left out: auto (default): where QEMU is known to leave "
	 "something out, which is without KVM",
	 OPT_WORD, .offset = MEMBER(carry.recheck), .words = recheck_words},
	{"ram-mode", "MODE", "auto (default), pages, or opaque: QEMU's stream as it is", OPT_WORD, .offset = MEMBER(carry.ram_mode),
	 .words = ram_mode_words},
	{"multifd", "N", "channels that QEMU uses towards us; 0: its single stream (default: as --channels)", OPT_NUMBER,
	 .offset = MEMBER(carry.multifd), .max = MULTIFD_MAX},
	{.name = NULL},
};

void move_options_fill_in(struct move_options *o)
{
	if (!o->carry.channels)
		o->carry.channels = channels_for(own_processors());
	if (!o->warm.shutdown_timeout_s)
		o->warm.shutdown_timeout_s = SHUTDOWN_S;
}

const struct option_table move_tables[] = {
	{rows, 0}, {dest_login_rows, MEMBER(dest)}, {dest_ssh_rows, MEMBER(dest)}, {dest_standing_rows, MEMBER(dest)}, {NULL, 0},
};
