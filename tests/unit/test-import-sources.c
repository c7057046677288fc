/* test-import-sources.c: which file each disk of a description is, and what a manifest may name. */
#include "disk-files.h"
#include "pve-storage.h"
#include "sources.h"
#include "util.h"
#include "packed-sources.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test-import-sources-XXXXXX";

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	AUTO_FREE char *path = path_of(name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_dir(const char *name)
{
	AUTO_FREE char *path = path_of(name);

	assert_int_equal(mkdir(path, 0700), 0);
}

static int clean(void **state)
{
	AUTO_FREE char *command = xasprintf("find '%s' -mindepth 1 -delete", dir);

	(void)state;
	return system(command);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return clean(state) || rmdir(dir);
}

/* The outcome of a description: the file of its first disk within dir, or why it is refused; malloc'ed. */
struct outcome {
	char *file, *why, *notes;
	size_t disks;
	char *name, *described; /* the first disk's file, as the description has it now */
};

static void open_with(struct outcome *o, struct sources_named *n)
{
	struct guest_description d;
	struct sources s;
	struct err e;
	size_t i;
	int r = sources_open(&s, &d, n, &e);

	*o = (struct outcome){.why = r ? xstrdup(e.msg) : NULL, .disks = d.disk_count, .notes = xstrdup("")};
	o->name = d.name ? xstrdup(d.name) : NULL;
	o->described = d.disk_count && d.disks[0].file ? xstrdup(d.disks[0].file) : NULL;
	if (!r && s.disks[0].path && !strncmp(s.disks[0].path, dir, strlen(dir)))
		o->file = xstrdup(s.disks[0].path + strlen(dir) + 1);
	for (i = 0; i < d.note_count; i++) {
		char *longer = xasprintf("%s%s\n", o->notes, d.notes[i]);

		free(o->notes);
		o->notes = longer;
	}
	sources_fini(&s);
	description_fini(&d);
}

static void outcome_fini(struct outcome *o)
{
	free(o->file);
	free(o->why);
	free(o->notes);
	free(o->name);
	free(o->described);
}

static void open_description(struct outcome *o, const char *name, struct sources_named more)
{
	AUTO_FREE char *path = path_of(name);
	char *files[] = {path};

	more.files = files;
	more.file_count = 1;
	open_with(o, &more);
}

/* Text in UTF-16 is known by what is in it, too; what only begins with its mark is an image. */
static void what_powershell_writes_is_known(void **state)
{
	char *files[] = {(char *)"tests/data/import/utf-16.hyperv.json"};
	struct outcome o;

	(void)state;
	open_with(&o, &(struct sources_named){.files = files, .file_count = 1});
	if (!o.why || !strstr(o.why, "srv.vhdx"))
		fail_msg("not '%s'", o.why ?: "taken");
	assert_string_equal(o.name, "B\xc3\xbcro");
	outcome_fini(&o);
	write_file("marked.json", "\xff\xfe{\"Generation\" \"HardDrives\"");
	open_description(&o, "marked.json", (struct sources_named){.raw = NULL});
	assert_null(o.why);
	assert_int_equal(o.disks, 1);
	outcome_fini(&o);
}

/* ---- where a disk lies ---- */

static void write_vmx(const char *disk)
{
	AUTO_FREE char *text = xasprintf("config.version = \"8\"\r\nscsi0.present = \"TRUE\"\r\nscsi0:0.present = \"TRUE\"\r\n"
					 "scsi0:0.fileName = \"%s\"\r\n",
					 disk);

	write_file("a.vmx", text);
}

static void is_found(const char *disk, const char *file)
{
	struct outcome o;

	write_vmx(disk);
	open_description(&o, "a.vmx", (struct sources_named){.raw = NULL});
	if (!file && !o.why)
		fail_msg("'%s' is found: %s", disk, o.file);
	if (file && (!o.file || strcmp(o.file, file) != 0))
		fail_msg("'%s' is not %s: %s", disk, file, o.why ? o.why : o.file);
	outcome_fini(&o);
}

static void a_disk_lies_beside_or_in_a_folder_below(void **state)
{
	AUTO_FREE char *link = path_of("link"), *linked = path_of("data/linked.vmdk");

	(void)state;
	make_dir("data");
	make_dir("data/more");
	write_file("a.vmdk", "x");
	write_file("data/b.vmdk", "x");
	write_file("data/more/Disk C.vmdk", "x");
	assert_int_equal(symlink("data", link), 0);
	assert_int_equal(symlink("b.vmdk", linked), 0);
	is_found("a.vmdk", "a.vmdk");
	is_found("./a.vmdk", "a.vmdk");
	is_found("data/b.vmdk", "data/b.vmdk");
	is_found("./data/b.vmdk", "data/b.vmdk");
	is_found("data\\b.vmdk", "data/b.vmdk");
	is_found("data/more/Disk C.vmdk", "data/more/Disk C.vmdk");
	make_dir("data/more/deep");
	write_file("data/more/deep/d.vmdk", "x");
	write_file(".hidden.vmdk", "x");
	write_file("data/.hidden.vmdk", "x");
	is_found("data/more/deep/d.vmdk", NULL);
	is_found(".hidden.vmdk", NULL);
	is_found("data/.hidden.vmdk", NULL);
	is_found("/vmfs/volumes/one/a.vmdk", "a.vmdk");
	/* on a host where letters are all one */
	is_found("A.VMDK", "a.vmdk");
	is_found("data/B.vmdk", "data/b.vmdk");
	is_found("b.vmdk", NULL);
	is_found("link/b.vmdk", NULL);
	is_found("data/linked.vmdk", NULL);
	is_found("data/../../above.vmdk", NULL);
	is_found("data", NULL);
}

static void of_two_names_in_other_letters_none_is_taken(void **state)
{
	(void)state;
	write_file("a.vmdk", "x");
	write_file("A.vmdk", "x");
	is_found("a.vmdk", "a.vmdk");
	is_found("a.VMDK", NULL);
}

/* A name that is longer than any is none, and no part of one. */
static void a_value_is_as_long_as_it_likes(void **state)
{
	AUTO_FREE char *text = NULL;
	char name[6001];
	struct outcome o;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	text = xasprintf("config.version = \"8\"\nguestinfo.userdata = \"%s\"\ndisplayName = \"%s\"\n", name, name);
	write_file("long.vmx", text);
	open_description(&o, "long.vmx", (struct sources_named){.raw = NULL});
	assert_null(o.why);
	assert_null(o.name);
	assert_non_null(strstr(o.notes, "the setting guestinfo.userdata = \"aaaa"));
	outcome_fini(&o);
}

/* ---- --disk ---- */

static void said(const char *description, const char *disk, const char *file, const char *why)
{
	AUTO_FREE char *path = path_of("image");
	struct disk_wish wish = {disk, strlen(disk), path};
	struct outcome o;

	open_description(&o, description, (struct sources_named){.disks = &wish, .disk_count = 1});
	if (file ? !o.file || strcmp(o.file, file) != 0 : !o.why || !strstr(o.why, why))
		fail_msg("--disk %s: %s", disk, o.why ? o.why : o.file);
	outcome_fini(&o);
}

static void is_refused(const char *description, const char *why)
{
	struct outcome o;

	open_description(&o, description, (struct sources_named){.raw = NULL});
	if (!o.why || !strstr(o.why, why))
		fail_msg("%s: %s", description, o.why ? o.why : o.file);
	outcome_fini(&o);
}

static void a_disk_is_the_file_that_the_user_says(void **state)
{
	(void)state;
	write_file("image", "x");
	write_file("pool.xml", "<domain type='kvm'><name>p</name><memory>262144</memory><os><type>hvm</type></os><devices>"
			       "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
			       "<disk type='volume'><driver type='raw'/><source pool='default' volume='root'/><target dev='vda'/></disk>"
			       "</devices></domain>");
	write_vmx("/vmfs/volumes/elsewhere/c.vmdk");
	said("a.vmx", "scsi0:0", "image", NULL);
	said("a.vmx", "#1", "image", NULL);
	said("a.vmx", "c.vmdk", "image", NULL);
	said("a.vmx", "scsi0:1", NULL, "describes no such disk; it has #1 scsi0:0");
	said("pool.xml", "vdb", NULL, "describes no such disk; it has #1 vda");
	said("pool.xml", "sda", NULL, "describes no such disk"); /* a drive */
}

/* A disk of the host that the guest ran on, of which nobody has an image, or one with data alone. */
static void a_disk_may_be_left_out(void **state)
{
	struct disk_wish w[] = {{"scsi0:0", 7, "none"}, {"#2", 2, "none"}};
	struct outcome o;

	(void)state;
	write_file("image", "x");
	write_file("d.vmdk", "x");
	write_file("host.vmx",
		   "config.version = \"8\"\nscsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.deviceType = \"rawDisk\"\n"
		   "scsi0:1.present = \"TRUE\"\nscsi0:1.fileName = \"d.vmdk\"\n");
	is_refused("host.vmx", "scsi0:0 is a disk of the host that it ran on (rawDisk): make an image of it there, and name it (--disk "
			       "scsi0:0=FILE), or leave it out (--disk scsi0:0=none)");
	said("host.vmx", "scsi0:0", "image", NULL);
	open_description(&o, "host.vmx", (struct sources_named){.disks = w, .disk_count = 1});
	assert_null(o.why);
	assert_int_equal(o.disks, 1);
	assert_string_equal(o.file, "d.vmdk");
	assert_non_null(strstr(o.notes, "the disk scsi0:0 is left out"));
	outcome_fini(&o);
	open_description(&o, "host.vmx", (struct sources_named){.disks = w, .disk_count = 2});
	assert_non_null(strstr(o.why, "all its disks would be left out"));
	outcome_fini(&o);
}

/* Two storages may have volumes of one name, and an image of one of them lies beside the configuration. */
static void volumes_of_one_name_are_told_apart(void **state)
{
	AUTO_FREE char *image = path_of("image"), *other = path_of("other");
	struct disk_wish each[] = {{"scsi0", 5, image}, {"scsi1", 5, other}, {"efidisk0", 8, "none"}};
	struct outcome o;

	(void)state;
	write_file("image", "x");
	write_file("other", "x");
	write_file("vm-100-disk-0.raw", "x");
	write_file("100.conf", "bios: ovmf\nmemory: 512\nefidisk0: lvm:vm-100-disk-1,size=4M\nscsi0: lvm:vm-100-disk-0,size=1M\n"
			       "scsi1: fast:vm-100-disk-0,size=1M\n");
	is_refused("100.conf", "the disks scsi0 (lvm:vm-100-disk-0) and scsi1 (fast:vm-100-disk-0) would be the same file, "
			       "vm-100-disk-0.raw: say of each which it is (--disk scsi1=FILE)");
	open_description(&o, "100.conf", (struct sources_named){.disks = each, .disk_count = ARRAY_LEN(each)});
	assert_null(o.why);
	assert_int_equal(o.disks, 2);
	assert_string_equal(o.file, "image");
	outcome_fini(&o);
}

/* UEFI variables may be left out where there are some, too, and where a file has that name. */
static void the_variables_of_its_uefi_may_be_left_out(void **state)
{
	struct disk_wish none = {"efidisk0", 8, "none"};
	AUTO_FREE char *path = path_of("100.conf");
	char *files[] = {path};
	struct sources_named n = {.files = files, .file_count = 1};
	struct guest_description d;
	struct sources s;
	struct err e;

	(void)state;
	write_file("vm-100-disk-0.raw", "x");
	write_file("vm-100-disk-1.raw", "x");
	write_file("100.conf", "bios: ovmf\nmemory: 512\nefidisk0: lvm:vm-100-disk-1,size=4M\nscsi0: lvm:vm-100-disk-0,size=1M\n");
	assert_int_equal(sources_open(&s, &d, &n, &e), 0);
	assert_non_null(s.efi.path);
	sources_fini(&s);
	description_fini(&d);
	n.disks = &none;
	n.disk_count = 1;
	assert_int_equal(sources_open(&s, &d, &n, &e), 0);
	assert_null(s.efi.path);
	assert_null(d.uefi.efi.file); /* the firmware begins with new variables */
	sources_fini(&s);
	description_fini(&d);
	write_file("100.conf", "bios: ovmf\ncores: 1\nmemory: 512\nscsi0: lvm:vm-100-disk-0,size=1M\n");
	said("100.conf", "efidisk0", NULL, "describes no such disk; it has #1 scsi0");
}

/* A wrong kind of file is refused with advice; the ending of a packed image is not a part of its guest's name. */
static void files_beside_the_point_are_told_apart(void **state)
{
	struct outcome o;

	(void)state;
	write_file("run.xml", "<domstatus state='running'><domain type='kvm'/></domstatus>");
	is_refused("run.xml", "(virsh dumpxml --inactive NAME)");
	write_file("haos.qcow2.gz", "x");
	open_description(&o, "haos.qcow2.gz", (struct sources_named){.raw = NULL});
	assert_string_equal(o.name, "haos");
	outcome_fini(&o);
}

/* QEMU reads no chain of VirtualBox's: one image is to be made of it there. */
static void a_snapshot_of_virtualbox_is_not_its_base(void **state)
{
	(void)state;
	make_dir("Snapshots");
	write_file("image", "x");
	write_file("base.vdi", "x");
	write_file("Snapshots/{2}.vdi", "x");
	write_file("a.vbox",
		   "<VirtualBox><Machine name='a'><MediaRegistry><HardDisks><HardDisk uuid='{1}' location='base.vdi'><HardDisk "
		   "uuid='{2}' location='Snapshots/{2}.vdi'/></HardDisk></HardDisks></MediaRegistry><Hardware><StorageControllers>"
		   "<StorageController name='SATA' type='AHCI'><AttachedDevice type='HardDisk' port='0' device='0'><Image uuid='{2}'/>"
		   "</AttachedDevice></StorageController></StorageControllers></Hardware></Machine></VirtualBox>");
	said("a.vbox", "SATA:0:0", "image", NULL);
	said("a.vbox", "#1", "image", NULL);
	said("a.vbox", "base.vdi", NULL, "describes no such disk; it has #1 SATA:0:0");
	is_refused("a.vbox",
		   "the disk SATA:0:0 is a difference to another image, of a snapshot (VBoxManage clonemedium disk {2} NEW.vdi makes "
		   "one of both): make an image of it there, and name it (--disk SATA:0:0=FILE)");
}

static void what_is_elsewhere_is_found_by_its_name(void **state)
{
	AUTO_FREE char *description = path_of("net.xml"), *image = path_of("sub/root.img");
	char *files[] = {description, image};
	struct sources_named n = {.files = files, .file_count = 1};
	struct outcome o;

	(void)state;
	make_dir("sub");
	write_file("sub/root.img", "x");
	write_file("net.xml",
		   "<domain type='kvm'><name>p</name><memory>262144</memory><os><type>hvm</type></os><devices>"
		   "<disk type='network'><driver type='raw'/><source protocol='rbd' name='ssd/root.img'><host name='mon'/></source>"
		   "<target dev='vda'/></disk></devices></domain>");
	open_with(&o, &n);
	assert_non_null(o.why);
	assert_non_null(strstr(o.why, "the disk vda is rbd 'ssd/root.img', on the network: make an image of it there, and name it (--disk "
				      "vda=FILE)"));
	outcome_fini(&o);
	n.file_count = 2;
	open_with(&o, &n);
	assert_non_null(o.file);
	assert_string_equal(o.file, "sub/root.img");
	outcome_fini(&o);
}

/* ---- which guest ---- */

#define GUEST(id, name, disk)                                                                                                              \
	"<VirtualSystem id='" id "'><Name>" name "</Name><VirtualHardwareSection><Item><InstanceID>1</InstanceID><ResourceType>17"         \
	"</ResourceType><HostResource>ovf:/disk/" disk "</HostResource></Item></VirtualHardwareSection></VirtualSystem>"

static void takes_guest(const char *wish, const char *file, const char *why)
{
	struct outcome o;

	open_description(&o, "app.ovf", (struct sources_named){.guest = wish});
	if (file ? !o.file || strcmp(o.file, file) != 0 || o.disks != 1 : !o.why || !strstr(o.why, why))
		fail_msg("--guest %s: %s", wish ? wish : "", o.why ? o.why : o.file);
	outcome_fini(&o);
}

static void of_several_guests_one_is_taken_by_its_name(void **state)
{
	(void)state;
	write_file("d1.vmdk", "x"); /* the disks of the others are not asked for */
	write_file("app.ovf",
		   "<Envelope><References><File id='f1' href='d1.vmdk'/><File id='f2' href='d2.vmdk'/></References><DiskSection>"
		   "<Disk diskId='d1' fileRef='f1'/><Disk diskId='d2' fileRef='f2'/></DiskSection><VirtualSystemCollection id='c'>" GUEST(
			   "vm2", "database", "d2") "<VirtualSystemCollection id='inner'>" GUEST("vm1", "web", "d1")
			   GUEST("vm3", "twin", "d2")
				   GUEST("vm4", "twin", "d1") "</VirtualSystemCollection></VirtualSystemCollection></Envelope>");
	takes_guest(NULL, NULL, "the description has several guests: it has database, web, twin, twin (--guest NAME takes one)");
	takes_guest("web", "d1.vmdk", NULL);
	takes_guest("vm1", "d1.vmdk", NULL);
	takes_guest("database", NULL, "the disk 'd2.vmdk' is not beside it");
	takes_guest("Web", NULL, "the description has no guest of that name");
	takes_guest("twin", NULL, "several of its guests are called so");
	takes_guest("vm4", "d1.vmdk", NULL);
}

/* ---- manifests ---- */

static void write_ovf(const char *href, const char *manifest)
{
	AUTO_FREE char *text = xasprintf("<Envelope><References><File id='f' href='%s'/></References><DiskSection><Disk diskId='d' "
					 "fileRef='f'/></DiskSection><VirtualSystem id='a'><VirtualHardwareSection><Item><InstanceID>1"
					 "</InstanceID><ResourceType>17</ResourceType><HostResource>ovf:/disk/d</HostResource></Item>"
					 "</VirtualHardwareSection></VirtualSystem></Envelope>",
					 href);

	write_file("a.ovf", text);
	write_file("a.mf", manifest);
}

static void verify(const char *name, struct err *e, int want)
{
	AUTO_FREE char *path = path_of(name);
	char *files[] = {path};
	struct sources_named n = {.files = files, .file_count = 1};
	struct guest_description d;
	struct sources s;

	assert_int_equal(sources_open(&s, &d, &n, e), 0);
	assert_int_equal(sources_verify(&s, NULL, NULL, e), want);
	sources_fini(&s);
	description_fini(&d);
}

#define OF_X "11f6ad8ec52a2984abaafd7c3b516503785c2072" /* SHA1 of "x" */

static void what_a_guest_does_not_use_may_be_missing(void **state)
{
	struct outcome o;
	struct err e;

	(void)state;
	make_dir("disks");
	write_file("disks/d.vmdk", "x");
	write_ovf("disks/d.vmdk", "SHA1(disks/d.vmdk)= " OF_X "\nSHA1(tools.iso)= " OF_X "\nSHA1(a.ovf)= " OF_X "\n");
	open_description(&o, "a.ovf", (struct sources_named){.raw = NULL});
	if (o.why || !strstr(o.notes, "a.mf names tools.iso, which is not there: the guest does not use it"))
		fail_msg("%s", o.why ? o.why : o.notes);
	outcome_fini(&o);
	verify("a.ovf", &e, -EBADMSG);
	if (!strstr(e.msg, "a.ovf is damaged: its SHA1 is not what the manifest says. Copy it again; if you have changed it yourself, "
			   "import it without its manifest (move the .mf away)"))
		fail_msg("%s", e.msg);
	/* files that exist are compared, used or not */
	write_file("tools.iso", "y");
	write_ovf("disks/d.vmdk", "SHA1(disks/d.vmdk)= " OF_X "\nSHA1(tools.iso)= " OF_X "\nSHA1(a.ovf)= " OF_X "\n");
	verify("a.ovf", &e, -EBADMSG);
	assert_non_null(strstr(e.msg, "tools.iso is damaged"));
}

/* ---- volumes of Proxmox VE's ---- */

static void a_volume_is_where_its_storage_says(void **state)
{
	static const char cfg[] =
		"# ours\ndir: local\n\tpath /var/lib/vz\n\tcontent iso,images\n\nlvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n"
		"\nzfspool: local-zfs\n\tsparse\n\tpool rpool/data\n\nnfs: nas\n\tserver 10.0.0.1\n\texport /srv\n\n"
		"btrfs: b\n\tpath /b\n\ndir: own\n\tpath /own\n\tcontent-dirs iso=i,images=disks\n\nrbd: ceph\n\tpool rbd\n";
	static const char *const cases[][2] = {
		{"local:100/vm-100-disk-0.qcow2", "/var/lib/vz/images/100/vm-100-disk-0.qcow2"},
		{"local:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2", "/var/lib/vz/images/101/vm-101-disk-0.qcow2"},
		{"local-lvm:vm-100-disk-0", "/dev/pve/vm-100-disk-0"},
		{"local-zfs:base-100-disk-0/vm-101-disk-0", "/dev/zvol/rpool/data/vm-101-disk-0"},
		{"nas:100/vm-100-disk-0.raw", "/mnt/pve/nas/images/100/vm-100-disk-0.raw"},
		{"b:100/vm-100-disk-0.raw", "/b/images/100/vm-100-disk-0/disk.raw"},
		{"own:100/vm-100-disk-0.vmdk", "/own/disks/100/vm-100-disk-0.vmdk"},
		{"ceph:vm-100-disk-0", NULL},
		{"other:vm-100-disk-0", NULL},
		{"local", NULL},
		{"local:vm-100-disk-0.raw", NULL},
		{"local:../vm-100-disk-0.raw", NULL},
		{"local:100/..", NULL},
		{"local-lvm:..", NULL},
		{"local-lvm:a b", NULL},
		{"local-lvm:", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		AUTO_FREE char *path = pve_volume_path(cfg, cases[i][0], NULL);

		if (!!path != !!cases[i][1] || (path && strcmp(path, cases[i][1]) != 0))
			fail_msg("%s is %s", cases[i][0], path ? path : "nowhere");
	}
}

/* A volume of the same name on another node is another guest's. */
static void a_volume_of_another_node_is_not_here(void **state)
{
	static const char cfg[] =
		"dir: local\n\tpath /l\n\nlvm: san\n\tvgname san\n\tshared 1\n\nlvm: unshared\n\tvgname x\n\tshared 0\n\nnfs: nas\n"
		"\tserver s\n\nnfs: some\n\tnodes b, c\n\ndir: off\n\tpath /off\n\tdisable\n";
	static const struct {
		const char *storage, *there;
		bool is_here;
	} cases[] = {{"local", "a", true}, {"local", "b", false}, {"san", "b", true},	{"unshared", "b", false}, {"unshared", "a", true},
		     {"nas", "b", true},   {"some", "b", false},  {"some", "a", false}, {"off", "a", false},	  {"off", NULL, false}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct pve_nodes nodes = {.here = "a"};
		AUTO_FREE char *volume = xasprintf("%s:100/vm-100-disk-0.raw", cases[i].storage), *path = NULL;

		snprintf(nodes.there, sizeof(nodes.there), "%s", cases[i].there ?: "");
		path = pve_volume_path(cfg, volume, cases[i].there ? &nodes : NULL);
		if (!!path != cases[i].is_here)
			fail_msg("%s of %s is %s", cases[i].storage, cases[i].there ?: "?", path ?: "nowhere");
	}
}

static void a_storage_leads_to_no_other_place(void **state)
{
	static const char *const cfgs[] = {"lvm: s\n\tvgname ../etc\n",
					   "lvm: s\n\tvgname a/b\n",
					   "zfspool: s\n\tpool a/../b\n",
					   "zfspool: s\n\tpool /a\n",
					   "zfspool: s\n\tpool a//b\n",
					   "zfspool: s\n\tpool a/\n",
					   "dir: s\n\tpath /p\n\tcontent-dirs images=../../etc\n",
					   "dir: s\n\tpath /p\n\tcontent-dirs images=/etc\n",
					   "dir: s\n\tpath /p\n\tcontent-dirs images=.ssh\n",
					   "dir: s\n\tpath /p\n\tcontent-dirs images=\n"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cfgs); i++) {
		AUTO_FREE char *path = pve_volume_path(cfgs[i], "s:100/vm-100-disk-0.raw", NULL);

		if (path)
			fail_msg("%s leads to %s", cfgs[i], path);
	}
}

static void write_conf(const char *volume)
{
	AUTO_FREE char *text = xasprintf("cores: 1\nmemory: 512\nname: x\nostype: l26\nscsi0: %s\n", volume);

	write_file("100.conf", text);
}

static void of_a_volume(const char *volume, const char *cfg, const char *file)
{
	AUTO_FREE char *path = cfg ? path_of(cfg) : NULL;
	struct outcome o;

	write_conf(volume);
	open_description(&o, "100.conf", (struct sources_named){.storage_cfg = path});
	if (!file != !o.file || (file && strcmp(o.file, file) != 0))
		fail_msg("%s is %s", volume, o.file ? o.file : o.why);
	outcome_fini(&o);
}

static void a_volume_is_found_by_its_name_or_storage(void **state)
{
	AUTO_FREE char *cfg = xasprintf("dir: local\n\tpath %s/store\n\nlvm: lvm\n\tvgname no-such-one\n", dir);

	(void)state;
	make_dir("store");
	make_dir("store/images");
	make_dir("store/images/100");
	write_file("storage.cfg", cfg);
	write_file("store/images/100/vm-100-disk-0.raw", "there");
	of_a_volume("local:100/vm-100-disk-0.raw", NULL, NULL);
	of_a_volume("local:100/vm-100-disk-0.raw", "storage.cfg", "store/images/100/vm-100-disk-0.raw");
	write_file("vm-100-disk-0.raw", "beside");
	of_a_volume("local:100/vm-100-disk-0.raw", NULL, "vm-100-disk-0.raw");
	/* a copy of what is no file has an ending */
	of_a_volume("lvm:vm-100-disk-0", "storage.cfg", "vm-100-disk-0.raw");
	of_a_volume("lvm:vm-100-disk-1", "storage.cfg", NULL);
	of_a_volume("lvm:vm-100-disk-0", "no-such-file", NULL);
	of_a_volume("/dev/vm-100-disk-0", NULL, NULL);
}

/* ---- directories ---- */

static void of_a_directory_its_description_is_taken(void **state)
{
	AUTO_FREE char *path = path_of("vm");
	char *files[] = {path};
	struct sources_named n = {.files = files, .file_count = 1};
	struct outcome o;

	(void)state;
	make_dir("vm");
	open_with(&o, &n);
	assert_non_null(strstr(o.why, "no description of a guest is in it"));
	outcome_fini(&o);
	write_file("vm/web.conf", "guest_os=\"linux\"\ndisk_img=\"web/disk.qcow2\"\n");
	write_file("vm/read.me", "a text");
	make_dir("vm/web");
	write_file("vm/web/disk.qcow2", "a disk");
	open_with(&o, &n);
	if (!o.file || strcmp(o.file, "vm/web/disk.qcow2") != 0)
		fail_msg("%s", o.why ? o.why : o.file);
	assert_string_equal(o.name, "web"); /* the description has no name */
	outcome_fini(&o);
	write_file("vm/b.vmx", "config.version = \"8\"\n");
	open_with(&o, &n);
	if (!strstr(o.why, "has several descriptions of guests: name one of ") || !strstr(o.why, "web.conf") || !strstr(o.why, "b.vmx"))
		fail_msg("%s", o.why);
	outcome_fini(&o);
}

/* ---- a domain of libvirt's ---- */

static void write_domain(const char *kernel, const char *initrd)
{
	AUTO_FREE char *text =
		xasprintf("<domain type='kvm'><name>a</name><memory unit='MiB'>128</memory><os firmware='efi'><type arch='x86_64' "
			  "machine='q35'>hvm</type><nvram>/var/lib/a_VARS.fd</nvram><kernel>%s</kernel><initrd>%s</initrd></os>"
			  "<devices><disk type='file'><source file='%s/a.qcow2'/><target dev='vda'/></disk></devices></domain>",
			  kernel, initrd, dir);

	write_file("a.xml", text);
}

/* A stranger's may name any file of this host. */
static void a_kernel_lies_beside_its_description(void **state)
{
	AUTO_FREE char *given = path_of("named/initrd"), *xml = path_of("a.xml");
	char *files[] = {xml, given};
	struct outcome o;

	(void)state;
	write_file("a.qcow2", "x");
	write_domain("/etc/passwd", "/etc/passwd");
	open_description(&o, "a.xml", (struct sources_named){.raw = NULL});
	assert_non_null(strstr(o.why, "/etc/passwd, which is not beside it"));
	outcome_fini(&o);
	write_file("kernel", "x");
	write_domain("/boot/kernel", "/etc/passwd");
	open_description(&o, "a.xml", (struct sources_named){.raw = NULL});
	assert_non_null(strstr(o.why, "/etc/passwd, which is not beside it"));
	outcome_fini(&o);
	make_dir("named");
	write_file("named/initrd", "\1");
	write_domain("/boot/kernel", "/boot/initrd");
	open_with(&o, &(struct sources_named){.files = files, .file_count = 2});
	assert_null(o.why);
	if (!strstr(o.notes, "a_VARS.fd, are not beside")) /* the import needs the file less */
		fail_msg("%s", o.notes);
	outcome_fini(&o);
	write_file("a_VARS.fd", "x");
	open_with(&o, &(struct sources_named){.files = files, .file_count = 2});
	assert_null(strstr(o.notes, "a_VARS.fd"));
	outcome_fini(&o);
}

/* ---- archives of Proxmox VE's ---- */

/* Disks 3 and 4 of an archive are scsi0 and scsi2; scsi1 is not in it. */
static void find_in_vma(struct sources *s, struct guest_description *d, struct sources_named *n, int want)
{
	static const char *const labels[] = {"scsi0", "scsi1", "scsi2"};
	struct err e;
	size_t i;

	*s = (struct sources){.description = xstrdup("/there/a.vma"), .archive = &vma_archive};
	*d = (struct guest_description){.origin = NULL};
	for (i = 0; i < ARRAY_LEN(labels); i++) {
		struct described_disk *k = description_add_disk(d);

		k->label = xstrdup(labels[i]);
		k->file = xasprintf("vm-7-disk-%zu", i);
		k->volume = xasprintf("local-lvm:vm-7-disk-%zu", i);
		k->elsewhere = xasprintf("the volume local-lvm:vm-7-disk-%zu", i);
	}
	s->packed.disks[0] = (struct packed_disk){3, 1 << 20, xstrdup("drive-scsi0")};
	s->packed.disks[1] = (struct packed_disk){4, 1 << 20, xstrdup("drive-scsi2")};
	s->packed.disks[2] = (struct packed_disk){5, 1 << 20, xstrdup("drive-scsi9")};
	s->packed.disk_count = 3;
	s->archive->find(s, d, n);
	assert_int_equal(disk_files_find(s, d, n, &e), want);
}

static void find_fini(struct sources *s, struct guest_description *d)
{
	sources_fini(s);
	description_fini(d);
}

/* A disk of an archive is raw, whatever its first bytes or its storage say. */
static void a_disk_of_an_archive_is_raw(void **state)
{
	struct sources_named n = {.raw = NULL};
	struct guest_description d;
	struct sources s;
	size_t i;

	(void)state;
	find_in_vma(&s, &d, &n, 0);
	assert_int_equal(d.disk_count, 2);
	for (i = 0; i < 2; i++) {
		assert_int_equal(s.numbers[i], 3 + i);
		assert_null(d.disks[i].elsewhere);
		assert_string_equal(d.disks[i].format, "raw");
	}
	assert_non_null(strstr(d.notes[0], "drive-scsi9")); /* the configuration does not name the drive */
	find_fini(&s, &d);
}

static void a_disk_of_an_archive_has_all_its_names(void **state)
{
	static const char *const names[] = {"#2", "scsi1", "vm-7-disk-1", "#3", "scsi2", "vm-7-disk-2"};
	AUTO_FREE char *path = path_of("given.raw");
	size_t i;

	(void)state;
	write_file("given.raw", "x");
	for (i = 0; i < ARRAY_LEN(names); i++) {
		struct disk_wish w = {.name = names[i], .name_bytes = strlen(names[i]), .file = path};
		struct sources_named n = {.disks = &w, .disk_count = 1};
		struct guest_description d;
		struct sources s;
		size_t given = 1, count = i < 3 ? 3 : 2;

		find_in_vma(&s, &d, &n, 0);
		assert_int_equal(d.disk_count, count);
		assert_string_equal(s.disks[given].path, path);
		assert_int_equal(s.numbers[given], 0);
		assert_int_equal(s.numbers[0], 3);
		assert_null(s.disks[0].path);
		find_fini(&s, &d);
	}
}

/* A blank disk has no file there, and the user gives it one. */
static void a_blank_disk_may_be_given(void **state)
{
	AUTO_FREE char *path = path_of("given.raw");
	char *raw[] = {path};
	struct disk_wish w = {.name = "#1", .name_bytes = 2, .file = path};
	struct outcome o;

	(void)state;
	write_file("given.raw", "x");
	write_file("a.ovf",
		   "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\" "
		   "xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData\">"
		   "<DiskSection><Disk ovf:diskId=\"d\" ovf:capacity=\"1048576\"/></DiskSection>"
		   "<VirtualSystem ovf:id=\"a\"><VirtualHardwareSection>"
		   "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>20</rasd:ResourceType></Item>"
		   "<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d</rasd:HostResource>"
		   "<rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
		   "</VirtualHardwareSection></VirtualSystem></Envelope>");
	open_description(&o, "a.ovf", (struct sources_named){.disks = &w, .disk_count = 1, .raw = raw, .raw_count = 1});
	if (!o.file || strcmp(o.file, "given.raw") != 0)
		fail_msg("%s", o.why ? o.why : "another file");
	assert_non_null(o.described);
	assert_string_equal(o.described, path); /* without a name it would be made blank */
	outcome_fini(&o);
}

/* Two disks begin as gzip does; the one that is said to be raw stays as it is. */
static void what_is_said_to_be_raw_is_not_unpacked(void **state)
{
	AUTO_FREE char *path = path_of("a.raw");
	struct sources s = {.description = NULL};
	struct guest_description d = {.origin = NULL};
	struct described_disk *k = description_add_disk(&d);
	struct err e;

	(void)state;
	write_file("a.raw", "\x1f\x8b and so on");
	k->file = xstrdup("a.raw");
	k->format = "raw";
	s.disks[0].path = xstrdup(path);
	assert_int_equal(sources_unpack(&s, &d, dir, &e), 0);
	assert_string_equal(s.disks[0].path, path);
	assert_null(s.spool.path);
	find_fini(&s, &d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_powershell_writes_is_known, clean),
		cmocka_unit_test_teardown(a_disk_lies_beside_or_in_a_folder_below, clean),
		cmocka_unit_test_teardown(of_two_names_in_other_letters_none_is_taken, clean),
		cmocka_unit_test_teardown(a_value_is_as_long_as_it_likes, clean),
		cmocka_unit_test_teardown(a_disk_is_the_file_that_the_user_says, clean),
		cmocka_unit_test_teardown(a_snapshot_of_virtualbox_is_not_its_base, clean),
		cmocka_unit_test_teardown(what_is_elsewhere_is_found_by_its_name, clean),
		cmocka_unit_test_teardown(of_several_guests_one_is_taken_by_its_name, clean),
		cmocka_unit_test_teardown(what_a_guest_does_not_use_may_be_missing, clean),
		cmocka_unit_test_teardown(of_a_directory_its_description_is_taken, clean),
		cmocka_unit_test(a_volume_is_where_its_storage_says),
		cmocka_unit_test(a_volume_of_another_node_is_not_here),
		cmocka_unit_test(a_storage_leads_to_no_other_place),
		cmocka_unit_test_teardown(a_kernel_lies_beside_its_description, clean),
		cmocka_unit_test(a_disk_of_an_archive_is_raw),
		cmocka_unit_test_teardown(a_disk_of_an_archive_has_all_its_names, clean),
		cmocka_unit_test_teardown(a_blank_disk_may_be_given, clean),
		cmocka_unit_test_teardown(a_disk_may_be_left_out, clean),
		cmocka_unit_test_teardown(volumes_of_one_name_are_told_apart, clean),
		cmocka_unit_test_teardown(the_variables_of_its_uefi_may_be_left_out, clean),
		cmocka_unit_test_teardown(files_beside_the_point_are_told_apart, clean),
		cmocka_unit_test_teardown(what_is_said_to_be_raw_is_not_unpacked, clean),
		cmocka_unit_test_teardown(a_volume_is_found_by_its_name_or_storage, clean),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
