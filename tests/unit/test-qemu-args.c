/*
 * test-qemu-args.c: what becomes of a source's command line. Lines are written as a shell would
 * split them at spaces; the rewritten one is compared as text.
 */
#include "qemu-args.h"
#include "tap-name.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define OURS  " -incoming defer -S -qmp unix:/d/0123456789ab/private.qmp,server=on,wait=on"
#define PLAIN " -display none" OURS

static const struct args_map disks[] = {
	{.from = "/srv/vm.raw", .to = "/d/vm.raw", .format = "raw"},
	{.from = "data.qcow2", .to = "/d/data.qcow2", .format = "qcow2"},
	{.from = "/srv/odd,name.raw", .to = "/d/odd,name.raw", .format = "raw"},
	{.from = "/dev/vg/lv", .to = "/d/lv.raw", .format = "raw"},
	{.from = "/srv/to-lv.raw", .to = "/dev/vg/new", .format = "raw", .to_device = true},
	{.from = "/srv/more.raw", .to = "/dev/vg/more", .format = "raw", .to_device = true, .anew = true, .shows = 73465856},
	{.from = "/srv/part.raw", .to = "/d/part.raw", .format = "raw", .anew = true},
	{.from = "/srv/whole", .to = "/dev/vg/whole", .to_device = true, .shows = 4096},
	{.from = "/srv/install.iso", .to = "/d/install.iso", .format = "raw"},
	{.from = "/srv/unformatted", .to = "/d/unformatted"},
	{.from = "/srv/swtpm", .to = "/d/tpm/socket"},
};

static const struct args_options options = {
	.socket_dir = "/d",
	.disks = disks,
	.disk_count = ARRAY_LEN(disks),
	.machine = "pc-q35-10.0",
	.private_qmp = "/d/0123456789ab/private.qmp",
	.cwd = "/srv",
	.tpm = true,
};

struct line {
	char *text;
	char *argv[64];
	size_t argc;
};

static void split(struct line *l, const char *text)
{
	char *word, *save = NULL;

	l->text = xasprintf("qemu-system-x86_64 %s", text);
	l->argc = 0;
	for (word = strtok_r(l->text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(l->argc + 1 < ARRAY_LEN(l->argv));
		l->argv[l->argc++] = word;
	}
	l->argv[l->argc] = NULL;
}

static char *join(char *const *argv, size_t argc)
{
	char *text = xstrdup(""), *longer;
	size_t i;

	for (i = 1; i < argc; i++) {
		longer = xasprintf("%s%s%s", text, i > 1 ? " " : "", argv[i]);
		free(text);
		text = longer;
	}
	return text;
}

/* notes may be NULL; otherwise all of them, one per line, malloc'ed. */
static char *rewrite(const char *from, char **notes)
{
	struct args_result r;
	struct err e = {.code = 0};
	struct line l;
	char *text;
	size_t i;

	split(&l, from);
	if (qemu_args_rewrite(&r, l.argv, l.argc, &options, &e) < 0)
		fail_msg("%s: %s", from, e.msg);
	assert_string_equal(r.argv[0], "qemu-system-x86_64");
	assert_null(r.argv[r.argc]);
	text = join(r.argv, r.argc);
	if (notes) {
		*notes = xstrdup("");
		for (i = 0; i < r.note_count; i++) {
			char *longer = xasprintf("%s%s\n", *notes, r.notes[i]);

			free(*notes);
			*notes = longer;
		}
	}
	args_result_fini(&r);
	free(l.text);
	return text;
}

/* The machine is given, to keep what is compared short. */
static void expect(const char *from, const char *to)
{
	AUTO_FREE char *with_machine = xasprintf("-M q35 %s", from);
	AUTO_FREE char *want = xasprintf("-M pc-q35-10.0 %s", to);
	AUTO_FREE char *got = rewrite(with_machine, NULL);

	assert_string_equal(got, want);
}

static void expect_plain(const char *from, const char *to)
{
	AUTO_FREE char *want = xasprintf("%s" PLAIN, to);

	expect(from, want);
}

static void expect_refused(const char *from, const char *reason)
{
	struct args_result r = {.argc = 77};
	struct err e = {.code = 0};
	struct line l;

	split(&l, from);
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &options, &e), -EINVAL);
	if (!strstr(e.msg, reason))
		fail_msg("\"%s\" is not in: %s", reason, e.msg);
	assert_int_equal(r.argc, 77);
	free(l.text);
}

static void machine_type_is_pinned_wherever_it_stands(void **state)
{
	static const char *const forms[][2] = {
		{"-machine q35,accel=tcg", "-machine pc-q35-10.0,accel=tcg" PLAIN},
		{"-machine accel=tcg,type=q35", "-machine accel=tcg,type=pc-q35-10.0" PLAIN},
		{"-M q35", "-M pc-q35-10.0" PLAIN},
		{"-M pc-q35-10.0", "-M pc-q35-10.0" PLAIN},
		{"-machine q35 -machine smm=off", "-machine pc-q35-10.0 -machine smm=off" PLAIN},
		{"-machine accel=tcg", "-machine accel=tcg -machine pc-q35-10.0" PLAIN},
		{"-m 64", "-m 64 -machine pc-q35-10.0" PLAIN},
		{"--machine q35", "-machine pc-q35-10.0" PLAIN},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(forms); i++) {
		AUTO_FREE char *got = rewrite(forms[i][0], NULL);

		assert_string_equal(got, forms[i][1]);
	}
}

static void drives_are_mapped_and_their_format_made_explicit(void **state)
{
	(void)state;
	expect_plain("-drive file=/srv/vm.raw,if=virtio", "-drive file=/d/vm.raw,if=virtio,format=raw");
	expect_plain("-drive if=virtio,format=raw,file=/srv/vm.raw", "-drive if=virtio,format=raw,file=/d/vm.raw");
	expect_plain("-drive file=/srv/vm.raw,driver=raw", "-drive file=/d/vm.raw,driver=raw");
	expect_plain("-drive file=file:/srv/vm.raw", "-drive file=/d/vm.raw,format=raw");
	expect_plain("-drive file.filename=/srv/vm.raw", "-drive file.filename=/d/vm.raw,format=raw");
	expect_plain("-drive file=/srv/unformatted", "-drive file=/d/unformatted");
}

static void relative_and_untidy_names_find_their_disk(void **state)
{
	(void)state;
	expect_plain("-drive file=vm.raw", "-drive file=/d/vm.raw,format=raw");
	expect_plain("-drive file=./vm.raw", "-drive file=/d/vm.raw,format=raw");
	expect_plain("-drive file=//srv/./vm.raw", "-drive file=/d/vm.raw,format=raw");
	expect_plain("-drive file=/srv/data.qcow2", "-drive file=/d/data.qcow2,format=qcow2");
}

static void doubled_commas_survive(void **state)
{
	(void)state;
	expect_plain("-drive file=/srv/odd,,name.raw,if=none,id=a", "-drive file=/d/odd,,name.raw,if=none,id=a,format=raw");
	expect_plain("-name guest=a,,b,debug-threads=on", "-name guest=a,,b,debug-threads=on");
}

static void drives_outside_the_map_stay(void **state)
{
	AUTO_FREE char *notes = NULL;
	AUTO_FREE char *got = rewrite("-M q35 -drive file=/other.img,format=raw", &notes);

	(void)state;
	assert_string_equal(got, "-M pc-q35-10.0 -drive file=/other.img,format=raw" PLAIN);
	assert_non_null(strstr(notes, "/other.img is opened under the same name"));
	expect_plain("-drive file=nbd:unix:/x.sock,format=raw,readonly=on", "-drive file=nbd:unix:/x.sock,format=raw,readonly=on");
	expect_refused("-drive file=nbd:unix:/x.sock,format=raw", "not a local file");
	expect_plain("-drive if=none,id=cd,media=cdrom", "-drive if=none,id=cd,media=cdrom");
	expect_plain("-drive media=cdrom,file=boot.iso", "-drive media=cdrom,file=/srv/boot.iso");
}

