/*
 * test-libvirt-plain.c: definitions of libvirt's guests as plain command lines, one test for each tests/data/libvirt/NAME.xml: the line and
 * what is told of it, or why there is none, as tests/data/libvirt-plain/NAME.expect says; and a table of what is refused, and told.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "libvirt-plain.h"
#include "qemu-args.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FROM	  "tests/data/libvirt"
#define EXPECTED  "tests/data/libvirt-plain"
#define CASES_MAX 64

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 1 << 16);

	if (f) {
		assert_true(fread(text, 1, (1 << 16) - 1, f) < (1 << 16) - 1);
		fclose(f);
	}
	return text;
}

/* Fills in the paths of volumes, as libvirt reports them. */
static void find_volumes(struct libvirt_definition *d)
{
	size_t i;

	for (i = 0; i < d->disk_count; i++)
		if (d->disks[i].source == LIBVIRT_VOLUME && !d->disks[i].path)
			d->disks[i].path = xasprintf("/pools/%s/%s", d->disks[i].pool, d->disks[i].volume);
}

/* A line that vmferry itself could not move on would be of no use. */
static void must_be_movable(const struct libvirt_plain *p)
{
	struct args_options o = {.cwd = "/", .tpm = true};
	struct args_result result;
	struct err e;

	if (qemu_args_rewrite(&result, p->argv, p->argc, &o, &e) < 0)
		fail_msg("vmferry would not move it: %s", e.msg);
	args_result_fini(&result);
}

static void tell(FILE *out, const struct libvirt_plain *p)
{
	size_t i;

	for (i = 0; i < p->note_count; i++)
		fprintf(out, "note: %s\n", p->notes[i]);
	for (i = 0; i < p->argc; i++)
		fprintf(out, "%s%s", *p->argv[i] == '-' || !i ? i ? "\n" : "" : " ", p->argv[i]);
	fprintf(out, "\n");
}

static void compose(FILE *out, const char *text, const char *dir)
{
	struct libvirt_definition d;
	struct libvirt_plain p;
	struct err e;

	if (libvirt_definition_read(&d, text, strlen(text), &e))
		fail_msg("it is not read: %s", e.msg);
	find_volumes(&d);
	if (libvirt_plain_line(&p, text, &d, dir, &e)) {
		assert_null(p.argv);
		fprintf(out, "refused: %s\n", e.msg);
	} else {
		must_be_movable(&p);
		tell(out, &p);
	}
	libvirt_plain_fini(&p);
	libvirt_definition_fini(&d);
}

static void is_as_expected(void **state)
{
	const char *name = *state;
	AUTO_FREE char *from = xasprintf(FROM "/%s", name), *text = read_file(from),
		       *path = xasprintf(EXPECTED "/%.*s.expect", (int)strlen(name) - 4, name), *expected = read_file(path), *is = NULL;
	size_t n;
	FILE *out = open_memstream(&is, &n);

	compose(out, text, NULL);
	fclose(out);
	if (getenv("UPDATE")) {
		out = fopen(path, "we");
		assert_non_null(out);
		fputs(is, out);
		fclose(out);
		return;
	}
	assert_string_equal(is, expected);
}

/* ---- one thing each ---- */

#define HEAD                                                                                                                               \
	"<domain type='qemu'%s><name>a,b</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid><memory>65536</memory>"                    \
	"<os><type arch='x86_64' machine='%s'>hvm</type>%s</os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>%s</devices>%s"    \
	"</domain>"
#define DISK(more)                                                                                                                         \
	"<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/a,1.qcow2'/><target dev='vda' bus='virtio'/>" more "</disk>"
#define NIC(type, source, more)                                                                                                            \
	"<interface type='" type "'><mac address='52:54:00:12:34:56'/>" source "<model type='virtio'/>" more "</interface>"

struct one {
	const char *os, *devices, *behind, *space, *machine, *dir;
	const char *so; /* the converted line with its notes, or the refusal */
	const char * not ;
};

static void one_case(const struct one *o)
{
	AUTO_FREE char *text = xasprintf(HEAD, o->space ?: "", o->machine ?: "pc-q35-7.2", o->os ?: "", o->devices ?: "", o->behind ?: ""),
		       *is = NULL;
	size_t n;
	FILE *out = open_memstream(&is, &n);

	compose(out, text, o->dir);
	fclose(out);
	if (!strstr(is, o->so) || (o->not &&strstr(is, o->not )))
		fail_msg("not '%s', or '%s':\n%s", o->so, o->not ?: "", is);
}

static void all_cases(const struct one *cases, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		one_case(&cases[i]);
}

