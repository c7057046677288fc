/* cmd-import.c: vmferry import: a guest of this host out of another hypervisor's files. */
#include "cmd.h"
#include "import.h"
#include "log.h"
#include "option-table.h"
#include "util.h"
#include "words.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: vmferry import FILE... [options] [-- OPTION OF QEMU...]\n"
	"\n"
	"Makes a guest of this host out of a bundle, one of another hypervisor, or disk images. FILE is one of\n"
	"  a bundle       of vmferry export: its directory, a file with its stream, or - for standard input; every file of it\n"
	"                 is verified. The guest is the machine that it was: --memory, --cpus, --firmware, --bus, --format and\n"
	"                 --accel are refused, and its network is as it was unless --net says otherwise. A bundle says how\n"
	"                 QEMU is started, as a script would: take it from whom you trust (--dry-run shows the line)\n"
	"  .ova           what VMware, VirtualBox and others export; digests in its manifest are verified\n"
	"  .ovf           the same, unpacked: its disks lie beside it\n"
	"  .vmx           a guest of VMware's: its disks lie beside it\n"
	"  .xml           a domain of libvirt's (virsh dumpxml --inactive; name disks that are elsewhere), or an exported configuration of Hyper-V's\n"
	"  disk images    VHDX, VHD, VMDK, VDI, qcow2 or raw: those that a description names and that are elsewhere; or\n"
	"                 alone, in their order, for a guest that is described by the options below\n"
	"and is told apart by what is in it. The guest must be shut down there.\n"
	"\n"
	"Disks are converted by qemu-img, under other names until all are whole; nothing is written over, and what they were\n"
	"made from is not touched. The machine is like the one described: memory, processors, firmware, controllers, network\n"
	"cards with their addresses. What is not mapped is said, a line each. Nothing inside the guest is changed.\n"
	"\n"
	"  --name NEW           the guest's name (default: as described)\n"
	"  --disk-dir DIR       where its disks, its script NAME.sh and its sockets go (default: here)\n"
	"  --format FORMAT      of its disks: qcow2 (default) or raw\n"
	"  --memory SIZE        such as 4G (default: as described; of images alone 2G)\n"
	"  --cpus N             (default: as described; of images alone 2)\n"
	"  --firmware WHICH     bios or uefi (default: as described; else uefi if nothing but that boots from the disk)\n"
	"  --bus BUS            of every disk: ide, sata, virtio, nvme, lsilogic, lsisas, pvscsi, virtio-scsi, megasas or usb\n"
	"                       (default: as described, where firmware and guest have a driver; else sata, or ide for Windows\n"
	"                       before Vista; of images alone sata)\n"
	"  --net [CARD=]WHAT    what its network cards are attached to: user (default; not of a bundle): QEMU's own NAT;\n"
	"                       bridge=BRIDGE; none. CARD is a card's network there, its address, or its number ('#1'): of\n"
	"                       that card alone (not of a bundle); --net again says it of others, and without CARD of the rest\n"
	"  --raw FILE           FILE, one of those, is a raw disk whatever is in it: also if it looks like something else, or cut off\n"
	"  --no-disk            the guest has none, and is meant so; else such a description is refused\n"
	"  --clone              a copy beside the original: a new UUID, and new addresses of network cards\n"
	"  --trust-line         of a bundle: let its command line name what vmferry does not know to be harmless: files, programs\n"
	"                       and devices of this host, monitors that a network reaches. The plan says which\n"
	"  --no-memory          leave out what a bundle has of its memory: it starts from its disks\n"
	"  --accel WHICH        kvm or tcg (default: kvm where it can be used)\n"
	"  --qemu BINARY        (default: $QEMU, or qemu-system-x86_64); qemu-img is taken from beside it\n"
	"  --start              start the guest when all is done\n"
	"  --paused             start it, but let it wait for cont at its monitor\n"
	"  --no-start           do not start it (default): NAME.sh does\n"
	"  --json[=fine]        events as NDJSON on standard output; the last line is the result\n"
	"  --dry-run            say what would be done, and with which command line; touch nothing\n"
	"\n"
	"Options of QEMU behind -- are put at the end of its command line as they are.\n"
	"\n"
	"Exit code: 0 the guest is here; 1 it failed, and nothing is left behind; 2 wrong usage; 3 refused, nothing was\n"
	"touched; 4 it failed, and what is left behind is listed.\n"
	"\n"
	"examples:\n"
	"  vmferry import appliance.ova --disk-dir /srv/vm --start\n"
	"  vmferry import vm1.vmx --net bridge=br0 --dry-run\n"
	"  vmferry import firewall.ovf --net Outside=bridge=br0 --net Inside=bridge=br1\n"
	"  vmferry import server.vhdx --firmware uefi --memory 8G --cpus 4 --name server\n";