static void blockdevs_are_mapped_in_both_syntaxes(void **state)
{
	(void)state;
	expect_plain("-blockdev driver=qcow2,node-name=d0,file.driver=file,file.filename=data.qcow2",
		     "-blockdev driver=qcow2,node-name=d0,file.driver=file,file.filename=/d/data.qcow2");
	expect_plain("-blockdev file,filename=/srv/vm.raw,node-name=f0 -blockdev raw,file=f0,node-name=d0",
		     "-blockdev file,filename=/d/vm.raw,node-name=f0 -blockdev raw,file=f0,node-name=d0");
	expect_plain("-blockdev "
		     "{\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\","
		     "\"filename\":\"/srv/data.qcow2\"},"
		     "\"backing\":{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":"
		     "\"vm.raw\"}}}",
		     "-blockdev "
		     "{\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\","
		     "\"filename\":\"/d/data.qcow2\"},"
		     "\"backing\":{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":"
		     "\"/d/vm.raw\"}}}");
	expect_plain("-drive "
		     "file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":\"file\",,\"filename\":"
		     "\"/srv/vm.raw\"}}",
		     "-drive "
		     "file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":\"file\",,\"filename\":"
		     "\"/d/vm.raw\"}},format=raw");
}

static void protocol_driver_follows_from_file_to_device_and_back(void **state)
{
	(void)state;
	expect_plain("-blockdev host_device,filename=/dev/vg/lv,node-name=f", "-blockdev file,filename=/d/lv.raw,node-name=f");
	expect_plain("-blockdev raw,file.driver=file,file.filename=/srv/to-lv.raw,node-name=f",
		     "-blockdev raw,file.driver=host_device,file.filename=/dev/vg/new,node-name=f");
	expect_plain("-blockdev "
		     "{\"driver\":\"host_device\",\"filename\":\"/dev/vg/lv\",\"node-name\":\"f\"}",
		     "-blockdev {\"driver\":\"file\",\"filename\":\"/d/lv.raw\",\"node-name\":\"f\"}");
}

static void a_disk_on_a_larger_device_keeps_its_size(void **state)
{
	(void)state;
	expect_plain("-drive file=/srv/more.raw,format=raw,if=virtio", "-drive file=/dev/vg/more,format=raw,if=virtio,size=73465856");
	expect_plain("-drive file=more.raw,if=virtio", "-drive file=/dev/vg/more,if=virtio,size=73465856,format=raw");
	expect_plain("-drive driver=raw,file.driver=file,file.filename=/srv/more.raw,size=1,id=d",
		     "-drive driver=raw,file.driver=host_device,file.filename=/dev/vg/more,id=d,size=73465856");
	expect_plain("-hda more.raw", "-drive index=0,media=disk,file=/dev/vg/more,format=raw,size=73465856");
	expect_plain("-hda whole", "-drive index=0,media=disk,file=/dev/vg/whole,size=4096");
	expect_plain("-blockdev file,filename=/srv/more.raw,node-name=f -blockdev raw,file=f,node-name=d",
		     "-blockdev host_device,filename=/dev/vg/more,node-name=f -blockdev raw,file=f,node-name=d,size=73465856");
	expect_plain("-blockdev raw,file=f,node-name=d,size=64M -blockdev file,filename=/srv/more.raw,node-name=f",
		     "-blockdev raw,file=f,node-name=d,size=73465856 -blockdev host_device,filename=/dev/vg/more,node-name=f");
	expect_plain(
		"-blockdev throttle,throttle-group=g,node-name=t,file.driver=raw,file.file.driver=file,file.file.filename=/srv/more.raw",
		"-blockdev throttle,throttle-group=g,node-name=t,file.driver=raw,file.file.driver=host_device,file.file.filename=/dev/vg/"
		"more,file.size=73465856");
}

static void a_disk_on_a_larger_device_keeps_its_size_in_json(void **state)
{
	(void)state;
	expect_plain(
		"-blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/srv/more.raw\"}}",
		"-blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/vg/more\"},\"size\":73465856}");
	expect_plain(
		"-blockdev {\"driver\":\"throttle\",\"file\":{\"driver\":\"raw\",\"size\":512,\"file\":{\"driver\":\"file\",\"filename\":"
		"\"/srv/more.raw\"}}}",
		"-blockdev {\"driver\":\"throttle\",\"file\":{\"driver\":\"raw\",\"size\":73465856,\"file\":{\"driver\":\"host_device\","
		"\"filename\":\"/dev/vg/more\"}}}");
	expect_plain(
		"-drive file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":\"file\",,\"filename\":\"/srv/more.raw\"}},if=virtio",
		"-drive file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":\"host_device\",,\"filename\":\"/dev/vg/more\"},,\"size\":73465856},if="
		"virtio,format=raw");
}

static void a_disk_that_is_a_part_of_its_file_has_one_of_its_own(void **state)
{
	(void)state;
	expect_plain("-drive file=/srv/part.raw,format=raw,offset=1M,size=64M,id=d", "-drive file=/d/part.raw,format=raw,id=d");
	expect_plain(
		"-blockdev {\"driver\":\"raw\",\"size\":64,\"offset\":512,\"file\":{\"driver\":\"file\",\"filename\":\"/srv/part.raw\"}}",
		"-blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/d/part.raw\"}}");
	/* paths of images that are carried as a file, or stay, are unchanged */
	expect_plain("-drive file=/srv/vm.raw,format=raw,offset=1M,size=64M", "-drive file=/d/vm.raw,format=raw,offset=1M,size=64M");
	expect_plain("-drive file=/srv/whole,size=2K", "-drive file=/dev/vg/whole,size=2K");
}

static void a_size_that_the_line_cannot_tell_is_refused(void **state)
{
	(void)state;
	expect_refused("-drive file=/srv/whole,format=raw,offset=512", "begins in the middle of its file");
	expect_refused("-drive file=/srv/more.raw,format=vdi", "/dev/vg/more is larger than its disk");
	expect_refused("-blockdev file,filename=/srv/more.raw,node-name=f", "no raw driver stands above");
	expect_refused("-blockdev file,filename=/srv/more.raw,node-name=f -blockdev throttle,file=f,node-name=t,throttle-group=g",
		       "no raw driver stands above");
	expect_refused("-drive file=json:{\"driver\":\"file\",,\"filename\":\"/srv/more.raw\"}", "not raw");
	expect_refused("-blockdev throttle,throttle-group=g,file.driver=file,file.filename=/srv/more.raw", "not raw");
}

static void short_disk_options_become_drives_with_a_format(void **state)
{
	(void)state;
	expect_plain("-hda vm.raw", "-drive index=0,media=disk,file=/d/vm.raw,format=raw");
	expect_plain("-hdd /srv/data.qcow2", "-drive index=3,media=disk,file=/d/data.qcow2,format=qcow2");
	expect_plain("-pflash /srv/vm.raw", "-drive if=pflash,file=/d/vm.raw,format=raw");
	expect_plain("vm.raw", "-drive index=0,media=disk,file=/d/vm.raw,format=raw");
	expect_plain("-hdb /srv/unformatted", "-hdb /d/unformatted");
	expect_plain("-hdb other.img", "-hdb /srv/other.img");
	expect_plain("-cdrom /else/boot.iso -fda floppy", "-cdrom /else/boot.iso -fda /srv/floppy");
	expect_plain("-cdrom install.iso", "-cdrom /d/install.iso");
}

static void listening_sockets_move_and_never_wait(void **state)
{
	(void)state;
	expect_plain("-qmp unix:/run/a.qmp,server=on,wait=off", "-qmp unix:/d/a.qmp,server=on,wait=off");
	expect_plain("-qmp unix:/run/a.qmp,server,nowait", "-qmp unix:/d/a.qmp,server,nowait");
	expect_plain("-qmp unix:/run/a.qmp,server,wait", "-qmp unix:/d/a.qmp,server,wait=off");
	expect_plain("-monitor unix:mon.sock,server=on,wait=on", "-monitor unix:/d/mon.sock,server=on,wait=off");
	expect_plain("-serial mon:unix:/run/s,server=on", "-serial mon:unix:/d/s,server=on,wait=off");
	expect_plain("-qmp-pretty unix:path=/run/p,server=on,wait=off", "-qmp-pretty unix:path=/d/p,server=on,wait=off");
	expect_plain("-gdb unix:path=/tmp/gdb,server=on,wait=off", "-gdb unix:path=/d/gdb,server=on,wait=off");
	expect_plain("-gdb tcp::1234", "-gdb tcp::1234");
	expect_plain("-serial tcp::4444,server", "-serial tcp::4444,server,wait=off");
	expect_plain("-chardev socket,id=c,path=/run/c.sock,server=on,wait=off", "-chardev socket,id=c,path=/d/c.sock,server=on,wait=off");
	expect_plain("-chardev socket,id=c,host=::1,port=5,server=on", "-chardev socket,id=c,host=::1,port=5,server=on,wait=off");
	expect("-vnc unix:/run/vnc.sock,password=on", "-vnc unix:/d/vnc.sock,password=on" OURS);
	expect("-display vnc=unix:/run/vnc.sock", "-vnc unix:/d/vnc.sock" OURS);
	expect("-spice unix=on,addr=/run/spice.sock", "-spice unix=on,addr=/d/spice.sock" OURS);
}

