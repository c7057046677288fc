/* cmd-import.c: vmferry import: a guest of this host out of another hypervisor's files. */
#include "cmd.h"
#include "command-options.h"
#include "import.h"
#include "log.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

static const char before[] =
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
	"  .vma           an archive of vzdump's, also compressed (.gz, .zst, .xz, .bz2)\n"
	"  .box           Vagrant's, of libvirt, VirtualBox or VMware\n"
	"  a directory    with one of these in it\n"
	"  .conf          a guest of quickemu's: its disk lies below it\n"
	"  .xva           of XenServer's and XCP-ng's, also compressed; digests in it are verified\n"
	"  .vbox          a guest of VirtualBox's: its disks lie beside it\n"
	"  .utm           a guest of UTM's: the bundle's directory, or the config.plist in it\n"
	"  VMID.conf      a guest of Proxmox VE's: images of its volumes' names lie beside it, or are named\n"
	"  .xml           a domain of libvirt's (virsh dumpxml --inactive; name disks that are elsewhere), or an exported\n"
	"                 configuration of Hyper-V's\n"
	"  .json          what Hyper-V's PowerShell prints of a guest: .vmcx, when refused, says by which command\n"
	"  disk images    VHDX, VHD, VMDK, VDI, qcow2 or raw, also compressed, and the .tar.gz of Google Compute Engine: those\n"
	"                 that a description names and that are elsewhere; or alone, in their order, for a guest that is\n"
	"                 described by the options below\n"
	"and is told apart by what is in it. The guest must be shut down there.\n"
	"\n"
	"Disks are converted by qemu-img, under other names until all are whole; nothing is written over, and what they were "
	"made from is not touched. The machine is like the one described: memory, processors, firmware, controllers, network "
	"cards with their addresses. What is not mapped is said, a line each. Nothing inside the guest is changed.\n"
	"\n";

static const char after[] =
	"\n"
	"Options of QEMU behind -- are put at the end of its command line as they are.\n"
	"\n"
	"Exit code: 0 the guest is here; 1 it failed, and nothing is left behind; 2 wrong usage; 3 refused, nothing was "
	"touched; 4 it failed, and what is left behind is listed.\n"
	"\n"
	"examples:\n"
	"  vmferry import appliance.ova --disk-dir /srv/vm --start\n"
	"  vmferry import vm1.vmx --net bridge=br0 --dry-run\n"
	"  vmferry import firewall.ovf --net Outside=bridge=br0 --net Inside=bridge=br1\n"
	"  vmferry import server.vhdx --firmware uefi --memory 8G --cpus 4 --name server\n";

static int take_net(void *into, const char *arg, struct err *e)
{
	struct import_options *o = into;

	return network_wish_parse(&o->nets[o->net_count++], arg)
		       ? 0
		       : option_bad(e, arg, "user, bridge=BRIDGE or none, or one of these behind CARD=");
}

static int take_disk(void *into, const char *arg, struct err *e)
{
	struct import_options *o = into;
	const char *equals = strchr(arg, '=');

	if (!equals || equals == arg || !equals[1])
		return option_bad(e, arg, "DISK=FILE: a disk of the description, and the image that it is, or DISK=none");
	o->named.disks[o->named.disk_count++] = (struct disk_wish){arg, (size_t)(equals - arg), equals + 1};
	return 0;
}

static int take_base(void *into, const char *arg, struct err *e)
{
	struct import_options *o = into;

	(void)e;
	((char **)o->named.bases.files)[o->named.bases.count++] = (char *)arg;
	return 0;
}

static int take_raw(void *into, const char *arg, struct err *e)
{
	struct import_options *o = into;

	(void)e;
	o->named.raw[o->named.raw_count++] = (char *)arg;
	return 0;
}

#define MEMBER(name) offsetof(struct import_options, name)

static const char *const formats[] = {"qcow2", "raw", NULL}, *const firmwares[] = {"bios", "uefi", NULL},
			 *const accels[] = {"kvm", "tcg", NULL}, *const net_words[] = {"user", "none", "bridge=", NULL},
			 *const fine[] = {"fine", NULL};