enum {
	OPT_NAME = 256,
	OPT_DIR,
	OPT_FORMAT,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_FIRMWARE,
	OPT_BUS,
	OPT_NET,
	OPT_RAW,
	OPT_NO_DISK,
	OPT_CLONE,
	OPT_TRUST,
	OPT_NO_MEMORY,
	OPT_ACCEL,
	OPT_QEMU,
	OPT_START,
	OPT_PAUSED,
	OPT_NO_START,
	OPT_DRY,
	OPT_JSON,
	OPT_HELP
};

static const struct option options[] = {
	{"name", required_argument, NULL, OPT_NAME},	 {"disk-dir", required_argument, NULL, OPT_DIR},
	{"format", required_argument, NULL, OPT_FORMAT}, {"memory", required_argument, NULL, OPT_MEMORY},
	{"cpus", required_argument, NULL, OPT_CPUS},	 {"firmware", required_argument, NULL, OPT_FIRMWARE},
	{"bus", required_argument, NULL, OPT_BUS},	 {"net", required_argument, NULL, OPT_NET},
	{"clone", no_argument, NULL, OPT_CLONE},	 {"no-memory", no_argument, NULL, OPT_NO_MEMORY},
	{"trust-line", no_argument, NULL, OPT_TRUST},	 {"accel", required_argument, NULL, OPT_ACCEL},
	{"qemu", required_argument, NULL, OPT_QEMU},	 {"start", no_argument, NULL, OPT_START},
	{"paused", no_argument, NULL, OPT_PAUSED},	 {"no-start", no_argument, NULL, OPT_NO_START},
	{"dry-run", no_argument, NULL, OPT_DRY},	 {"json", optional_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},		 {"raw", required_argument, NULL, OPT_RAW},
	{"no-disk", no_argument, NULL, OPT_NO_DISK},	 {NULL, 0, NULL, 0},
};

static int bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "vmferry import: %s: '%s' is not %s\n", option, value, want);
	return EXIT_USAGE;
}

/* -1: it is none of them, which is said. */
static int one_of(const char *option, const char *value, const char *const *words)
{
	AUTO_FREE char *all = words_or(words);
	int i = word_index(words, value);

	if (i < 0)
		bad(option, value, all);
	return i;
}

static int take_cpus(struct import_options *o, const char *arg)
{
	uint64_t n;
	struct err e;

	if (described_number(&n, arg, 1, GUEST_CPUS_MAX, "--cpus", &e))
		return bad("--cpus", arg, "a number of processors");
	o->wishes.cpus = (unsigned)n;
	return 0;
}

static int take_memory(struct import_options *o, const char *arg)
{
	if (parse_bytes(arg, &o->wishes.memory_bytes) || o->wishes.memory_bytes < GUEST_MEMORY_MIN ||
	    o->wishes.memory_bytes > GUEST_MEMORY_MAX)
		return bad("--memory", arg, "a size such as 4G");
	return 0;
}