static void sockets_of_other_services_stay(void **state)
{
	AUTO_FREE char *notes = NULL;
	AUTO_FREE char *got = rewrite("-M q35 -chardev socket,id=c,path=/run/service", &notes);

	(void)state;
	assert_string_equal(got, "-M pc-q35-10.0 -chardev socket,id=c,path=/run/service" PLAIN);
	assert_non_null(strstr(notes, "a process must listen"));
}

#define TPM(path) "-chardev socket,id=c,path=" path " -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t"

static void socket_of_a_tpm_becomes_that_of_another_swtpm(void **state)
{
	AUTO_FREE char *notes = NULL;
	AUTO_FREE char *got = rewrite("-M q35 " TPM("swtpm"), &notes);
	AUTO_FREE char *later =
		rewrite("-M q35 -device tpm-tis,tpmdev=t -tpmdev emulator,id=t,chardev=c -chardev socket,path=/srv/swtpm,id=c", NULL);

	(void)state;
	assert_string_equal(got, "-M pc-q35-10.0 " TPM("/d/tpm/socket") PLAIN);
	assert_string_equal(later, "-M pc-q35-10.0 -device tpm-tis,tpmdev=t -tpmdev emulator,id=t,chardev=c -chardev "
				   "socket,path=/d/tpm/socket,id=c" PLAIN);
	assert_null(strstr(notes, "a process must listen"));
	assert_non_null(strstr(notes, "what it holds goes along"));
}

static void tpm_that_is_not_at_a_unix_socket_is_refused(void **state)
{
	(void)state;
	expect_refused("-M q35 -tpmdev emulator,id=t,chardev=c", "not reached at a unix socket");
	expect_refused("-M q35 -chardev socket,id=c,host=h,port=1 -tpmdev emulator,id=t,chardev=c", "not reached at a unix socket");
	expect_refused("-M q35 -chardev socket,id=c,path=/c,server=on,wait=off -tpmdev emulator,id=t,chardev=c",
		       "not reached at a unix socket");
	expect_refused("-M q35 -chardev pipe,id=c,path=/c -tpmdev emulator,id=t,chardev=c", "not reached at a unix socket");
	expect_refused("-M q35 -chardev socket,id=d,path=/c -tpmdev emulator,id=t,chardev=c", "not reached at a unix socket");
	expect_refused("-M q35 -tpmdev emulator,id=t", "not reached at a unix socket");
}

static void tpm_goes_only_with_who_takes_it_along(void **state)
{
	struct args_options o = options;
	struct args_result r;
	struct err e;
	struct line l;

	(void)state;
	split(&l, "-M q35 " TPM("/srv/swtpm"));
	o.tpm = false;
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "only when the guest is moved"));
	free(l.text);
}

static void written_files_move(void **state)
{
	(void)state;
	expect_plain("-serial file:/var/log/vm,1.log -D qemu.log -pidfile /run/vm.pid",
		     "-serial file:/d/vm,1.log -D /d/qemu.log -pidfile /d/vm.pid");
	expect_plain("-chardev file,id=l,path=/var/log/c.log,logfile=/x/y.log", "-chardev file,id=l,path=/d/c.log,logfile=/d/y.log");
	expect_plain("-debugcon file:dbg -serial file:/dev/null", "-debugcon file:/d/dbg -serial file:/dev/null");
	expect_plain("-trace enable=x,file=t.log,events=e", "-trace enable=x,file=/d/t.log,events=/srv/e");
}

static void two_files_of_one_name_stay_apart(void **state)
{
	(void)state;
	expect_plain("-monitor unix:/a/m,server=on,wait=off -serial unix:/b/m,server=on,wait=off -D /a/m",
		     "-monitor unix:/d/m,server=on,wait=off -serial unix:/d/m-2,server=on,wait=off -D /d/m");
	expect_plain("-serial unix:/dev/shm/m,server=on,wait=off -D /dev/stderr", "-serial unix:/d/m,server=on,wait=off -D /d/stderr.log");
	expect_plain("-serial unix:/a/private.qmp,server=on,wait=off", "-serial unix:/d/private.qmp,server=on,wait=off");
}

/* Monitors that agents had in an earlier move, or in a run from a point of a replica, stay behind. */
static void monitors_of_agents_go_nowhere(void **state)
{
	(void)state;
	expect_plain("-qmp unix:/srv/.vm1.vmferry-qmp,server=on,wait=off -m 64", "-m 64");
	expect_plain("-qmp unix:/run/vmferry/0123456789ab/vmferry.qmp,server=on,wait=off -m 64", "-m 64");
	expect_plain("-qmp unix:/srv/vm1.qmp,server=on,wait=off -m 64", "-qmp unix:/d/vm1.qmp,server=on,wait=off -m 64");
}

static void start_options_of_the_source_are_dropped(void **state)
{
	expect_plain("-S -daemonize -incoming tcp:0:4444 -loadvm snap -preconfig -m 64", "-m 64");
	(void)state;
}

static void values_that_look_like_options_are_left_alone(void **state)
{
	(void)state;
	expect_plain("-append -snapshot -m 64", "-append -snapshot -m 64");
	expect_plain("-name -S", "-name -S");
	expect_plain("-enable-kvm -nodefaults -no-reboot -usb -cpu host", "-enable-kvm -nodefaults -no-reboot -usb -cpu host");
}

static void relative_files_become_absolute(void **state)
{
	(void)state;
	expect_plain("-kernel bzImage -initrd ../rd -L bios -bios bios-256k.bin -bios ./x",
		     "-kernel /srv/bzImage -initrd /srv/../rd -L /srv/bios -bios bios-256k.bin "
		     "-bios /srv/x");
	expect_plain("-fw_cfg name=opt/a,file=a -fw_cfg name=opt/b,string=a/b",
		     "-fw_cfg name=opt/a,file=/srv/a -fw_cfg name=opt/b,string=a/b");
	expect_plain("-object memory-backend-file,id=m,size=64M,mem-path=ram,share=on",
		     "-object memory-backend-file,id=m,size=64M,mem-path=/srv/ram,share=on");
	expect_plain("-device virtio-net,romfile=efi.rom -device virtio-blk,drive=d",
		     "-device virtio-net,romfile=efi.rom -device virtio-blk,drive=d");
	expect_plain("-device ipmi-bmc-sim,id=b,frudatafile=fru,sdrfile=s/sdr",
		     "-device ipmi-bmc-sim,id=b,frudatafile=/srv/fru,sdrfile=/srv/s/sdr");
	expect_plain(
		"-global e1000.romfile=./efi.rom -global driver=ipmi-bmc-sim,property=sdrfile,value=sdr -global e1000.romfile=efi.rom",
		"-global e1000.romfile=/srv/efi.rom -global driver=ipmi-bmc-sim,property=sdrfile,value=/srv/sdr -global e1000.romfile=efi.rom");
	expect_plain("-global kvm-pit.lost_tick_policy=delay -global driver=cfi.pflash01,property=secure,value=on",
		     "-global kvm-pit.lost_tick_policy=delay -global driver=cfi.pflash01,property=secure,value=on");
}

static void programs_of_networks_are_named_whole_and_told(void **state)
{
	AUTO_FREE char *notes = NULL;
	AUTO_FREE char *got = rewrite("-netdev bridge,id=a,helper=x/y -netdev tap,id=b,script=up,downscript=no -netdev "
				      "passt,id=c,path=passt -netdev passt,id=d,path=./passt -netdev tap,id=e,script=,ifname=t",
				      &notes);

	(void)state;
	assert_non_null(strstr(got, "-netdev bridge,id=a,helper=/srv/x/y -netdev tap,id=b,script=/srv/up,downscript=no -netdev "
				    "passt,id=c,path=passt -netdev passt,id=d,path=/srv/passt -netdev tap,id=e,script=,ifname=t"));
	assert_non_null(strstr(notes, "program /srv/x/y must be there"));
	assert_non_null(strstr(notes, "program /srv/up must be there"));
	assert_non_null(strstr(notes, "program /srv/passt must be there"));
}

static void windows_of_a_desktop_are_not_opened(void **state)
{
	(void)state;
	expect("-display gtk,gl=on", "-display none" OURS);
	expect("-curses", "-display none" OURS);
	expect("-nographic", "-nographic" OURS);
	expect("-display none", "-display none" OURS);
	expect("-vnc :1", "-vnc :1" OURS);
}

