/*
 * test-qemu-discover.c: guests of a real QEMU are found and described; and what was found starts
 * again, rewritten, as a destination. One directory holds one test's files.
 */
#include "loop.h"
#include "process.h"
#include "qemu-args.h"
#include "qemu-discover.h"
#include "start-dir.h"
#include "qemu-launch.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct loop *loop;
static char dir[32];
static char exe[4096], img[4096];

/* "DIR/NAME"; several at once may be in use. */
static const char *in_dir(const char *name)
{
	static char paths[16][96];
	static unsigned next;
	char *p = paths[next++ % ARRAY_LEN(paths)];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void shell(const char *command)
{
	AUTO_FREE char *line = xasprintf("cd %s && %s >/dev/null 2>&1", dir, command);

	if (system(line) != 0)
		fail_msg("%s", line);
}

static void image(const char *arguments)
{
	AUTO_FREE char *command = xasprintf("%s %s", img, arguments);

	shell(command);
}

/* The word with the directory in place of every "@". */
static char *with_dir(const char *word)
{
	char *out = xmalloc(strlen(word) * sizeof(dir) + 1), *w = out;

	for (; *word; word++) {
		if (*word == '@')
			w = stpcpy(w, dir);
		else
			*w++ = *word;
	}
	*w = '\0';
	return out;
}

/* Starts QEMU with these options, split at spaces; "@" stands for the directory. */
static void start(struct qemu_proc *p, const char *options)
{
	AUTO_FREE char *text = xstrdup(options);
	char *argv[64] = {"qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults"};
	char *word, *save = NULL;
	struct err e = {.code = 0};
	size_t n = 8, i;

	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[n++] = with_dir(word);
	if (qemu_launch(p, exe, argv, NULL, NULL, NULL, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	for (i = 8; i < n; i++)
		free(argv[i]);
}

static struct qmp *start_and_open(struct qemu_proc *p, const char *options, const char *monitor)
{
	struct err e = {.code = 0};
	struct qmp *q = NULL;

	start(p, options);
	if (qemu_launch_wait_qmp(p, loop, in_dir(monitor), 20000, NULL, NULL, &q, &e) < 0)
		fail_msg("%s", e.msg);
	return q;
}

static void must_find(struct guest *g, const char *vm)
{
	struct err e = {.code = 0};

	if (guest_find(g, vm, &e) < 0)
		fail_msg("%s", e.msg);
}

static void expect_not_found(const char *vm, int code, const char *text)
{
	struct err e = {.code = 0};
	struct guest g;

	assert_int_equal(guest_find(&g, vm, &e), -code);
	if (!strstr(e.msg, text))
		fail_msg("\"%s\" is not in: %s", text, e.msg);
	guest_fini(&g);
}

static void finds_by_name_pid_and_socket(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct guest g;
	char pid[16];
	struct qmp *q;

	(void)state;
	q = start_and_open(&p,
			   "-name guest=vmferry-disc-1,debug-threads=on -M q35 -qmp "
			   "unix:@/a.qmp,server=on,wait=off",
			   "a.qmp");
	must_find(&g, "vmferry-disc-1");
	assert_int_equal(g.pid, p.pid);
	assert_true(g.start_time && g.start_time == p.start_time);
	assert_string_equal(g.qmp.path, in_dir("a.qmp"));
	/* exe may be a wrapper that execs the binary */
	assert_string_equal(strrchr(g.exe, '/'), "/qemu-system-x86_64");
	assert_string_equal(g.cwd, "/");
	assert_non_null(strstr(g.line.argv[0], "qemu-system-x86_64"));
	assert_null(g.line.argv[g.line.argc]);
	assert_null(g.owner_hint);
	guest_fini(&g);

	snprintf(pid, sizeof(pid), "%d", (int)p.pid);
	must_find(&g, pid);
	assert_string_equal(g.name, "vmferry-disc-1");
	guest_fini(&g);

	/* our own connection q occupies the monitor: who listens can be told all the same */
	must_find(&g, in_dir("a.qmp"));
	assert_int_equal(g.pid, p.pid);
	assert_string_equal(g.name, "vmferry-disc-1");
	guest_fini(&g);

	expect_not_found("vmferry-nobody", ENOENT, "vmferry-disc-1 (pid ");
	qmp_close(q);
	qemu_end(&p);
	expect_not_found(in_dir("a.qmp"), ENOENT, "no process listens");
}

static void same_name_twice_asks_for_the_pid(void **state)
{
	struct qemu_proc a = QEMU_PROC_NONE, b = QEMU_PROC_NONE;

	(void)state;
	qmp_close(start_and_open(&a, "-name vmferry-twin -qmp unix:@/a.qmp,server=on,wait=off", "a.qmp"));
	qmp_close(start_and_open(&b, "-name vmferry-twin -qmp unix:@/b.qmp,server=on,wait=off", "b.qmp"));
	expect_not_found("vmferry-twin", EEXIST, "more than one guest is called vmferry-twin");
	qemu_end(&a);
	qemu_end(&b);
}

static void guest_without_monitor_gets_the_line_to_add(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e;

	(void)state;
	/* the monitor that does not count tells when QEMU is up: exec alone does not show its
	 * command line yet */
	start(&p, "-name vmferry-mute -M q35 -monitor unix:@/hmp,server=on,wait=off");
	while (access(in_dir("hmp"), F_OK) != 0 && loop_step(loop, 5, &e) == 0)
		;
	expect_not_found("vmferry-mute", ENXIO, "-qmp unix:/run/vmferry-mute.qmp,server=on,wait=off");
	qemu_end(&p);
}

static void socket_of_something_else_is_refused(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", in_dir("other"));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	expect_not_found(in_dir("other"), EINVAL, "which is not a QEMU");
	close(fd);
	expect_not_found(in_dir("missing"), ENOENT, "missing");
}

static void second_monitor_is_used_when_the_first_is_taken(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct qmp *q, *second = NULL;
	struct guest g;

	(void)state;
	q = start_and_open(&p,
			   "-name vmferry-two -qmp unix:@/a.qmp,server=on,wait=off "
			   "-chardev socket,id=m,path=@/b.qmp,server=on,wait=off -mon chardev=m,mode=control",
			   "a.qmp");
	must_find(&g, "vmferry-two");
	assert_int_equal(g.qmp.count, 2);
	assert_string_equal(g.qmp.path, in_dir("a.qmp"));
	if (guest_open_qmp(&g, &second, loop, 300, NULL, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(g.qmp.path, in_dir("b.qmp"));
	guest_fini(&g);
	qmp_close(second);
	qmp_close(q);
	qemu_end(&p);
}

/* Finds the disk whose file has this basename. */
static const struct guest_disk *disk_of(const struct guest *g, const char *file)
{
	size_t i;

	for (i = 0; i < g->disk_count; i++)
		if (g->disks[i].file && !strcmp(strrchr(g->disks[i].file, '/') + 1, file))
			return &g->disks[i];
	fail_msg("no disk %s", file);
	return NULL;
}

static void disks_memory_and_machine_are_described(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	const struct guest_disk *d;
	struct err e = {.code = 0};
	struct guest g;
	struct qmp *q;
	size_t i, empty = 0;

	(void)state;
	shell("truncate -s 8M raw && dd if=/dev/urandom of=raw bs=64k count=4 conv=notrunc && ln "
	      "-s raw link && truncate -s 1M iso");
	image("create -f qcow2 -o cluster_size=131072 qcow2 32M");
	image("snapshot -c s1 qcow2");
	image("create -f raw base 16M");
	image("create -f qcow2 -b base -F raw over");
	q = start_and_open(&p,
			   "-name vmferry-disks -M q35 -qmp unix:@/a.qmp,server=on,wait=off "
			   "-drive file=@/link,format=raw,if=virtio,id=sys "
			   "-blockdev driver=file,filename=@/qcow2,node-name=f1 -blockdev "
			   "driver=qcow2,file=f1,node-name=d1 "
			   "-device virtio-blk-pci,drive=d1,id=vd1 "
			   "-drive file=@/over,format=qcow2,if=virtio "
			   "-drive file=@/iso,format=raw,if=none,id=cd,media=cdrom,readonly=on "
			   "-device ide-cd,drive=cd "
			   "-device ide-cd,bus=ide.1",
			   "a.qmp");
	must_find(&g, "vmferry-disks");
	if (guest_query(&g, q, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(strncmp(g.machine, "pc-q35-", 7), 0);
	assert_null(strstr(g.machine, "machine"));
	assert_true(g.version.major >= 7);
	assert_string_equal(g.status, "running");
	assert_int_equal(g.ram_bytes, 64 * MIB);
	assert_string_equal(g.cpu.accel, "tcg");
	assert_int_equal(g.cpu.count, 1);
	assert_string_equal(g.cpu.model, "qemu64");

	d = disk_of(&g, "link");
	assert_string_equal(d->real_path, in_dir("raw"));
	assert_string_equal(d->format, "raw");
	assert_string_equal(d->drive_id, "sys");
	assert_non_null(d->node);
	assert_non_null(d->qdev);
	assert_int_equal(d->virtual_size, 8 * MIB);
	assert_true(d->allocated >= 256 * KIB && d->allocated < 1 * MIB);
	assert_false(d->read_only || d->chain_count || d->block_device);

	d = disk_of(&g, "qcow2");
	assert_string_equal(d->node, "d1");
	assert_string_equal(d->format, "qcow2");
	assert_null(d->drive_id);
	assert_string_equal(d->qdev, "/machine/peripheral/vd1/virtio-backend");
	assert_int_equal(d->cluster_size, 131072);
	assert_int_equal(d->lacks.snapshots, 1);

	d = disk_of(&g, "over");
	assert_int_equal(d->chain_count, 1);
	assert_string_equal(d->chain[0].real_path, in_dir("base"));

	d = disk_of(&g, "iso");
	assert_true(d->read_only && d->removable);
	for (i = 0; i < g.disk_count; i++)
		empty += g.disks[i].removable_empty;
	assert_int_equal(empty, 1);

	/* a second time must not leak or double anything */
	i = g.disk_count;
	assert_int_equal(guest_query(&g, q, &e), 0);
	assert_int_equal(g.disk_count, i);
	guest_fini(&g);
	qmp_close(q);
	qemu_end(&p);
}

/* A guest as libvirt 11.3 starts it, or did before it became a plain one, with that line; for other guests the format is what QEMU reports. */
static void a_raw_image_of_libvirts_has_no_node_of_its_format(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct guest g;
	struct qmp *q;
	int by;

	(void)state;
	shell("truncate -s 8M raw");
	image("create -f raw base 16M");
	image("create -f qcow2 -b base -F raw over");
	q = start_and_open(&p,
			   "-name vmferry-formats -M q35 -qmp unix:@/a.qmp,server=on,wait=off "
			   "-blockdev driver=file,filename=@/raw,node-name=d1 -device virtio-blk-pci,drive=d1 "
			   "-blockdev driver=file,filename=@/base,node-name=b2 -blockdev driver=file,filename=@/over,node-name=f2 "
			   "-blockdev driver=qcow2,file=f2,backing=b2,node-name=d2 -device virtio-blk-pci,drive=d2",
			   "a.qmp");
	must_find(&g, "vmferry-formats");
	for (by = 0; by < 3; by++) {
		const char *format = by ? "raw" : "file";

		free(g.owner_hint);
		g.owner_hint = by == 1 ? xstrdup("libvirt") : NULL;
		if (by == 2)
			words_add(&g.line.argv, &g.line.argc, xstrdup("{\"driver\":\"file\",\"node-name\":\"libvirt-1-storage\"}"));
		if (guest_query(&g, q, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(disk_of(&g, "raw")->format, format);
		assert_int_equal(guest_disk_movable(disk_of(&g, "raw"), 0, &e), by ? 0 : -ENOTSUP);
		assert_string_equal(disk_of(&g, "over")->format, "qcow2");
		assert_string_equal(disk_of(&g, "over")->chain[0].format, format);
	}
	guest_fini(&g);
	qmp_close(q);
	qemu_end(&p);
}

static void relative_paths_of_a_daemonized_guest_are_found(void **state)
{
	/* the name has our pid, as a killed test may have left another daemon */
	AUTO_FREE char *name = xasprintf("vmferry-daemon-%d", getpid());
	/* the PWD is another name of the same directory, which shows whose value was used */
	AUTO_FREE char *command =
		xasprintf("ln -s . here && cd here && export PWD && %s -daemonize -name %s -accel tcg -m 32 -display none "
			  "-nodefaults -qmp unix:rel.qmp,server=on,wait=off -drive "
			  "file=rel.img,format=raw,if=virtio",
			  exe, name);
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct guest g;
	struct qmp *q;

	(void)state;
	shell("truncate -s 1M rel.img");
	shell(command);
	must_find(&g, name);
	assert_string_equal(g.cwd, dir);
	assert_string_equal(g.qmp.path, in_dir("rel.qmp"));
	if (guest_open_qmp(&g, &q, loop, 5000, NULL, NULL, &e) < 0 || guest_query(&g, q, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(g.disks[0].real_path, in_dir("rel.img"));
	p.pid = g.pid;
	p.start_time = g.start_time;
	guest_fini(&g);
	qmp_close(q);
	qemu_end(&p);
}

static void directory_is(const char *path, const char *word, const char *directory)
{
	char *words[] = {"qemu", "-drive", (char *)word, NULL};
	size_t end = 0;

	assert_int_equal(start_dir_of_file(path, words, 3, &end), directory != NULL);
	if (directory) {
		assert_int_equal(end, strlen(directory));
		assert_memory_equal(path, directory, end);
	}
}

static void a_relative_name_of_an_open_file_says_where_qemu_was(void **state)
{
	(void)state;
	directory_is("/srv/vm/d.img", "file=d.img,format=raw", "/srv/vm");
	directory_is("/srv/vm/d.img", "d.img", "/srv/vm");
	directory_is("/srv/vm/sub/d.img", "if=virtio,file=sub/d.img", "/srv/vm");
	directory_is("/srv/vm/d.img", "{\"driver\": \"file\", \"filename\": \"d.img\"}", "/srv/vm");
	directory_is("/d.img", "d.img", NULL);
	directory_is("/srv/vm/d.img", "file=/srv/vm/d.img", NULL);
	directory_is("/srv/vm/d.img", "id=d.img,file=/srv/vm/d.img", NULL);
	directory_is("/srv/vm/d.img", "file=old-d.img", NULL);
	directory_is("/srv/vm/d.img", "file=d.img.old", NULL);
	directory_is("/srv/vm/sub/d.img", "file=/srv/sub/d.img", NULL);
	directory_is("pipe:[1]", "pipe:[1]", NULL);
}

/* -debugcon makes a device with an id, which no -device has. */
static void a_debug_console_of_the_line_was_not_plugged_in(void **state)
{
	char *words[] = {"qemu-system-x86_64", "-debugcon", "stdio", NULL};
	struct guest g = {.name = "a", .line = {.expanded = words, .expanded_count = 3}};
	json_auto_t *present = json_pack("[{s:s,s:s}]", "name", "debugcon", "type", "child<isa-debugcon>");
	struct err e;

	(void)state;
	assert_int_equal(guest_check_devices(&g, present, &e), 0);
	g.line.expanded_count = 1;
	assert_int_equal(guest_check_devices(&g, present, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "device debugcon (isa-debugcon) was plugged in"));
}

static void processors_are_described(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct guest g;
	struct qmp *q;

	(void)state;
	q = start_and_open(&p, "-name vmferry-processors -M q35 -cpu max -smp 3 -qmp unix:@/a.qmp,server=on,wait=off", "a.qmp");
	must_find(&g, "vmferry-processors");
	g.deadline_ms = 5000;
	if (guest_query(&g, q, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(g.cpu.count, 3);
	assert_string_equal(g.cpu.model, "max");
	guest_fini(&g);
	qmp_close(q);
	qemu_end(&p);
}

static void guest_of_a_config_file_is_found_by_what_is_in_it(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct guest g;
	struct qmp *q;

	(void)state;
	shell("(printf '[name]\\nguest = \"vmferry-config\"\\n[chardev \"m\"]\\nbackend = \"socket\"\\npath = \"'$PWD'/c.qmp\"\\n"
	      "server = \"on\"\\nwait = \"off\"\\n[mon]\\nmode = \"control\"\\nchardev = \"m\"\\n' > vm.cfg)");
	q = start_and_open(&p, "-M q35 -readconfig @/vm.cfg", "c.qmp");
	must_find(&g, "vmferry-config");
	assert_int_equal(g.line.config_count, 1);
	assert_string_equal(g.qmp.path, in_dir("c.qmp"));
	guest_fini(&g);
	/* the file has changed since QEMU read it */
	shell("touch -d '+1 hour' vm.cfg");
	expect_not_found("vmferry-config", ENOENT, "qemu-");
	qmp_close(q);
	qemu_end(&p);
}

static void disks_that_a_copy_would_spoil_are_named(void **state)
{
	const struct guest_disk good = {.real_path = "/d", .format = "raw"};
	struct guest_disk bad = good;
	struct err e;

	(void)state;
	assert_int_equal(guest_disk_movable(&good, 0, &e), 0);
	bad.format = "vmdk";
	assert_int_equal(guest_disk_movable(&bad, 0, &e), -ENOTSUP);
	assert_string_equal(e.msg, "disk /d has a format that cannot be moved (raw and qcow2 can)");
	bad.read_only = true;
	assert_int_equal(guest_disk_movable(&bad, 0, &e), 0);
	bad = (struct guest_disk){.node = "n0", .format = "raw"};
	assert_int_equal(guest_disk_movable(&bad, 0, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "disk n0 is no file with a name here"));
	bad = good;
	bad.lacks.snapshots = bad.lacks.bitmaps = 1;
	assert_int_equal(guest_disk_movable(&bad, 0, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--drop=snapshots"));
	assert_int_equal(guest_disk_movable(&bad, DISK_ACCEPT_SNAPSHOTS, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--drop=bitmaps"));
	assert_int_equal(guest_disk_movable(&bad, DISK_ACCEPT_SNAPSHOTS | DISK_ACCEPT_BITMAPS, &e), 0);
}

static void a_part_of_a_file_is_a_disk_where_the_line_can_follow(void **state)
{
	struct guest_disk d = {.real_path = "/d", .format = "raw", .bounds.begins_later = true};
	struct err e;

	(void)state;
	assert_int_equal(guest_disk_movable(&d, DISK_ACCEPT_PART, &e), 0);
	assert_int_equal(guest_disk_movable(&d, 0, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "begins in the middle of its file"));
	d.named_by_json = true; /* by more than the raw driver */
	assert_int_equal(guest_disk_movable(&d, DISK_ACCEPT_PART, &e), -ENOTSUP);
	d = (struct guest_disk){.real_path = "/d", .format = "qcow2", .bounds.ends_below = true};
	assert_int_equal(guest_disk_movable(&d, DISK_ACCEPT_PART, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "lies in a part of its file"));
}

static void what_was_found_starts_again_as_a_destination(void **state)
{
	struct qemu_proc src = QEMU_PROC_NONE, dst = QEMU_PROC_NONE;
	struct args_map map[2];
	struct args_options o = {.disks = map, .disk_count = 2};
	AUTO_FREE char *module_dir = NULL;
	char *env[2] = {NULL, NULL};
	struct args_result r;
	struct err e = {.code = 0};
	struct qmp *q, *dq = NULL;
	struct guest g;
	json_t *status;

	(void)state;
	shell("mkdir d && truncate -s 8M raw d/raw2");
	image("create -f qcow2 qcow2 32M");
	image("create -f qcow2 d/qcow2 32M");
	q = start_and_open(&src,
			   "-name vmferry-again -M q35 -qmp unix:@/a.qmp,server=on,wait=off "
			   "-drive file=@/raw,if=virtio "
			   "-blockdev "
			   "{\"driver\":\"qcow2\",\"node-name\":\"d1\",\"file\":{\"driver\":"
			   "\"file\",\"filename\":\"@/qcow2\"}} "
			   "-device virtio-blk-pci,drive=d1 -serial unix:@/ser,server=on,wait=off "
			   "-chardev file,id=c0,path=@/con,logfile=@/conlog -device virtio-serial "
			   "-device virtconsole,chardev=c0 "
			   "-vnc unix:@/vnc -D @/qemu.log -pidfile @/pid",
			   "a.qmp");
	must_find(&g, "vmferry-again");
	if (guest_query(&g, q, &e) < 0)
		fail_msg("%s", e.msg);
	map[0] = (struct args_map){.from = disk_of(&g, "raw")->real_path, .to = in_dir("d/raw2"), .format = "raw"};
	map[1] = (struct args_map){.from = disk_of(&g, "qcow2")->file, .to = in_dir("d/qcow2"), .format = "qcow2"};
	o.socket_dir = in_dir("d");
	o.machine = g.machine;
	o.private_qmp = in_dir("d/vmferry.qmp");
	o.cwd = g.cwd;
	if (qemu_args_rewrite(&r, g.line.argv, g.line.argc, &o, &e) < 0)
		fail_msg("%s", e.msg);
	if (g.env.module_dir)
		env[0] = module_dir = xasprintf("QEMU_MODULE_DIR=%s", g.env.module_dir);
	if (qemu_launch(&dst, g.exe, r.argv, env, NULL, NULL, NULL, &e) < 0 ||
	    qemu_launch_wait_qmp(&dst, loop, o.private_qmp, 20000, NULL, NULL, &dq, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(qmp_call(dq, "query-status", NULL, &status, &e), 0);
	assert_string_equal(json_string_value(json_object_get(status, "status")), "inmigrate");
	json_decref(status);
	assert_int_equal(access(in_dir("d/ser"), F_OK), 0);
	assert_int_equal(access(in_dir("d/vnc"), F_OK), 0);
	assert_int_equal(access(in_dir("d/conlog"), F_OK), 0);
	args_result_fini(&r);
	guest_fini(&g);
	qmp_close(dq);
	qmp_close(q);
	qemu_end(&dst);
	qemu_end(&src);
}

/* Launching */

static void unknown_option_is_reported_from_the_log(void **state)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct qmp *q = NULL;

	(void)state;
	start(&p, "-no-such-option");
	assert_int_equal(qemu_launch_wait_qmp(&p, loop, in_dir("a.qmp"), 20000, NULL, NULL, &q, &e), -ECHILD);
	assert_non_null(strstr(e.msg, "status 1"));
	assert_non_null(strstr(e.msg, "-no-such-option: invalid option"));
	assert_int_equal(p.pid, 0);
	qemu_end(&p);
}

static void missing_binary_fails_at_once(void **state)
{
	char *argv[] = {"qemu", NULL};
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};

	(void)state;
	assert_int_equal(qemu_launch(&p, "/nonexistent/qemu", argv, NULL, NULL, NULL, NULL, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent/qemu (exec)"));
	assert_int_equal(p.pid, 0);
}

static void child_has_its_own_session_and_nothing_of_ours(void **state)
{
	char *argv[] = {"sh", "-c",
			"ls /proc/$$/fd; echo cwd $PWD $A $B $SSH_AUTH_SOCK; "
			"cut -d' ' -f5,6 /proc/$$/stat; echo pid $$; kill -HUP $$",
			NULL};
	char *env[] = {"A=one", "B=two", NULL};
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct qmp *q = NULL;
	int extra = dup(0);
	AUTO_FREE char *want = NULL;

	(void)state;
	setenv("B", "old", 1);
	setenv("SSH_AUTH_SOCK", "ours", 1);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(qemu_launch(&p, "/bin/sh", argv, env, NULL, NULL, NULL, &e), 0);
	want = xasprintf("0 / 1 / 2 / cwd / one two / %d %d / pid %d", p.pid, p.pid, p.pid);
	assert_int_equal(qemu_launch_wait_qmp(&p, loop, in_dir("x.qmp"), 20000, NULL, NULL, &q, &e), -ECHILD);
	if (!strstr(e.msg, "signal 1") || !strstr(e.msg, want))
		fail_msg("%s\nwant %s", e.msg, want);
	signal(SIGHUP, SIG_DFL);
	close(extra);
}

static void what_it_says_is_kept_but_not_without_end(void **state)
{
	char *argv[] = {"sh", "-c", "head -c 100000000 /dev/zero; head -c 300000 /dev/zero >&2; sleep 1000", NULL};
	char *few[] = {"sh", "-c", "echo one; echo two >&2; exit 3", NULL};
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct qmp *q = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(qemu_launch(&p, "/bin/sh", argv, NULL, NULL, NULL, NULL, &e), 0);
	while (lseek(p.log_fd, 0, SEEK_CUR) < LOG_BYTES_MAX)
		poll(NULL, 0, 5);
	assert_int_equal(qemu_launch_wait_qmp(&p, loop, in_dir("x.qmp"), 200, NULL, NULL, &q, &e), -ETIMEDOUT);
	assert_int_equal(fstat(p.log_fd, &st), 0);
	assert_int_equal(st.st_size, LOG_BYTES_MAX);
	qemu_end(&p);
	assert_int_equal(qemu_launch(&p, "/bin/sh", few, NULL, NULL, NULL, NULL, &e), 0);
	assert_int_equal(qemu_launch_wait_qmp(&p, loop, in_dir("x.qmp"), 20000, NULL, NULL, &q, &e), -ECHILD);
	assert_non_null(strstr(e.msg, "status 3 while starting: one / two"));
}

static void only_the_process_of_that_start_time_is_ended(void **state)
{
	char *argv[] = {"sleep", "1000", NULL};
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	uint64_t start_time;

	(void)state;
	assert_int_equal(qemu_launch(&p, "/bin/sleep", argv, NULL, NULL, NULL, NULL, &e), 0);
	assert_true(qemu_is_alive(p.pid, p.start_time));
	assert_false(qemu_is_alive(p.pid, p.start_time + 1));
	assert_int_equal(process_end(p.pid, p.start_time + 1, 1000, &e), 0);
	assert_true(qemu_is_alive(p.pid, p.start_time));
	kill(p.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)p.pid, &(siginfo_t){.si_pid = 0}, WEXITED | WNOWAIT), 0);
	/* a zombie is still in /proc, but not alive */
	assert_int_equal(process_start_time(p.pid, &start_time), 0);
	assert_false(qemu_is_alive(p.pid, p.start_time));
	assert_int_equal(process_end(p.pid, p.start_time, 1000, &e), 0);
	assert_int_equal(process_start_time(p.pid, &start_time), -ESRCH);
	assert_int_equal(process_end(p.pid, p.start_time, 1000, &e), 0);
	qemu_end(&p);
}

static void a_process_of_which_nothing_can_be_told_is_not_taken_for_gone(void **state)
{
	char *argv[] = {"sleep", "1000", NULL};
	struct qemu_proc p = QEMU_PROC_NONE;
	struct err e = {.code = 0};
	struct rlimit was, none;
	int pidfd;

	(void)state;
	assert_int_equal(qemu_launch(&p, "/bin/sleep", argv, NULL, NULL, NULL, NULL, &e), 0);
	assert_int_equal(process_hold(p.pid, p.start_time, 1000, &e), 0);
	assert_true(process_is_held(p.pid, p.start_time));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(qemu_is_alive(p.pid, p.start_time));
	assert_false(process_is_held(p.pid, p.start_time));
	assert_int_equal(process_hold(p.pid, p.start_time, 1000, &e), -EMFILE);
	assert_int_equal(process_end(p.pid, p.start_time, 1000, &e), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	/* one descriptor is left: for the pidfd, but not for reading the start time */
	pidfd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(pidfd >= 0);
	close(pidfd);
	none.rlim_cur = (rlim_t)pidfd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(process_end(p.pid, p.start_time, 1000, &e), -EMFILE);
	assert_false(process_is_held(p.pid, p.start_time)); /* nor for those of its threads */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(process_is_held(p.pid, p.start_time));
	qemu_end(&p);
}

/* ---- whose process it is ---- */

/* A child that opens the file, and then is that user's (0: still ours), in a pid namespace of its own or not; it lasts until killed. */
static pid_t opener(const char *path, int flags, uid_t user, bool in_container)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), fds[2];
	char ready;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	if (in_container)
		assert_int_equal(unshare(CLONE_NEWPID), 0);
	pid = fork();
	if (!pid) {
		if (open(path, flags) < 0 || (user && setresuid(user, user, user)) || write(fds[1], "!", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (in_container)
		assert_int_equal(setns(own, CLONE_NEWPID), 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], &ready, 1), 1);
	close(fds[0]);
	close(own);
	return pid;
}

static void must_tell(const char *path, int flags, uid_t user, bool in_container, bool ours, bool may_run)
{
	pid_t pid = opener(path, flags, user, in_container);

	assert_int_equal(process_is_ours(pid) > 0, ours);
	assert_true(process_has_open(pid, path));
	assert_int_equal(process_may_run_from(pid, path), may_run);
	assert_int_equal(process_that_may_run_from(path, 0, 0), may_run ? pid : 0);
	assert_int_equal(process_that_may_run_from(path, pid, 0), 0);
	assert_int_equal(process_that_may_run_from(path, 0, pid), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void who_only_reads_an_image_of_ours_runs_no_guest_from_it(void **state)
{
	(void)state;
	shell("truncate -s 1M image");
	must_tell(in_dir("image"), O_RDONLY, 0, false, true, true);
	if (geteuid()) {
		puts("skipped: only root can start processes of others");
		return;
	}
	must_tell(in_dir("image"), O_RDONLY, 65534, false, false, false);
	must_tell(in_dir("image"), O_RDWR, 65534, false, false, true);
	must_tell(in_dir("image"), O_RDONLY, 0, true, false, false);
	must_tell(in_dir("image"), O_WRONLY, 0, true, false, true);
}

/* Around them */

static bool find_qemu(void)
{
	const char *given = getenv("VMFERRY_QEMU");
	char *slash;

	if (!realpath(given ? given : "build/qemu/bin/qemu-system-x86_64", exe) && !realpath("/usr/bin/qemu-system-x86_64", exe))
		return false;
	snprintf(img, sizeof(img), "%s", exe);
	slash = strrchr(img, '/');
	snprintf(slash, sizeof(img) - (size_t)(slash - img), "/qemu-img");
	return access(exe, X_OK) == 0 && access(img, X_OK) == 0;
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	strcpy(dir, "/tmp/vmferry-disc-XXXXXX");
	return mkdtemp(dir) ? loop_new(&loop, 64, &e) : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf %s", dir);

	(void)state;
	loop_free(loop);
	return system(command);
}

/* A descriptor's number of another process means another file to us. */
static void names_of_its_own_descriptors_are_its(void **state)
{
	static const char *const names[][2] = {{"/dev/fd/3", "/proc/7/fd/3"},
					       {"/proc/self/fd/3", "/proc/7/fd/3"},
					       {"/dev/stdin", "/proc/7/fd/0"},
					       {"/dev/sda", "/dev/sda"},
					       {"a.img", "/srv/a.img"}};
	struct guest g = {.pid = 7, .cwd = (char *)"/srv"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = guest_path(&g, names[i][0]);

		assert_string_equal(path, names[i][1]);
	}
}

/* QEMU has it open all the same, and the guest reads it. */
static void a_medium_whose_file_has_no_name_any_more_is_inserted(void **state)
{
	struct guest_disk cd = {.file = (char *)"x.iso", .removable = true};
	struct guest g = {.cwd = (char *)"/nowhere", .disks = &cd, .disk_count = 1};

	(void)state;
	assert_true(guest_is_inserted(&g, "/nowhere/x.iso"));
	assert_false(guest_is_inserted(&g, "/elsewhere/x.iso"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_medium_whose_file_has_no_name_any_more_is_inserted),
		TEST(finds_by_name_pid_and_socket),
		TEST(same_name_twice_asks_for_the_pid),
		TEST(guest_without_monitor_gets_the_line_to_add),
		TEST(socket_of_something_else_is_refused),
		TEST(second_monitor_is_used_when_the_first_is_taken),
		TEST(disks_memory_and_machine_are_described),
		TEST(a_raw_image_of_libvirts_has_no_node_of_its_format),
		TEST(relative_paths_of_a_daemonized_guest_are_found),
		TEST(a_relative_name_of_an_open_file_says_where_qemu_was),
		TEST(a_debug_console_of_the_line_was_not_plugged_in),
		TEST(processors_are_described),
		TEST(guest_of_a_config_file_is_found_by_what_is_in_it),
		TEST(names_of_its_own_descriptors_are_its),
		TEST(disks_that_a_copy_would_spoil_are_named),
		TEST(a_part_of_a_file_is_a_disk_where_the_line_can_follow),
		TEST(what_was_found_starts_again_as_a_destination),
		TEST(unknown_option_is_reported_from_the_log),
		TEST(missing_binary_fails_at_once),
		TEST(child_has_its_own_session_and_nothing_of_ours),
		TEST(what_it_says_is_kept_but_not_without_end),
		TEST(only_the_process_of_that_start_time_is_ended),
		TEST(a_process_of_which_nothing_can_be_told_is_not_taken_for_gone),
		TEST(who_only_reads_an_image_of_ours_runs_no_guest_from_it),
	};

	signal(SIGPIPE, SIG_IGN);
	if (!find_qemu()) {
		puts("skipped: no qemu-system-x86_64 with qemu-img beside it "
		     "(scripts/install-deps)");
		return 77;
	}
	return cmocka_run_group_tests_name("qemu-discover", tests, NULL, NULL);
}