/* 0, or the exit code. */
static int take(struct import_options *o, int c)
{
	static const char *const formats[] = {"qcow2", "raw", NULL}, *const firmwares[] = {"bios", "uefi", NULL};
	static const char *const accels[] = {"kvm", "tcg", NULL};
	int i;

	switch (c) {
	case OPT_NAME:
		o->name = optarg;
		return 0;
	case OPT_DIR:
		o->dir = optarg;
		return 0;
	case OPT_FORMAT:
		o->format = optarg;
		return one_of("--format", optarg, formats) < 0 ? EXIT_USAGE : 0;
	case OPT_MEMORY:
		return take_memory(o, optarg);
	case OPT_CPUS:
		return take_cpus(o, optarg);
	case OPT_FIRMWARE:
		i = one_of("--firmware", optarg, firmwares);
		o->wishes.firmware = i ? FIRMWARE_UEFI : FIRMWARE_BIOS;
		return i < 0 ? EXIT_USAGE : 0;
	case OPT_BUS:
		o->wishes.bus = disk_bus_of(optarg);
		return one_of("--bus", optarg, disk_bus_words) < 0 ? EXIT_USAGE : 0;
	case OPT_NET:
		return network_wish_parse(&o->nets[o->net_count++], optarg)
			       ? 0
			       : bad("--net", optarg, "user, bridge=BRIDGE or none, or one of these behind CARD=");
	case OPT_RAW:
		o->named.raw[o->named.raw_count++] = optarg;
		return 0;
	case OPT_NO_DISK:
		o->no_disk = true;
		return 0;
	case OPT_CLONE:
		o->clone = true;
		return 0;
	case OPT_TRUST:
		o->trust_line = true;
		return 0;
	case OPT_NO_MEMORY:
		o->no_memory = true;
		return 0;
	case OPT_ACCEL:
		o->accel = optarg;
		return one_of("--accel", optarg, accels) < 0 ? EXIT_USAGE : 0;
	case OPT_QEMU:
		o->qemu = optarg;
		return 0;
	case OPT_START:
		o->start = IMPORT_START;
		return 0;
	case OPT_PAUSED:
		o->start = IMPORT_PAUSED;
		return 0;
	case OPT_NO_START:
		o->start = IMPORT_NO_START;
		return 0;
	case OPT_JSON:
		if (optarg && strcmp(optarg, "fine"))
			return bad("--json", optarg, "fine, or nothing");
		o->life.json = true;
		o->life.json_fine = optarg != NULL;
		return 0;
	case OPT_DRY:
		o->dry_run = true;
		return 0;
	default:
		return EXIT_USAGE;
	}
}

/* What is behind "--" is QEMU's; getopt would put it among the files. How many words of argv are ours. */
static int split(struct import_options *o, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		;
	if (i < argc) {
		o->more = argv + i + 1;
		o->more_count = (size_t)(argc - i - 1);
	}
	return i;
}

int cmd_import(int argc, char **argv)
{
	struct import_options o = {.name = NULL};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	int ours = split(&o, argc, argv), c, r;
	AUTO_FREE char **words = xcalloc((size_t)ours + 1, sizeof(*words)), **raw = xcalloc((size_t)ours + 1, sizeof(*raw));
	AUTO_FREE struct network_wish *nets = xcalloc((size_t)ours + 1, sizeof(*nets));

	memcpy(words, argv, (size_t)ours * sizeof(*words));
	o.named.raw = raw;
	o.nets = nets;
	log_init("vmferry", LOG_LEVEL_ERROR, 2);
	while ((c = option_next(ours, words, "", options)) != -1) {
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		r = take(&o, c);
		if (r)
			return r;
	}
	o.named.files = words + optind;
	o.named.file_count = (size_t)(ours - optind);
	if (!o.named.file_count) {
		fprintf(stderr, "vmferry: import needs a FILE; vmferry import --help tells more\n");
		return EXIT_USAGE;
	}
	life_places(&o.life, &state, &runtime);
	return import_run(&o);
}