static int rewrite_with_net(const char *from, const char *to, struct args_result *r, struct err *e)
{
	const struct args_net_map maps[] = {{"n", "bridge:said-before"}, {"n", to}};
	struct args_options o = options;
	struct line l;
	int code;

	split(&l, from);
	o.nets = maps;
	o.net_count = ARRAY_LEN(maps);
	code = qemu_args_rewrite(r, l.argv, l.argc, &o, e);
	free(l.text);
	return code;
}

static void assert_replaced(const char *from, const char *to, const char *wanted)
{
	struct args_result r;
	struct err e;
	size_t i;

	assert_int_equal(rewrite_with_net(from, to, &r, &e), 0);
	for (i = 0; i < r.argc && strcmp(r.argv[i], "-netdev"); i++)
		;
	assert_string_equal(r.argv[i + 1], wanted);
	args_result_fini(&r);
}

static void an_inherited_back_end_may_be_replaced(void **state)
{
	struct args_result r;
	struct err e;

	(void)state;
	assert_replaced("-netdev tap,id=n,fd=3,vhostfd=4", "bridge:br1", "bridge,id=n,br=br1");
	assert_replaced("-netdev tap,id=n,fds=3:4,vhost=on,vhostfds=5:6", "tap:tap1",
			"tap,id=n,vhost=on,queues=2,ifname=tap1,script=no,downscript=no");
	assert_replaced("-netdev tap,id=n,fds=3", "bridge:br1", "bridge,id=n,br=br1");
	assert_int_equal(rewrite_with_net("-netdev tap,id=n,fds=3:4:5", "bridge:br1", &r, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "the NIC has 3 queues"));
	assert_int_equal(rewrite_with_net("-netdev tap,id=n,fd=3", "as-is", &r, &e), -EINVAL);
	assert_int_equal(rewrite_with_net("-netdev tap,id=m,fd=3", "bridge:br1", &r, &e), -EINVAL);
}

static void what_cannot_be_carried_is_refused_with_the_reason(void **state)
{
	(void)state;
	expect_refused("-snapshot", "temporary file");
	expect_refused("-drive file=/srv/vm.raw,snapshot=on", "temporary file");
	expect_refused("-readconfig vm.cfg", "-readconfig vm.cfg");
	expect_refused("-chardev socket,id=c,fd=3,server=on", "file descriptor");
	expect_refused("-netdev tap,id=n,fd=33", "file descriptor");
	expect_refused("-netdev bridge,id=n,helper=/bin/sh\t-c\tid", "a line for a shell");
	expect_refused("-nic tap,helper=./x\ty", "a line for a shell");
	expect_refused("-netdev stream,id=n,addr.type=fd,addr.str=5", "file descriptor");
	expect_refused("-add-fd fd=3,set=1", "file descriptor");
	expect_refused("-set drive.d0.file=/x", "-set drive.d0.file");
	expect_refused("-qtest unix:/q", "test program");
	expect_refused("-xen-domid 3", "Xen");
	expect_refused("-device {\"driver\":\"vfio-pci\"}", "device of this host");
	expect_refused("-drive file=/dev/fdset/3", "file descriptor");
	expect_refused("-blockdev rbd,node-name=r,pool=p,image=i", "driver rbd");
	expect_refused("-blockdev {\"driver\":", "cannot read -blockdev");
	expect_refused("-drive file=json:{nonsense", "cannot read the disk description");
	expect_refused("-drive", "without its value");
	expect_refused("-drive file=json:driver=raw", "cannot read the disk description");
}

/* -EINVAL, or 0: the line is as it was. */
static int with_network_disks(const char *text, const char *const *network, size_t count)
{
	struct args_options o = options;
	struct args_result r;
	struct err e = {.code = 0};
	struct line l;
	int code;

	split(&l, text);
	o.network = network;
	o.network_count = count;
	code = qemu_args_rewrite(&r, l.argv, l.argc, &o, &e);
	if (!code) {
		AUTO_FREE char *got = join(r.argv, r.argc);

		assert_non_null(strstr(got, strstr(text, " -"))); /* behind the machine */
		args_result_fini(&r);
	}
	free(l.text);
	return code;
}

static void disks_behind_a_network_stay_if_they_are_the_guests(void **state)
{
	static const char *const d0 = "d0";
	static const char *const stay[] = {
		"q35 -drive file=nbd://h/x,format=raw,id=d0",
		"q35 -drive driver=raw,file.driver=rbd,file.pool=p,file.image=i,id=d0",
		"q35 -hda nbd:h:10809",
		"q35 -blockdev driver=nbd,node-name=d0,server.type=inet,server.host=h,server.port=1",
		"q35 -blockdev driver=iscsi,node-name=p0,transport=tcp,portal=h,target=t -blockdev driver=qcow2,node-name=d0,file=p0",
		"q35 -blockdev driver=qcow2,node-name=d0,file.driver=nbd,file.server.type=unix,file.server.path=/s",
	};
	static const char *const others[] = {
		"q35 -blockdev driver=nbd,node-name=p1,server.type=inet,server.host=h,server.port=1",
		"q35 -blockdev driver=nbd,node-name=p0,server.type=unix,server.path=/s -blockdev driver=qcow2,node-name=d1,file=p0",
		"q35 -blockdev driver=nvme,node-name=d0,device=0000:01:00.0,namespace=1",
		"q35 -drive file=nvme://0000:01:00.0/1,format=raw,id=d0",
		"q35 -drive file=fat:rw:/srv,format=raw,id=d0",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(stay); i++) {
		AUTO_FREE char *text = xasprintf("-M %s", stay[i]);

		assert_int_equal(with_network_disks(text, &d0, 1), 0);
		assert_int_equal(with_network_disks(text, NULL, 0), -EINVAL);
	}
	for (i = 0; i < ARRAY_LEN(others); i++) {
		AUTO_FREE char *text = xasprintf("-M %s", others[i]);

		assert_int_equal(with_network_disks(text, &d0, 1), -EINVAL);
	}
}

static void storage_behind_a_network_is_known_by_its_driver(void **state)
{
	(void)state;
	assert_true(qemu_is_network_storage("nbd"));
	assert_true(qemu_is_network_storage("nbd+unix:///x?socket=/s"));
	assert_true(qemu_is_network_storage("rbd:pool/image"));
	assert_true(qemu_is_network_storage("gluster+tcp://h/v/i"));
	assert_false(qemu_is_network_storage("nvme://0000:01:00.0/1"));
	assert_false(qemu_is_network_storage("nbdkit"));
	assert_false(qemu_is_network_storage("file"));
	assert_false(qemu_is_network_storage(""));
}

static void a_guest_that_starts_anew_has_any_device(void **state)
{
	struct args_options anew = options;
	struct args_result r;
	struct err e;
	struct line l;

	(void)state;
	anew.no_state = true;
	split(&l, "-M pc-q35-10.0 -device vfio-pci,host=01:00.0 -device nvme,serial=1 -tpmdev passthrough,id=t -display none");
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &anew, &e), 0);
	{
		AUTO_FREE char *got = join(r.argv, r.argc);

		assert_string_equal(
			got,
			"-M pc-q35-10.0 -device vfio-pci,host=01:00.0 -device nvme,serial=1 -tpmdev passthrough,id=t -display none -S -qmp "
			"unix:/d/0123456789ab/private.qmp,server=on,wait=on");
	}
	assert_int_equal(r.note_count, 2);
	assert_non_null(strstr(r.notes[0], "vfio-pci is a device of the host"));
	assert_non_null(strstr(r.notes[1], "the guest finds another one"));
	args_result_fini(&r);
	free(l.text);
	split(&l, "-device vhost-user-blk-pci,chardev=c");
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &anew, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "another process"));
	free(l.text);
}