static const struct command_option rows[] = {
	{"name", "NEW", "the guest's name (default: as described)", OPT_TEXT, .offset = MEMBER(name)},
	{"guest", "NAME", "the guest of that name, where an OVF or OVA has several", OPT_TEXT, .offset = MEMBER(named.guest)},
	{"disk-dir", "DIR", "where its disks, its script NAME.sh and its sockets go (default: here)", OPT_TEXT, .offset = MEMBER(dir)},
	{"format", "FORMAT", "the format of the guest's disks: qcow2 (default) or raw", OPT_WORD_TEXT, .offset = MEMBER(format),
	 .words = formats},
	{"memory", "SIZE", "memory, such as 4G (default: as described; for images alone 2G)", OPT_SIZE,
	 .offset = MEMBER(wishes.memory_bytes), .min = GUEST_MEMORY_MIN, .max = GUEST_MEMORY_MAX},
	{"cpus", "N", "number of processors (default: as described; for images alone 2)", OPT_NUMBER, .offset = MEMBER(wishes.cpus),
	 .min = 1, .max = GUEST_CPUS_MAX},
	{"firmware", "WHICH", "bios or uefi (default: as described; else uefi if nothing but that boots from the disk)", OPT_WORD,
	 .offset = MEMBER(wishes.firmware), .words = firmwares, .base = FIRMWARE_BIOS},
	{"bus", "BUS",
	 "the bus of every disk: ide, sata, virtio, nvme, lsilogic, lsisas, pvscsi, virtio-scsi, megasas or usb (default: as described, "
	 "where firmware and guest have a driver; else sata, or ide for Windows before Vista; for images alone sata)",
	 OPT_WORD, .offset = MEMBER(wishes.bus), .words = disk_bus_words, .base = 1},
	{"net", "[CARD=]WHAT",
	 "attachment of the network cards: user (default; not for a bundle): QEMU's own NAT; bridge=BRIDGE; none. CARD is a card's "
	 "network there, its address, or its number ('#1'): WHAT is for that card alone (not for a bundle); --net may be repeated for "
	 "other cards, and without CARD for the rest",
	 OPT_CALL, .words = net_words, .take = take_net},
	{"raw", "FILE", "FILE, one of those, is a raw disk whatever is in it: also if it looks like something else, or cut off", OPT_CALL,
	 .take = take_raw},
	{"disk", "DISK=FILE",
	 "the image of a disk that the description has elsewhere (a volume of a pool, a disk of that host, a file by another name). DISK is "
	 "its name there (vda, scsi0:0), its file's, or its number ('#1'); again for each. DISK=none leaves that disk out",
	 OPT_CALL, .take = take_disk},
	{"storage-cfg", "FILE",
	 "Proxmox VE's storage.cfg: it says where volumes are, which are taken from there (default: /etc/pve/storage.cfg for a configuration in /etc/pve; "
	 "else images of their names beside it)",
	 OPT_TEXT, .offset = MEMBER(named.storage_cfg)},
	{"base", "FILE", "a backing file of an image, which does not lie beside it; one image is made of them. Again for each", OPT_CALL,
	 .take = take_base},
	{"flatten", NULL, "let all backing files of the images be read, wherever they lie, and make one image of them", OPT_FLAG,
	 .offset = MEMBER(named.bases.all)},
	{"no-disk", NULL, "the guest has none, and is meant so; else such a description is refused", OPT_FLAG, .offset = MEMBER(no_disk)},
	{"clone", NULL, "a copy beside the original: a new UUID, and new addresses of network cards", OPT_FLAG, .offset = MEMBER(clone)},
	{"trust-line", NULL,
	 "let a bundle's command line name what vmferry does not know to be harmless: files, programs and devices of this host, "
	 "monitors that a network reaches. The plan says which",
	 OPT_FLAG, .offset = MEMBER(trust_line)},
	{"no-memory", NULL, "leave out the memory in a bundle: the guest starts from its disks", OPT_FLAG, .offset = MEMBER(no_memory)},
	{"accel", "WHICH", "kvm or tcg (default: kvm where it can be used)", OPT_WORD_TEXT, .offset = MEMBER(accel), .words = accels},
	{"qemu", "FILE", "(default: $QEMU, or qemu-system-x86_64); qemu-img is taken from beside it", OPT_TEXT, .offset = MEMBER(qemu)},
	{"start", NULL, "start the guest when all is done", OPT_SET, .offset = MEMBER(start), .base = IMPORT_START},
	{"paused", NULL, "start it, but let it wait for cont at its monitor", OPT_SET, .offset = MEMBER(start), .base = IMPORT_PAUSED},
	{"no-start", NULL, "do not start it (default): NAME.sh does", OPT_SET, .offset = MEMBER(start), .base = IMPORT_NO_START},
	{"now", NULL, "wait for no other guest that comes to this host (/etc/vmferry/host says how many may at once)", OPT_FLAG,
	 .offset = MEMBER(now)},
	{"json", "[=fine]", "events as NDJSON on standard output; the last line is the result", OPT_FLAG, .offset = MEMBER(life.json),
	 .also = MEMBER(life.json_fine), .words = fine},
	{"verbose", NULL, "each setting that is left out, also what says nothing of the hardware", OPT_FLAG,
	 .offset = MEMBER(named.verbose), .letter = 'v'},
	{"dry-run", NULL, "say what would be done, and with which command line; touch nothing", OPT_FLAG, .offset = MEMBER(dry_run)},
	{.name = NULL},
};

int cmd_import(int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry import", before, after, .tables = tables};
	struct import_options o = {.name = NULL};
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *runtime = NULL;
	char **more;
	int ours = command_words_before(argc, argv, &more, &o.more_count), first, r;
	AUTO_FREE char **words = xcalloc((size_t)ours + 1, sizeof(*words)), **raw = xcalloc((size_t)ours + 1, sizeof(*raw));
	AUTO_FREE char **bases = xcalloc((size_t)ours + 1, sizeof(*bases));
	AUTO_FREE struct disk_wish *disks = xcalloc((size_t)ours + 1, sizeof(*disks));
	AUTO_FREE struct network_wish *nets = xcalloc((size_t)ours + 1, sizeof(*nets));

	memcpy(words, argv, (size_t)ours * sizeof(*words)); /* getopt would put what is QEMU's among the files */
	o.named.raw = raw;
	o.named.disks = disks;
	o.named.bases.files = bases;
	o.nets = nets;
	o.more = more;
	log_init("vmferry", LOG_LEVEL_ERROR, 2);
	r = command_take(&usage, ours, words, &o, &first);
	if (r)
		return MAX(r, 0);
	o.named.files = words + first;
	o.named.file_count = (size_t)(ours - first);
	if (!o.named.file_count) {
		fprintf(stderr, "vmferry import: it needs a FILE (--help tells more)\n");
		return EXIT_USAGE;
	}
	life_places(&o.life, &state, &runtime);
	return import_run(&o);
}
