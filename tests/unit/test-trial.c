/* test-trial.c: the line by which a destination's QEMU is tried, what it says of it, and obstacles. */
#include "obstacles.h"
#include "qemu-args-trial.h"
#include "trial.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct line {
	char *text;
	char *argv[64];
	size_t argc;
};

static void split(struct line *l, const char *text)
{
	char *word, *save = NULL;

	l->text = xasprintf("qemu %s", text);
	l->argc = 0;
	for (word = strtok_r(l->text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(l->argc + 1 < ARRAY_LEN(l->argv));
		l->argv[l->argc++] = word;
	}
	l->argv[l->argc] = NULL;
}

static bool is_directory(const char *path)
{
	return !strcmp(path, "/dev/hugepages");
}

static char *join(const struct args_trial *t)
{
	char *text = xstrdup("");
	size_t i;

	for (i = 0; i < t->count; i++) {
		char *longer = xasprintf("%s%s%s", text, i ? " " : "", t->words[i]);

		free(text);
		text = longer;
	}
	return text;
}

static void assert_trial(const char *line, const char *expected)
{
	AUTO_FREE char *want = xasprintf("%s%s-incoming defer", expected, *expected ? " " : "");
	AUTO_FREE char *got = NULL;
	struct args_trial t;
	struct line l;

	split(&l, line);
	args_trial_of(&t, l.argv, l.argc, is_directory);
	got = join(&t);
	assert_string_equal(got, want);
	args_trial_fini(&t);
	free(l.text);
}

#define MADE_UP "driver=null-co,size=1073741824,read-zeroes=on"

static void disks_are_made_up_and_their_devices_stay(void **state)
{
	(void)state;
	assert_trial("-drive file=/d/a.qcow2,if=virtio,format=qcow2,cache=none,aio=native", "-drive if=virtio," MADE_UP);
	assert_trial("-drive file=/d/a.iso,media=cdrom,if=none,id=c -device ide-cd,drive=c",
		     "-drive media=cdrom,if=none,id=c," MADE_UP " -device ide-cd,drive=c");
	assert_trial("-drive file=/d/seed.iso,media=cdrom,if=virtio", "-drive media=cdrom,if=virtio," MADE_UP);
	assert_trial("-drive if=pflash,format=raw,file=/d/VARS.fd", "");
	assert_trial("-blockdev {\"driver\":\"qcow2\",\"node-name\":\"q\",\"file\":\"f\"} -device virtio-blk-pci,drive=q",
		     "-blockdev node-name=q," MADE_UP " -device virtio-blk-pci,drive=q");
	assert_trial("-global virtio-net-pci.romfile=/d/x.rom -global e1000.romfile=own.rom", "-global e1000.romfile=own.rom");
	assert_trial("-hdb /d/b.raw -cdrom /d/x.iso", "-drive index=1," MADE_UP);
	assert_trial("-machine q35,pflash0=code,accel=tcg", "-machine q35,accel=tcg");
}

static void sound_servers_are_asked_and_cards_are_not(void **state)
{
	(void)state;
	assert_trial("-audiodev pa,id=a0,server=/run/pulse -device AC97,audiodev=a0",
		     "-audiodev pa,id=a0,server=/run/pulse -device AC97,audiodev=a0");
	assert_trial("-audiodev driver=oss,id=a0", "-audiodev driver=oss,id=a0");
	assert_trial("-audiodev alsa,id=a0,out.dev=hw:0 -audiodev wav,id=a1,path=/d/x.wav", "-audiodev none,id=a0 -audiodev none,id=a1");
}

static void what_is_listened_on_by_name_or_is_anothers_is_null(void **state)
{
	(void)state;
	assert_trial("-qmp unix:/d/q,server=on,wait=off -serial mon:unix:/d/s,server=on -monitor stdio",
		     "-qmp null -serial mon:null -monitor stdio");
	assert_trial("-qmp tcp:127.0.0.1:4444,server=on,wait=off -serial tcp:10.0.0.1:99",
		     "-qmp tcp:127.0.0.1:4444,server=on,wait=off -serial null");
	assert_trial("-chardev socket,id=a,path=/d/a,server=on,mux=on -chardev socket,id=b,host=::1,port=5,server=on,wait=off,logfile=/d/l",
		     "-chardev null,id=a,mux=on -chardev socket,id=b,host=::1,port=5,server=on,wait=off");
	assert_trial("-tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t -pidfile /d/p -D /d/log -S -incoming defer", "");
	assert_trial("-vnc unix:/d/vnc -vnc :1", "-vnc :1");
}

static void no_tap_of_anybodys_is_opened_and_no_script_run(void **state)
{
	(void)state;
	assert_trial("-netdev tap,id=n,ifname=tap0,queues=4", "-netdev hubport,hubid=5000,id=n");
	assert_trial("-netdev tap,id=n", "-netdev tap,id=n,script=no,downscript=no");
	assert_trial("-netdev bridge,id=n,br=br7", "-netdev bridge,id=n,br=br7");
	assert_trial("-nic user,hostfwd=tcp::2222-:22,model=e1000", "-nic user,hostfwd=tcp::2222-:22,model=e1000");
	assert_trial("-nic tap,ifname=t,model=e1000,mac=52:54:00:00:00:01", "-nic hubport,hubid=5000,model=e1000,mac=52:54:00:00:00:01");
	assert_trial("-netdev stream,id=n,server=off,addr.type=unix,addr.path=/run/passt", "-netdev hubport,hubid=5000,id=n");
}

static void memory_is_not_allocated_ahead_nor_in_a_file(void **state)
{
	(void)state;
	assert_trial("-object memory-backend-file,id=m,size=1G,mem-path=/d/ram,share=on,prealloc=on",
		     "-object memory-backend-ram,id=m,size=1G,share=on");
	assert_trial("-object memory-backend-file,id=m,size=1G,mem-path=/dev/hugepages,prealloc=on",
		     "-object memory-backend-file,id=m,size=1G,mem-path=/dev/hugepages");
	assert_trial("-mem-prealloc -mem-path /d/ram -overcommit mem-lock=on", "");
}

static void what_failed_is_left_out_and_its_name_stays(void **state)
{
	struct args_trial t;
	struct line l;

	(void)state;
	split(&l, "-netdev bridge,id=n,br=br0 -device e1000,netdev=n -vnc :1");
	args_trial_of(&t, l.argv, l.argc, is_directory);
	assert_true(args_trial_without(&t, "x: -netdev bridge,id=n,br=br0: bridge helper failed"));
	assert_string_equal(t.words[1], "hubport,hubid=5008,id=n");
	assert_true(args_trial_without(&t, "qemu: -vnc :1: Failed to find an available port"));
	assert_false(args_trial_without(&t, "qemu: out of memory"));
	{
		AUTO_FREE char *got = join(&t);

		assert_string_equal(got, "-netdev hubport,hubid=5008,id=n -device e1000,netdev=n -incoming defer");
	}
	args_trial_fini(&t);
	free(l.text);
}

static void assert_reason(const char *said, const char *begins)
{
	AUTO_FREE char *reason = trial_reason(said);

	if (strncmp(reason, begins, strlen(begins)))
		fail_msg("'%s' does not begin with '%s'", reason, begins);
}

static void the_remedy_comes_first_and_warnings_are_left_out(void **state)
{
	(void)state;
	assert_reason(
		"QEMU ended with status 1 while starting: char device redirected to /dev/pts/1 (label charserial0) / "
		"2026-11-28T03:02:05.540819Z qemu-system-x86_64: -vnc :0: Failed to find an available port: Address already in use",
		"another process has that port at the destination: end it (ss -lntup there names it), or give the guest another port (QEMU, "
		"tried there: -vnc :0: Failed");
	assert_reason(
		"QEMU ended with status 1 while starting: failed to parse default acl file `/etc/qemu/bridge.conf' / qemu-system-x86_64: "
		"-netdev bridge,id=lan,br=lan0: bridge helper failed",
		"QEMU may not use lan0 at the destination: put \"allow lan0\" into /etc/qemu/bridge.conf there (");
	assert_reason(
		"QEMU ended with status 1 while starting: access denied by acl file / qemu-system-x86_64: -netdev bridge,id=n: bridge helper "
		"failed",
		"QEMU may not use br0 at the destination: put \"allow br0\" into /etc/qemu/bridge.conf there (");
	assert_reason(
		"QEMU ended with status 1 while starting: failed to create tun device: Operation not permitted / qemu-system-x86_64: -netdev "
		"bridge,id=n: bridge helper failed",
		"QEMU's bridge helper at the destination has no rights");
	assert_reason(
		"QEMU ended with status 1 while starting: qemu-system-x86_64: warning: hub 1 is not connected / qemu-system-x86_64: odd",
		"QEMU does not start at the destination with the guest's command line; tried there, it says: odd");
}

/* An error ends whoever looks, as does a fact that nobody collects. */
static void a_fact_is_for_the_list(void **state)
{
	struct obstacles o = {.list = NULL};
	struct err e;

	(void)state;
	err_set(&e, ENOTSUP, "it has a thing");
	assert_int_equal(obstacles_fact(NULL, &e), -ENOTSUP);
	assert_int_equal(obstacles_fact(&o, &e), 0);
	err_set(&e, ETIMEDOUT, "it does not answer");
	assert_int_equal(obstacles_fact(&o, &e), -ETIMEDOUT);
	assert_int_equal(obstacles_count(&o), 1);
	obstacles_fini(&o);
}

static void obstacles_are_told_once_and_together(void **state)
{
	struct obstacles o = {.list = NULL};
	struct err e;

	(void)state;
	assert_int_equal(obstacles_err(&o, &e), 0);
	err_set(&e, ENOENT, "no directory");
	obstacles_add(&o, &e);
	obstacles_add(&o, &e);
	assert_int_equal(obstacles_err(&o, &e), -ENOENT);
	assert_string_equal(e.msg, "no directory");
	err_set(&e, ENOTSUP, "a device");
	obstacles_add(&o, &e);
	assert_int_equal(obstacles_err(&o, &e), -ENOTSUP);
	assert_string_equal(e.msg, "2 things stand in the way: (1) no directory; (2) a device");
	obstacles_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_are_made_up_and_their_devices_stay),
		cmocka_unit_test(sound_servers_are_asked_and_cards_are_not),
		cmocka_unit_test(what_is_listened_on_by_name_or_is_anothers_is_null),
		cmocka_unit_test(no_tap_of_anybodys_is_opened_and_no_script_run),
		cmocka_unit_test(memory_is_not_allocated_ahead_nor_in_a_file),
		cmocka_unit_test(what_failed_is_left_out_and_its_name_stays),
		cmocka_unit_test(the_remedy_comes_first_and_warnings_are_left_out),
		cmocka_unit_test(obstacles_are_told_once_and_together),
		cmocka_unit_test(a_fact_is_for_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