static void monitors_that_others_could_use_are_refused(void **state)
{
	static const char *const refused[][2] = {
		{"-monitor udp:127.0.0.1:9@:8", "through -monitor udp:127.0.0.1:9@:8 others could"},
		{"-monitor pipe:/srv/p", "this kind"},
		{"-monitor /dev/ttyS0", "this kind"},
		{"-qmp unix:/run/manager.sock", "connects to another program"},
		{"-qmp-pretty tcp:192.0.2.1:99,reconnect=1", "connects to another program"},
		{"-gdb unix:/run/gdb", "connects to another program"},
		{"-gdb udp::1234", "this kind"},
		{"-qmp unix:name,abstract=on,server=on", "abstract"},
		{"-chardev socket,id=c,host=::1,port=9,server=on,tls-creds=t -mon chardev=c,mode=control", "TLS"},
		{"-chardev udp,id=c,port=9 -object monitor-hmp,id=m,chardev=c", "through -chardev udp,id=c,port=9 others"},
		{"-object {\"qom-type\":\"monitor-qmp\",\"id\":\"m\",\"chardev\":\"c\"} -chardev socket,id=c,path=/manager",
		 "connects to another program"},
		{"-chardev socket,id=c,port=9,server=on -object monitor-qmp,id=m,chardev=c,close-action=delete",
		 "removes it when that leaves"},
		{"-chardev udp,id=c,port=9 -mon c", "through -chardev udp,id=c,port=9 others"},
		{"-chardev udp,id=c,port=9 -monitor chardev:c", "this kind"},
		{"-chardev udp,id=c,port=9,mux=on -serial chardev:c", "this kind"},
		{"-chardev null,id=d -chardev hub,id=c,chardevs.0=d -mon c", "this kind"},
		{"-chardev file,id=c,path=/l,input-path=/i -mon c", "it reads from a file"},
		{"-serial mon:udp::9", "this kind"},
		{"-monitor vc -vnc :1", "VNC"},
		{"-display vnc=:1 -monitor vc:80Cx24C", "VNC"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect_refused(refused[i][0], refused[i][1]);
}

static void monitors_that_are_hidden_occupied_or_alone_stay(void **state)
{
	static const char *const kept[] = {"-monitor stdio",
					   "-monitor pty",
					   "-monitor null",
					   "-monitor none",
					   "-monitor vc",
					   "-serial mon:stdio",
					   "-gdb none",
					   "-gdb tcp::1234",
					   "-gdb stdio",
					   "-monitor telnet:127.0.0.1:9,server=on,wait=off",
					   "-monitor websocket:127.0.0.1:9,server,nowait",
					   "-serial mon:tcp::9,server=on,wait=off",
					   "-chardev socket,id=c,host=::1,port=9,server=on,wait=off -mon chardev=c,mode=control",
					   "-chardev ringbuf,id=c -monitor chardev:c",
					   "-chardev socket,id=c,host=::1,port=9,server=on,wait=off -object monitor-qmp,id=m,chardev=c",
					   "-object {\"qom-type\":\"monitor-hmp\",\"id\":\"m\",\"chardev\":\"c\"} -chardev pty,id=c",
					   "-serial udp::9",
					   "-chardev udp,id=c,port=9 -serial chardev:c"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		expect_plain(kept[i], kept[i]);
}

static void every_rewrite_is_noted(void **state)
{
	AUTO_FREE char *notes = NULL;
	AUTO_FREE char *got = rewrite("-machine q35 -drive file=/srv/vm.raw -qmp unix:/run/q,server=on,wait=on -daemonize", &notes);

	(void)state;
	(void)got;
	assert_string_equal(notes, "machine type q35 is pinned to pc-q35-10.0\n"
				   "disk /srv/vm.raw is /d/vm.raw on the destination\n"
				   "format=raw is made explicit for /d/vm.raw\n"
				   "-qmp socket /run/q is /d/q on the destination\n"
				   "-qmp no longer waits for a client before QEMU starts (wait=off)\n"
				   "-daemonize is left out: it is about how the source was started\n"
				   "no display is named: the destination runs with -display none\n");
}

static bool is_in_run(void *ctx, enum args_role role, const char *path)
{
	(void)ctx;
	assert_true(args_role_is_written(role));
	return !strncmp(path, "/run/", 5) || !strcmp(path, options.private_qmp);
}

/* A path may keep its name unless another file has it. */
static void what_may_keep_its_name_does(void **state)
{
	struct args_options o = options;
	struct args_result r;
	struct line l;
	struct err e;
	AUTO_FREE char *got = NULL;

	(void)state;
	o.keeps_name = is_in_run;
	split(&l, "-M q35 -drive file=/srv/vm.raw -qmp unix:/run/q,server=on,wait=off -pidfile /run/p -D /d/0123456789ab/private.qmp "
		  "-chardev socket,id=c,path=/run/q,server=on,wait=off -serial unix:/var/s,server=on,wait=off");
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), 0);
	got = join(r.argv, r.argc);
	assert_non_null(strstr(got, "-qmp unix:/run/q,"));
	assert_non_null(strstr(got, "path=/run/q,"));
	assert_non_null(strstr(got, "-D /d/private.qmp"));
	assert_non_null(strstr(got, "-serial unix:/d/s,"));
	args_result_fini(&r);
	free(l.text);
}

/* The guest moves on: its line was rewritten once already. */
static void rewriting_twice_keeps_one_of_each(void **state)
{
	AUTO_FREE char *once = rewrite("-M q35 -hda vm.raw -qmp unix:/run/q,server=on,wait=off", NULL);
	AUTO_FREE char *twice = rewrite(once, NULL);

	(void)state;
	assert_string_equal(twice, "-M pc-q35-10.0 -drive index=0,media=disk,file=/d/vm.raw,format=raw "
				   "-qmp unix:/d/q,server=on,wait=off -display none" OURS);
}

static void name_is_read_in_every_form(void **state)
{
	static const char *const forms[][2] = {
		{"-name vm1", "vm1"},		{"-name guest=vm1,debug-threads=on", "vm1"},
		{"-name vm1,process=x", "vm1"}, {"-name process=x,guest=a,,b", "a,b"},
		{"-append -name -m 64", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(forms); i++) {
		struct line l;
		char *name;

		split(&l, forms[i][0]);
		name = qemu_args_name(l.argv, l.argc);
		if (forms[i][1])
			assert_string_equal(name, forms[i][1]);
		else
			assert_null(name);
		free(name);
		free(l.text);
	}
}

static void qmp_sockets_are_found_in_every_form(void **state)
{
	struct line l;
	char **paths;
	size_t n;

	(void)state;
	split(&l,
	      "-qmp unix:/a,server=on,wait=off -monitor unix:/no,server=on -qmp tcp::1,server=on "
	      "-chardev socket,id=c1,path=/b,server=on,wait=off -mon chardev=c1,mode=control "
	      "-chardev socket,path=rel,id=c2,server -mon c2,mode=control -mon c1,mode=readline "
	      "-qmp-pretty unix:path=/c,server -qmp chardev:c1 -qmp unix:/client "
	      "-object monitor-qmp,id=m1,chardev=c1 -object {\"qom-type\":\"monitor-qmp\",\"id\":\"m2\",\"chardev\":\"c2\"} "
	      "-object monitor-hmp,id=m3,chardev=c1 -object monitor-qmp,id=m4,chardev=c1,close-action=delete -object secret,id=s,data=c1");
	n = qemu_args_qmp_paths(l.argv, l.argc, &paths);
	assert_int_equal(n, 7);
	assert_string_equal(paths[0], "/a");
	assert_string_equal(paths[1], "/b");
	assert_string_equal(paths[2], "rel");
	assert_string_equal(paths[3], "/c");
	assert_string_equal(paths[4], "/b");
	assert_string_equal(paths[5], "/b");
	assert_string_equal(paths[6], "rel");
	args_free_strings(paths, n);
	free(l.text);
}

/* Plain QMP is found at its ports. */
static void ports_of_monitors_are_found(void **state)
{
	struct line l;
	char **ports;
	size_t n;

	(void)state;
	split(&l,
	      "-qmp tcp:localhost:4444,server,nowait -qmp unix:/a,server=on -qmp tcp::4445,server=on,wait=off -qmp tcp:host:4446 -monitor tcp::1,server=on "
	      "-qmp tcp:[::1]:4447,server=on,telnet=on -qmp telnet::4448,server=on -qmp tcp::4449,server=on,websocket=on -qmp tcp::port,server=on "
	      "-chardev socket,id=c1,host=0.0.0.0,port=4450,server=on -mon chardev=c1,mode=control -mon c1,mode=readline "
	      "-chardev socket,id=c2,port=4451,server=on,tls-creds=t -mon c2,mode=control");
	n = qemu_args_qmp_ports(l.argv, l.argc, &ports);
	assert_int_equal(n, 3);
	assert_string_equal(ports[0], "tcp:4444");
	assert_string_equal(ports[1], "tcp:4445");
	assert_string_equal(ports[2], "tcp:4450");
	args_free_strings(ports, n);
	free(l.text);
}

static void key_value_text_survives_a_round_trip(void **state)
{
	static const char *const texts[] = {"a", "a,b=c", "a=,b", "x=1,,2,y=,,", "a=b=c", "-", "a,,b,c"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		struct kv_list l;
		char *text;

		kv_parse(&l, texts[i]);
		text = kv_print(&l);
		assert_string_equal(text, texts[i]);
		free(text);
		kv_fini(&l);
	}
}

static void json_options_are_read_as_a_flat_list(void **state)
{
	struct props p;
	char *text;

	(void)state;
	props_parse(&p, "{\"driver\":\"a\",\"n\":5,\"on\":true,\"file\":{\"filename\":\"/x\"},"
			"\"list\":[{\"k\":\"v\"},\"w\"],\"none\":null}");
	assert_string_equal(kv_get(&p.l, "driver", "driver"), "a");
	assert_string_equal(kv_get(&p.l, "n", NULL), "5");
	assert_true(kv_flag(&p.l, "on", false));
	assert_string_equal(kv_get(&p.l, "file.filename", NULL), "/x");
	assert_string_equal(kv_get(&p.l, "list.0.k", NULL), "v");
	assert_string_equal(kv_get(&p.l, "list.1", NULL), "w");
	kv_replace(&kv_find(&p.l, "file.filename", NULL)->value, xstrdup("/y"));
	kv_replace(&kv_find(&p.l, "on", NULL)->value, xstrdup("off"));
	kv_remove(&p.l, "n");
	kv_append(&p.l, "new", "1");
	text = props_print(&p);
	assert_string_equal(text, "{\"driver\":\"a\",\"on\":false,\"file\":{\"filename\":\"/y\"},"
				  "\"list\":[{\"k\":\"v\"},\"w\"],\"none\":null,\"new\":\"1\"}");
	free(text);
	props_fini(&p);
	props_parse(&p, "{\"driver\":");
	assert_true(p.broken);
	props_fini(&p);
}

static void expect_basics(const char *line, uint64_t ram_mib, unsigned vcpus, bool kvm)
{
	struct args_basics b;
	struct line l;

	split(&l, line);
	qemu_args_basics(&b, l.argv, l.argc);
	assert_int_equal(b.ram_bytes, ram_mib * MIB);
	assert_int_equal(b.vcpus, vcpus);
	assert_int_equal(b.kvm, kvm);
	free(l.text);
}

static void memory_processors_and_accelerator_are_read_in_every_form(void **state)
{
	(void)state;
	expect_basics("-nodefaults", 128, 1, false);
	expect_basics("-m 4096 -smp 4 -enable-kvm", 4096, 4, true);
	expect_basics("-m size=2G,slots=4,maxmem=8G -smp cpus=3,maxcpus=8 -accel kvm", 2048, 3, true);
	expect_basics("-m 1.5G -smp sockets=2,cores=3,threads=2 -M q35,accel=kvm:tcg", 1536, 12, true);
	expect_basics("-m 512M -smp 2,cores=2 -accel tcg -accel kvm", 512, 2, false);
	expect_basics("-m nonsense -smp 99999999999999999999", 0, 1, false);
}

static void expect_start(const char *from, const char *to)
{
	struct line l;
	char *text;

	split(&l, from);
	text = qemu_args_start_line(l.argv, l.argc, NULL, "/d/0123456789ab/private.qmp");
	assert_string_equal(text, to);
	free(text);
	free(l.text);
}

static void start_line_is_one_that_a_shell_reads_back(void **state)
{
	char *odd[] = {"q", "-name", "it's $HOME", "-append", "", "a b"};
	char *text = qemu_args_start_line(odd, ARRAY_LEN(odd), "/usr/bin/qemu", NULL);

	(void)state;
	assert_string_equal(text, "/usr/bin/qemu \\\n    -name 'it'\\''s $HOME' \\\n    -append '' \\\n    'a b'");
	free(text);
	expect_start("-m 64 -incoming defer -S -qmp unix:/d/0123456789ab/private.qmp,server=on,wait=on "
		     "-qmp unix:/d/own.qmp,server=on,wait=off",
		     "qemu-system-x86_64 \\\n    -m 64 \\\n    -qmp unix:/d/own.qmp,server=on,wait=off");
	expect_start("-name -S -append -incoming -S", "qemu-system-x86_64 \\\n    -name -S \\\n    -append -incoming");
}

static int expand(const char *line, const char *config, char **text, struct err *e)
{
	struct args_config c = {"f", config};
	struct line l;
	char **out;
	size_t n;
	int r;

	split(&l, line);
	r = qemu_args_expand(&out, &n, l.argv, l.argc, &c, 1, e);
	*text = NULL;
	if (r == 0) {
		*text = join(out, n);
		assert_null(out[n]);
		args_free_strings(out, n);
	}
	free(l.text);
	return r;
}

static void expect_expanded(const char *line, const char *config, const char *to)
{
	struct err e = {.code = 0};
	char *text;

	if (expand(line, config, &text, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
	assert_string_equal(text, to);
	free(text);
}

static void expect_not_expanded(const char *line, const char *config, const char *why)
{
	struct err e = {.code = 0};
	char *text;

	assert_int_equal(expand(line, config, &text, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" is not in: %s", why, e.msg);
}

static void config_files_and_set_are_worked_into_the_line(void **state)
{
	AUTO_FREE char *long_text = xmalloc(ARGS_CONFIG_MAX + 2);

	(void)state;
	memset(long_text, '#', ARGS_CONFIG_MAX + 1);
	long_text[ARGS_CONFIG_MAX + 1] = '\0';
	expect_expanded("-m 1 -readconfig f -S", "", "-m 1 -S");
	expect_expanded("-readconfig f", "# a comment\n\n[device \"d\"]\r\n\tdriver = \"e1000\"\n  mac = \"a,b\"\n",
			"-device driver=e1000,mac=a,,b,id=d");
	expect_expanded("-readconfig f", "[memory]\n size=\"64\"\n[ fw_cfg \"opt/x\" ]\nstring = \"\"",
			"-m size=64 -fw_cfg string=,name=opt/x");
	expect_expanded("-readconfig f", "[machine]\n[device]\n", "-machine ");
	expect_expanded("-readconfig f -set device.d.mac=x", "[device \"d\"]\ndriver=\"e1000\"\nmac=\"y\"\n",
			"-device driver=e1000,id=d,mac=x");
	expect_expanded("-netdev user,id=n -set netdev.n.restrict=on", "", "-netdev user,id=n,restrict=on");
	expect_not_expanded("-readconfig other", "", "not known");
	expect_not_expanded("-readconfig f", "driver = \"x\"\n", "line 1");
	expect_not_expanded("-readconfig f", "[device \"d\"]\ndriver = e1000\n", "line 2");
	expect_not_expanded("-readconfig f", long_text, "longer than");
	expect_not_expanded("-set device.d.mac=x", "", "no -device before it has that id");
	expect_not_expanded("-set nonsense", "", "cannot understand");
	expect_not_expanded("-device e1000,id=d -set device.d.id=x", "", "cannot understand");
}

/* The largest permitted number of names, in a directory each: comparing every name for each number tried would take many minutes. */
static void thousands_of_names_that_are_alike_are_told_apart(void **state)
{
	enum { COUNT = 7900 };
	char **argv = xcalloc(2 * COUNT + 1, sizeof(*argv));
	struct args_result r;
	struct err e = {.code = 0};
	size_t i;

	(void)state;
	argv[0] = xstrdup("qemu-system-x86_64");
	for (i = 0; i < COUNT; i++) {
		argv[1 + 2 * i] = xstrdup("-serial");
		argv[2 + 2 * i] = xasprintf("file:/%zu/%s", i, i == 1 ? "l-3" : i == 3 ? "l-2" : "l");
	}
	if (qemu_args_rewrite(&r, argv, 2 * COUNT + 1, &options, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(r.file_count, COUNT);
	assert_string_equal(r.files[0].to, "/d/l");
	assert_string_equal(r.files[1].to, "/d/l-3");
	assert_string_equal(r.files[2].to, "/d/l-2");
	assert_string_equal(r.files[3].to, "/d/l-2-2");
	assert_string_equal(r.files[4].to, "/d/l-4");
	assert_string_equal(r.files[COUNT - 1].to, "/d/l-7899");
	args_result_fini(&r);
	args_free_strings(argv, 2 * COUNT + 1);
}

static unsigned index_of_tap(const char *tap)
{
	return !strncmp(tap, "tap", 3) ? (unsigned)atoi(tap + 3) + 40 : 0;
}

static const struct args_net_map *in_place_map; /* --map-net; NULL: none */

static void in_place(const char *from, const char *to, const char *why)
{
	struct args_options o = {.private_qmp = "/d/0123456789ab/private.qmp",
				 .cwd = "/srv",
				 .in_place = true,
				 .tap_index = index_of_tap,
				 .nets = in_place_map,
				 .net_count = in_place_map != NULL,
				 .tpm = true};
	AUTO_FREE char *with_machine = xasprintf("-M q35 %s", from);
	AUTO_FREE char *want = xasprintf("-M q35 %s" PLAIN, to ? to : "");
	AUTO_FREE char *got = NULL;
	struct args_result r;
	struct err e;
	struct line l;

	split(&l, with_machine);
	if (!to) {
		assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), -EINVAL);
		if (!strstr(e.msg, why) || !strstr(e.msg, "--in-place"))
			fail_msg("not '%s': %s", why, e.msg);
	} else {
		if (qemu_args_rewrite(&r, l.argv, l.argc, &o, &e))
			fail_msg("%s: %s", from, e.msg);
		got = join(r.argv, r.argc);
		assert_string_equal(got, want);
		args_result_fini(&r);
	}
	free(l.text);
}

static void in_its_place_a_guest_keeps_its_names(void **state)
{
	(void)state;
	in_place("-qmp unix:a.qmp,server=on,wait=off -pidfile /run/a.pid", "-qmp unix:/srv/a.qmp,server=on,wait=off -pidfile /run/a.pid",
		 NULL);
	in_place("-serial unix:/run/a.con,server=on,wait=off", "-serial unix:/run/a.con,server=on,wait=off", NULL);
	in_place("-netdev user,id=n -netdev bridge,id=b,br=br0", "-netdev user,id=n -netdev bridge,id=b,br=br0", NULL);
	in_place("-netdev tap,id=n", "-netdev tap,id=n", NULL);
	in_place("-chardev socket,id=c,path=/run/peer", "-chardev socket,id=c,path=/run/peer", NULL);
}

static void in_its_place_a_guest_s_logs_go_on(void **state)
{
	(void)state;
	in_place("-serial file:a.log", "-chardev file,id=vmferry-file-0,path=/srv/a.log,append=on -serial chardev:vmferry-file-0", NULL);
	in_place("-chardev file,id=vmferry-file-0,path=/srv/a.log,append=on -serial chardev:vmferry-file-0 -debugcon file:b,c.log",
		 "-chardev file,id=vmferry-file-0,path=/srv/a.log,append=on -serial chardev:vmferry-file-0 "
		 "-chardev file,id=vmferry-file-1,path=/srv/b,,c.log,append=on -debugcon chardev:vmferry-file-1",
		 NULL);
	in_place("-serial mon:file:/x", "-chardev file,id=vmferry-file-0,path=/x,append=on -serial chardev:vmferry-file-0", NULL);
	in_place("-chardev file,id=f,path=/x", "-chardev file,id=f,path=/x,append=on", NULL);
	in_place("-chardev file,id=f,path=/x,append=off", "-chardev file,id=f,path=/x,append=on", NULL);
	in_place("-chardev null,id=f,logfile=/x", "-chardev null,id=f,logfile=/x,logappend=on", NULL);
}

static void in_its_place_a_guest_has_nothing_that_two_cannot_have(void **state)
{
	static const char port[] = "only one process can listen on a port";

	(void)state;
	in_place("-qmp tcp:127.0.0.1:4444,server=on,wait=off", NULL, port);
	in_place("-chardev socket,id=c,host=::,port=1,server=on", NULL, port);
	in_place("-spice port=5930", NULL, port);
	in_place("-gdb tcp::1234", NULL, port);
	in_place("-s", NULL, port);
	in_place("-serial udp::4000@:4001", NULL, port);
	in_place("-chardev udp,id=u,port=1,localport=2", NULL, port);
	in_place("-netdev dgram,id=n,local.type=inet,local.host=::,local.port=1", NULL, port);
	in_place("-netdev socket,id=n,udp=1.2.3.4:5,localaddr=:6", NULL, port);
	in_place("-serial pipe:/run/p", NULL, "is read by one process, or by another");
	in_place("-serial /dev/ttyS0", NULL, "is read by one process, or by another");
	in_place("-chardev pipe,id=p,path=/run/p", NULL, "is read by one process, or by another");
	in_place("-chardev serial,id=p,path=/dev/ttyS0", NULL, "is read by one process, or by another");
	in_place("-object filter-dump,id=d,netdev=n,file=/x", NULL, "empties that file");
	in_place("-trace file=/x", NULL, "empties that file");
	in_place("-audiodev wav,id=a,path=/x", NULL, "empties that file");
	in_place("-device vhost-vsock-pci,guest-cid=3", NULL, "vsock address");
	in_place("-netdev socket,id=n,listen=:1234", NULL, port);
	in_place("-netdev stream,id=n,server=on,addr.type=inet,addr.host=::,addr.port=1", NULL, port);
	in_place("-netdev tap,id=n,ifname=tap0", NULL,
		 "scripts that set up that tap would be run for another (--map-net n=tap:tap0 goes on without");
	in_place("-netdev tap,id=n,ifname=tap0,script=no", NULL, "scripts that set up that tap");
	in_place("-netdev tap,id=n,ifname=tap0,downscript=no,script=/up", NULL, "scripts that set up that tap");
	in_place("-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on", NULL, "the kernel serves that tap itself (vhost)");
	in_place("-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhostforce=on", NULL, "the kernel serves that tap itself (vhost)");
	in_place("-netdev tap,id=n,ifname=tap0,script=no,downscript=no,queues=2", NULL, "a tap of several queues");
	in_place("-nic user,hostfwd=tcp::2222-:22", NULL, "a port that is forwarded");
	in_place("-chardev socket,id=t,path=/run/swtpm -tpmdev emulator,id=d,chardev=t", NULL, "serves one QEMU");
}

#define PASST "-netdev stream,id=n,addr.type=unix,addr.path=/run/passt"

static void in_its_place_a_guest_connects_again_to_who_has_room_for_one(void **state)
{
	static const struct args_net_map as_is = {"n", "as-is"};

	(void)state;
	in_place(PASST, NULL, "start the guest with reconnect-ms=1000 there (--map-net n=as-is if two may connect)");
	in_place(PASST ",server=off,reconnect=0", NULL, "has room for one");
	in_place(PASST ",reconnect=1", PASST ",reconnect=1", NULL);
	in_place(PASST ",reconnect-ms=100", PASST ",reconnect-ms=100", NULL);
	in_place(PASST ",server=on", PASST ",server=on", NULL);
	in_place_map = &as_is;
	in_place(PASST, PASST, NULL);
	in_place_map = NULL;
}

static void in_its_place_a_connection_that_is_not_made_again_is_told(void **state)
{
	static const struct {
		const char *text;
		size_t notes;
	} lines[] = {{"-chardev socket,id=c,path=/run/peer", 1}, {"-chardev socket,id=c,path=/run/peer,reconnect=1", 0}};
	struct args_options o = {.private_qmp = "/d/0123456789ab/private.qmp", .in_place = true, .tpm = true};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		struct args_result r;
		size_t told = 0;
		struct err e;
		struct line l;

		split(&l, lines[i].text);
		assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), 0);
		for (k = 0; k < r.note_count; k++)
			told += strstr(r.notes[k], "and not again") != NULL;
		assert_int_equal(told, lines[i].notes);
		args_result_fini(&r);
		free(l.text);
	}
}

static void in_its_place_a_guest_has_a_tap_that_stands_in(void **state)
{
	static const struct args_net_map same = {"n", "tap:tap0,vhost=off"}, other = {"n", "tap:tap1"};

	(void)state;
	in_place(
		"-netdev tap,id=n,ifname=tap2,script=no,downscript=no -netdev tap,id=m,ifname=tap0,script=,downscript=,queues=1,vhost=off",
		"-netdev tap,id=n,ifname=vmft42,script=no,downscript=no -netdev tap,id=m,ifname=vmft40,script=,downscript=,queues=1,vhost=off",
		NULL);
	in_place("-nic tap,id=n,model=virtio,ifname=tap2,script=no,downscript=no",
		 "-nic tap,id=n,model=virtio,ifname=vmft42,script=no,downscript=no", NULL);
	in_place("-net tap,name=n,ifname=tap2,script=no,downscript=no -net nic",
		 "-net tap,name=n,ifname=vmft42,script=no,downscript=no -net nic", NULL);
	in_place("-netdev {\"type\":\"tap\",\"id\":\"n\",\"ifname\":\"tap0\",\"script\":\"no\",\"downscript\":\"no\"}",
		 "-netdev {\"type\":\"tap\",\"id\":\"n\",\"ifname\":\"vmft40\",\"script\":\"no\",\"downscript\":\"no\"}", NULL);
	in_place_map = &same; /* the same tap, so the guest goes without vhost */
	in_place("-netdev tap,id=n,ifname=tap0,script=/up,vhost=on",
		 "-netdev tap,id=n,vhost=on,ifname=vmft40,script=no,downscript=no,vhost=off", NULL);
	in_place_map = &other;
	in_place("-netdev tap,id=n,ifname=tap0,script=/up", "-netdev tap,id=n,ifname=tap1,script=no,downscript=no", NULL);
	in_place_map = NULL;
}

static void a_tap_that_stood_in_is_nobody_s(void **state)
{
	static const struct args_options o = {.in_place = true, .tap_index = index_of_tap}, plain = {.cwd = "/"};
	struct args_result r;
	struct err e;
	struct line l;

	(void)state;
	split(&l, "-netdev tap,id=n,ifname=vmft40,script=no,downscript=no");
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "began with tap vmft40"));
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &plain, &e), -EINVAL);
	free(l.text);
	split(&l, "-netdev tap,id=n,ifname=eth0,script=no,downscript=no");
	assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), -ENODEV);
	free(l.text);
	assert_int_equal(tap_stood_in_for("vmft40"), 40);
	assert_int_equal(tap_stood_in_for("vmft"), 0);
	assert_int_equal(tap_stood_in_for("vmft4a"), 0);
	assert_int_equal(tap_stood_in_for("vmft-4"), 0);
	assert_int_equal(tap_stood_in_for("vmft99999999999"), 0);
	assert_int_equal(tap_stood_in_for("tap40"), 0);
}