static void what_a_plain_guest_cannot_have_is_refused(void **state)
{
	static const struct one cases[] = {
		{.devices = "<hostdev mode='subsystem' type='usb'/>",
		 .so = "refused: a plain guest (--as plain) cannot have what this one has: a device"},
		{.devices = "<interface type='hostdev'/>", .so = "refused: "},
		{.devices = "<interface type='vdpa'/>", .so = "vDPA"},
		{.devices = "<interface type='vhostuser'/>", .so = "vhost-user network"},
		{.devices = "<filesystem type='mount'><target dir='x'/></filesystem>", .so = "shared folder"},
		{.devices = "<shmem name='x'/>", .so = "shared memory"},
		{.devices = "<memory model='nvdimm'/>", .so = "nvdimm"},
		{.devices = "<memory model='virtio-pmem'/>", .so = "virtio-pmem"},
		{.devices = "<memory model='sgx-epc'/>", .so = "SGX"},
		{.devices = "<memory model='dimm'/>", .so = "note: the device <memory model=dimm> is not mapped"},
		{.behind = "<launchSecurity type='sev'/>", .so = "encrypted memory"},
		{.devices = "<lease/>", .so = "a lock that a lock manager keeps"},
		{.devices = "<smartcard mode='host'/>", .so = "smartcard"},
		{.devices = "<tpm model='tpm-tis'><backend type='passthrough'/></tpm>", .so = "its host's TPM"},
		{.devices = "<tpm model='tpm-tis'><backend type='external'/></tpm>", .so = "a TPM that libvirt does not start"},
		{.devices = "<disk type='file' device='disk'><source file='/a'><slices/></source><target dev='vda'/></disk>",
		 .so = "<slices>"},
		{.devices = DISK("<transient/>"), .so = "<transient/>"},
		{.devices = DISK("<readonly/>"), .so = "disk vda, which the guest must not write to"},
		{.devices = "<disk type='network' device='disk'><source protocol='rbd' name='p/v'/><target dev='vdb'/></disk>",
		 .so = "disk vdb, which is not a file"},
		{.devices = "<disk type='block' device='lun'><source dev='/dev/sdx'/><target dev='sda'/></disk>",
		 .so = "disk sda, which is a lun"},
		{.devices = "<disk type='file' device='floppy'><source file='/f'/><target dev='fda'/></disk>",
		 .so = "disk fda, which is a floppy"},
		{.devices = "<disk type='file' device='floppy'><target dev='fda'/></disk>",
		 .so = "note: the drive fda (floppy) is left out"},
		{.devices = DISK("<encryption format='luks'><secret type='passphrase' uuid='x'/></encryption>"),
		 .so = "secrets that libvirt keeps"},
		{.behind = "<q:commandline><q:arg value='-no-hpet'/></q:commandline>",
		 .space = " xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'",
		 .so = "options of its own for QEMU"},
		{.devices = "<hostdev mode='subsystem' type='usb'/><shmem name='x'/>",
		 .so = "a device of its host (<hostdev>); shared memory (<shmem>). Take that out of its definition (virsh edit a,b)"},
		{.devices = DISK("") DISK(""), .so = "refused: two disks are called vda"},
		{.devices = "<interface type='user'/>", .so = "refused: network card #1 has no address"},
		{.machine = "microvm", .so = "refused: its machine microvm is neither"},
		{.machine = "pc-q35-7.2,accel=tcg", .so = "refused: 'pc-q35-7.2,accel=tcg' is neither a machine"},
		{.os = "<loader type='pflash' format='raw,x=y'>/c</loader><nvram>/v</nvram>", .so = "refused: 'raw,x=y' is neither"},
		{.os = "<loader type='pflash'>/c</loader><nvram format='raw,x=y'>/v</nvram>", .so = "refused: 'raw,x=y' is neither"},
		{.devices = "<disk type='file' device='disk'><driver type='raw,x=y'/><source file='/a'/><target dev='vda'/></disk>",
		 .so = "refused: 'raw,x=y' is not a format of a disk"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void firmware_goes_with_its_variables_alone(void **state)
{
	static const struct one cases[] = {
		{.os = "<loader type='pflash' readonly='yes'>/c</loader><nvram>/v</nvram>",
		 .so = "unit=0,format=raw,readonly=on,file=/c\n-drive if=pflash,unit=1,format=raw,file=/v\n",
		 .not = "smm=on"},
		{.os = "<loader type='pflash' format='qcow2' secure='yes'>/c</loader><nvram format='qcow2'>/v</nvram>",
		 .so = "unit=0,format=qcow2,readonly=on,file=/c\n-drive if=pflash,unit=1,format=qcow2,file=/v\n"},
		{.os = "<loader type='pflash' secure='yes'>/c</loader><nvram>/v</nvram>",
		 .so = "-machine pc-q35-7.2,smm=on\n-global driver=cfi.pflash01,property=secure,value=on\n"},
		{.os = "<loader type='pflash'>/c</loader>", .so = "refused: "},
		{.os = "<loader type='rom'>/c</loader>", .so = "firmware of its own that is not flash (<loader> /c)"},
		/* the disk's bus is one that import would change under UEFI */
		{.os = "<loader type='pflash'>/c</loader><nvram>/v</nvram>",
		 .devices = "<disk type='file' device='disk'><source file='/a'/><target dev='sda' bus='scsi'/></disk>",
		 .so = "-device lsi53c895a,",
		 .not = "--bus"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void disks_media_and_tpm_go_along(void **state)
{
	static const struct one cases[] = {
		{.devices = DISK(""), .so = "if=none,id=drive0,format=qcow2,discard=unmap,file=/d/a,,1.qcow2\n"},
		{.devices = DISK("") "<disk type='file' device='cdrom'><source file='/m.iso'/><target dev='sda' bus='sata'/></disk>",
		 .so = "media=cdrom,readonly=on,format=raw,file=/m.iso\n-device ide-cd"},
		{.devices = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
		 .so = "-chardev socket,id=chrtpm,path=/var/lib/libvirt/swtpm/7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001/tpm2/socket\n"
		       "-tpmdev emulator,id=tpm0,chardev=chrtpm\n-device tpm-crb,tpmdev=tpm0\n",
		 .not = "note: its TPM"},
		{.devices = "<tpm model='tpm-tis'><backend type='emulator' version='1.2'/></tpm>",
		 .so = "/tpm1.2/socket\n-tpmdev emulator,id=tpm0,chardev=chrtpm\n-device tpm-tis,tpmdev=tpm0\n"},
		/* sockets lie beside the first disk, and QEMU does not wait to be told to go on */
		{.devices = DISK(""), .dir = "/vm", .so = "-qmp unix:/vm/a_b.qmp,server=on,wait=off\n"},
		{.devices = DISK(""), .so = "-qmp unix:/d/a_b.qmp,server=on,wait=off\n", .not = "\n-S\n"},
		{.so = "/usr/bin/qemu-system-x86_64\n-name guest=a,,b\n"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void networks_are_as_near_as_they_can_be(void **state)
{
	static const struct one cases[] = {
		{.devices = NIC("bridge", "<source bridge='br7'/>", ""),
		 .so = "-netdev bridge,id=net0,br=br7\n-device virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:12:34:56\n",
		 .not = "NAT"},
		{.devices = NIC("network", "<source network='default'/>", ""),
		 .so = "note: network card #1, which is on network 'default' here, is on QEMU's own NAT there: the guest can connect out, but no other host can connect to it. "
		       "--map-net 52:54:00:12:34:56=bridge:BRIDGE attaches it to a bridge\n"},
		{.devices = NIC("direct", "<source dev='eth0'/>", ""), .so = "-netdev user,id=net0\n"},
		{.devices = NIC("user", "", ""), .so = "-netdev user,id=net0\n", .not = "NAT"},
		{.devices = NIC("bridge", "<source bridge='br7'/>", "<link state='down'/>"),
		 .so = "-netdev hubport,id=net0",
		 .not = "--net"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

/* An import says "here" where a move says "there". */
static void notes_are_told_from_here(void **state)
{
	static const struct one cases[] = {
		{.devices =
			 "<disk type='file' device='disk'><driver cache='none'/><source file='/a'/><target dev='vda' bus='virtio'/></disk>",
		 .so = "note: the disk vda had cache=none here: there it is as QEMU has it by default\n"},
		{.behind = "<vcpu current='1'>2</vcpu>", .so = "note: 1 of its 2 processors were in use here: there all are\n"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

/* ---- */

static int is_definition(const struct dirent *x)
{
	size_t n = strlen(x->d_name);

	return n > 4 && !strcmp(x->d_name + n - 4, ".xml") && !strstr(x->d_name, ".snapshot.");
}

int main(void)
{
	struct CMUnitTest tests[CASES_MAX] = {
		cmocka_unit_test(what_a_plain_guest_cannot_have_is_refused),
		cmocka_unit_test(firmware_goes_with_its_variables_alone),
		cmocka_unit_test(disks_media_and_tpm_go_along),
		cmocka_unit_test(networks_are_as_near_as_they_can_be),
		cmocka_unit_test(notes_are_told_from_here),
	};
	struct dirent **found;
	int n = scandir(FROM, &found, is_definition, alphasort), i, count = 5;

	assert_true(n > 0 && n < CASES_MAX - count);
	for (i = 0; i < n; i++)
		tests[count++] =
			(struct CMUnitTest){.name = found[i]->d_name, .test_func = is_as_expected, .initial_state = found[i]->d_name};
	i = _cmocka_run_group_tests("libvirt-plain", tests, (size_t)count, NULL, NULL);
	while (n)
		free(found[--n]);
	free(found);
	return i;
}