static void in_its_place_a_display_is_on_no_port(void **state)
{
	struct args_options o = {.in_place = true};
	struct args_result r;
	struct err e;
	struct line l;
	size_t i;
	static const char *const refused[] = {"-vnc :1", "-vnc 127.0.0.1:1,password=on", "-display vnc=:2"},
				 *const taken[] = {"-vnc none", "-vnc unix:/run/vnc", "-vnc :1,reverse=on"};

	(void)state;
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		split(&l, refused[i]);
		assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), -EINVAL);
		free(l.text);
	}
	for (i = 0; i < ARRAY_LEN(taken); i++) {
		split(&l, taken[i]);
		assert_int_equal(qemu_args_rewrite(&r, l.argv, l.argc, &o, &e), 0);
		args_result_fini(&r);
		free(l.text);
	}
}

/* Seconds of CPU time that it takes to rewrite a line with so many of these; %u is their number. */
static double seconds_for(const char *option, const char *format, unsigned count, int expect)
{
	char **argv = xcalloc(2 * count + 2, sizeof(*argv));
	struct args_options o = {.socket_dir = "/d"};
	struct timespec from, to;
	struct args_result r;
	size_t argc = 0;
	struct err e;
	unsigned i;

	argv[argc++] = xstrdup("qemu-system-x86_64");
	for (i = 0; i < count; i++) {
		argv[argc++] = xstrdup(option);
		argv[argc] = xmalloc(256);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(argv[argc++], 256, format, i, i, i);
#pragma GCC diagnostic pop
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(qemu_args_rewrite(&r, argv, argc, &o, &e), expect);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	if (!expect)
		args_result_fini(&r);
	args_free_strings(argv, argc);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Slow machines; what is to be seen took 36 without a sanitizer. */
#ifdef __SANITIZE_THREAD__
#define SLOW_S 60
#else
#define SLOW_S 15
#endif

static void a_line_of_thousands_of_options_is_rewritten_in_a_moment(void **state)
{
	static const char *const many[][2] = {
		{"-blockdev", "driver=file,node-name=n%u,filename=/x/%u"},
		{"-blockdev", "{\"driver\":\"raw\",\"node-name\":\"n%u\",\"file\":\"n%u\"}"},
		{"-device", "virtio-blk-pci,drive=n%u,id=d%u"},
		{"-drive", "if=none,file=/x/%u,id=d%u"},
		{"-netdev", "user,id=n%u"},
		{"-chardev", "socket,id=c%u,path=/x/%u,server=on,wait=off"},
		{"-unknown%u", "x"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(many); i++) {
		double s = seconds_for(many[i][0], many[i][1], 8000, 0);

		if (s > SLOW_S)
			fail_msg("%s %s: %.1f s", many[i][0], many[i][1], s);
	}
	seconds_for("-m", "1", 8200, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_type_is_pinned_wherever_it_stands),
		cmocka_unit_test(thousands_of_names_that_are_alike_are_told_apart),
		cmocka_unit_test(drives_are_mapped_and_their_format_made_explicit),
		cmocka_unit_test(relative_and_untidy_names_find_their_disk),
		cmocka_unit_test(doubled_commas_survive),
		cmocka_unit_test(drives_outside_the_map_stay),
		cmocka_unit_test(blockdevs_are_mapped_in_both_syntaxes),
		cmocka_unit_test(protocol_driver_follows_from_file_to_device_and_back),
		cmocka_unit_test(a_disk_on_a_larger_device_keeps_its_size),
		cmocka_unit_test(a_disk_on_a_larger_device_keeps_its_size_in_json),
		cmocka_unit_test(a_disk_that_is_a_part_of_its_file_has_one_of_its_own),
		cmocka_unit_test(a_size_that_the_line_cannot_tell_is_refused),
		cmocka_unit_test(short_disk_options_become_drives_with_a_format),
		cmocka_unit_test(listening_sockets_move_and_never_wait),
		cmocka_unit_test(sockets_of_other_services_stay),
		cmocka_unit_test(socket_of_a_tpm_becomes_that_of_another_swtpm),
		cmocka_unit_test(tpm_that_is_not_at_a_unix_socket_is_refused),
		cmocka_unit_test(tpm_goes_only_with_who_takes_it_along),
		cmocka_unit_test(written_files_move),
		cmocka_unit_test(two_files_of_one_name_stay_apart),
		cmocka_unit_test(monitors_of_agents_go_nowhere),
		cmocka_unit_test(start_options_of_the_source_are_dropped),
		cmocka_unit_test(values_that_look_like_options_are_left_alone),
		cmocka_unit_test(relative_files_become_absolute),
		cmocka_unit_test(programs_of_networks_are_named_whole_and_told),
		cmocka_unit_test(windows_of_a_desktop_are_not_opened),
		cmocka_unit_test(an_inherited_back_end_may_be_replaced),
		cmocka_unit_test(what_cannot_be_carried_is_refused_with_the_reason),
		cmocka_unit_test(disks_behind_a_network_stay_if_they_are_the_guests),
		cmocka_unit_test(storage_behind_a_network_is_known_by_its_driver),
		cmocka_unit_test(a_guest_that_starts_anew_has_any_device),
		cmocka_unit_test(monitors_that_others_could_use_are_refused),
		cmocka_unit_test(monitors_that_are_hidden_occupied_or_alone_stay),
		cmocka_unit_test(every_rewrite_is_noted),
		cmocka_unit_test(what_may_keep_its_name_does),
		cmocka_unit_test(rewriting_twice_keeps_one_of_each),
		cmocka_unit_test(name_is_read_in_every_form),
		cmocka_unit_test(qmp_sockets_are_found_in_every_form),
		cmocka_unit_test(ports_of_monitors_are_found),
		cmocka_unit_test(key_value_text_survives_a_round_trip),
		cmocka_unit_test(json_options_are_read_as_a_flat_list),
		cmocka_unit_test(memory_processors_and_accelerator_are_read_in_every_form),
		cmocka_unit_test(start_line_is_one_that_a_shell_reads_back),
		cmocka_unit_test(config_files_and_set_are_worked_into_the_line),
		cmocka_unit_test(in_its_place_a_guest_keeps_its_names),
		cmocka_unit_test(in_its_place_a_guest_s_logs_go_on),
		cmocka_unit_test(in_its_place_a_guest_has_nothing_that_two_cannot_have),
		cmocka_unit_test(in_its_place_a_guest_connects_again_to_who_has_room_for_one),
		cmocka_unit_test(in_its_place_a_connection_that_is_not_made_again_is_told),
		cmocka_unit_test(in_its_place_a_guest_has_a_tap_that_stands_in),
		cmocka_unit_test(a_tap_that_stood_in_is_nobody_s),
		cmocka_unit_test(in_its_place_a_display_is_on_no_port),
		cmocka_unit_test(a_line_of_thousands_of_options_is_rewritten_in_a_moment),
	};

	return cmocka_run_group_tests_name("qemu-args", tests, NULL, NULL);
}
