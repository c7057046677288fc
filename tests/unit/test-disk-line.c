/* test-disk-line.c: one disk of a command line, found, read, and given another image, with nothing else of the line changed. */
#include "disk-line.h"
#include "qemu-args.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_old(void *ctx, const char *path)
{
	(void)ctx;
	return !strcmp(path, "/a/old");
}

/* "-drive x" and so on, cut at blanks. */
struct words {
	char *text, *argv[32];
	size_t argc;
};

static void cut(struct words *w, const char *line)
{
	char *rest, *word;

	*w = (struct words){.text = xstrdup(line)};
	for (rest = w->text; (word = strsep(&rest, " "));)
		w->argv[w->argc++] = word;
}

static char *joined(char *const *argv, size_t argc)
{
	char *out = xstrdup(""), *longer;
	size_t i;

	for (i = 0; i < argc; i++) {
		longer = xasprintf("%s%s%s", out, i ? " " : "", argv[i]);
		free(out);
		out = longer;
	}
	return out;
}

static void change_to(const char *line, const struct disk_line_change *c, const char *expected)
{
	AUTO_FREE char *is = NULL;
	struct words w;
	char **out;
	size_t count;
	struct err e;

	cut(&w, line);
	assert_int_equal(disk_line_change(w.argv, w.argc, c, &out, &count, NULL, &e), 1);
	is = joined(out, count);
	assert_string_equal(is, expected);
	assert_null(out[count]);
	args_free_strings(out, count);
	free(w.text);
}

static void becomes(const char *line, const char *to, const char *format, bool device, const char *expected)
{
	struct disk_line_change c = {.is_it = is_old, .to = to, .format = format, .to_device = device};

	change_to(line, &c, expected);
}

static void refused_as(const char *line, const char *format, const char *why)
{
	struct disk_line_change c = {.is_it = is_old, .to = "/b/new", .format = format};
	struct words w;
	char **out;
	size_t count;
	struct err e;

	cut(&w, line);
	assert_int_equal(disk_line_change(w.argv, w.argc, &c, &out, &count, NULL, &e), -ENOTSUP);
	if (!strstr(e.msg, why))
		fail_msg("no '%s' in: %s", why, e.msg);
	free(w.text);
}

static void refused(const char *line, const char *why)
{
	refused_as(line, "qcow2", why);
}

static struct disk_line_options options_of(const char *line)
{
	struct disk_line_change c = {.is_it = is_old};
	struct disk_line_options o = {.aio = "?"};
	struct words w;
	struct err e;

	cut(&w, line);
	assert_int_equal(disk_line_change(w.argv, w.argc, &c, NULL, NULL, &o, &e), 1);
	free(w.text);
	return o;
}

static void a_drive_gets_another_image(void **state)
{
	(void)state;
	becomes("q -m 64 -drive file=/a/old,format=raw,if=virtio,cache=none -drive file=/a/other,format=raw -S", "/b/new", "qcow2", false,
		"q -m 64 -drive file=/b/new,format=qcow2,if=virtio,cache=none -drive file=/a/other,format=raw -S");
	becomes("q -drive file=file:/a/old,id=x", "/b/n,w", "raw", false, "q -drive file=/b/n,,w,id=x,format=raw");
	becomes("q -drive driver=qcow2,file.filename=/a/old,file.driver=file,throttling.bps-read=5", "/dev/b", "raw", true,
		"q -drive driver=raw,file.filename=/dev/b,file.driver=host_device,throttling.bps-read=5");
	becomes("q -drive if=none,file.driver=host_device,file.filename=/a/old,format=raw", "/b/new", "raw", false,
		"q -drive if=none,file.driver=file,file.filename=/b/new,format=raw");
}

/* QEMU finds in the image of which format it is. */
static void a_plain_disk_gets_an_image_that_says_its_format(void **state)
{
	(void)state;
	becomes("q -hda /a/old -hdb /a/other", "/b/n,w", "qcow2", false, "q -hda /b/n,w -hdb /a/other");
	becomes("q /a/old", "/b/new", "qcow2", false, "q /b/new");
	becomes("q -pflash /a/old", "/b/new", "qcow2", false, "q -pflash /b/new");
}

static void an_overlay_takes_the_place_of_a_disk_by_either_name(void **state)
{
	static const char *const words[] = {"q", "-drive", "file=/a/old,format=raw,if=virtio"};
	size_t argc = 3, i;
	char **argv = calloc(4, sizeof(*argv));
	struct err e;

	(void)state;
	for (i = 0; i < argc; i++)
		argv[i] = strdup(words[i]);
	assert_int_equal(disk_line_overlay(&argv, &argc, "/a/link", "/a/other", "/b/new", &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "does not name disk /a/other"));
	assert_int_equal(disk_line_overlay(&argv, &argc, "/a/old", "/c/real", "/b/new", &e), 0);
	assert_string_equal(argv[2], "file=/b/new,format=qcow2,if=virtio");
	assert_int_equal(disk_line_overlay(&argv, &argc, NULL, "/b/new", "/d/new", &e), 0);
	assert_string_equal(argv[2], "file=/d/new,format=qcow2,if=virtio");
	args_free_strings(argv, argc);
}

static void a_drive_of_cdrom_gets_another_medium(void **state)
{
	(void)state;
	becomes("q -cdrom /a/old -hda /a/other", "/b/n,w", "raw", false, "q -cdrom /b/n,w -hda /a/other");
	refused("q -cdrom /a/old", "-cdrom, which has no place for its format"); /* qcow2 */
}

static void becomes_larger(const char *line, uint64_t shows, bool same_bytes, const char *expected)
{
	struct disk_line_change c =
		{.is_it = is_old, .to = "/dev/b", .format = "raw", .to_device = true, .shows = shows, .same_bytes = same_bytes};

	change_to(line, &c, expected);
}

static void a_larger_device_shows_the_disk_s_size(void **state)
{
	(void)state;
	becomes_larger("q -drive file=/a/old,format=raw,if=virtio", 512, false, "q -drive file=/dev/b,format=raw,if=virtio,size=512");
	becomes_larger("q -drive file=/a/old,format=raw,size=64M", 512, false, "q -drive file=/dev/b,format=raw,size=512");
	becomes_larger("q -drive file=/a/old,format=raw,size=64M", 0, false, "q -drive file=/dev/b,format=raw");
	becomes_larger("q -drive file=/a/old,format=raw,size=64M", 0, true, "q -drive file=/dev/b,format=raw,size=64M");
	becomes_larger("q -blockdev driver=raw,node-name=d,file=p -blockdev file,filename=/a/old,node-name=p", 512, false,
		       "q -blockdev driver=raw,node-name=d,file=p,size=512 -blockdev host_device,filename=/dev/b,node-name=p");
	becomes_larger("q -blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/a/old\"}}", 512, false,
		       "q -blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/b\"},\"size\":512}");
	becomes_larger("q -blockdev {\"driver\":\"raw\",\"size\":7,\"file\":{\"driver\":\"file\",\"filename\":\"/a/old\"}}", 0, false,
		       "q -blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/b\"}}");
}

static void a_part_of_a_file_becomes_a_disk_and_a_part_again(void **state)
{
	const struct disk_line_change back = {.is_it = is_old, .to = "/b/new", .format = "raw", .begins = 512, .shows = 1024};
	struct disk_line_options o = options_of("q -drive file=/a/old,format=raw,offset=3k,size=2M");

	(void)state;
	assert_int_equal(o.begins, 3072);
	assert_int_equal(o.shows, 2 << 20);
	o = options_of("q -blockdev file,filename=/a/old,node-name=p -blockdev driver=raw,file=p,node-name=d,offset=512");
	assert_int_equal(o.begins, 512);
	assert_int_equal(o.shows, 0);
	becomes("q -drive file=/a/old,format=raw,offset=3k,size=2M,id=x", "/b/new", "qcow2", false,
		"q -drive file=/b/new,format=qcow2,id=x");
	becomes("q -blockdev {\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"file\",\"filename\":\"/a/old\"}}", "/b/new", "raw",
		false, "q -blockdev {\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/b/new\"}}");
	becomes("q -blockdev driver=file,filename=/a/old,node-name=p -blockdev driver=raw,file=p,node-name=d,offset=512", "/b/new", "raw",
		false, "q -blockdev driver=file,filename=/b/new,node-name=p -blockdev driver=raw,file=p,node-name=d");
	change_to("q -drive file=/a/old,format=raw,id=x", &back, "q -drive file=/b/new,format=raw,id=x,offset=512,size=1024");
	becomes_larger("q -drive file=/a/old,format=raw,offset=512", 0, true, "q -drive file=/dev/b,format=raw,offset=512");
}

static void nodes_get_another_image(void **state)
{
	(void)state;
	becomes("q -blockdev driver=file,filename=/a/old,node-name=p -blockdev driver=raw,file=p,node-name=d,discard=unmap", "/b/new",
		"qcow2", false,
		"q -blockdev driver=file,filename=/b/new,node-name=p -blockdev driver=qcow2,file=p,node-name=d,discard=unmap");
	becomes("q -blockdev driver=qcow2,node-name=d,file=p -blockdev file,filename=/a/old,node-name=p", "/dev/b", "raw", true,
		"q -blockdev driver=raw,node-name=d,file=p -blockdev host_device,filename=/dev/b,node-name=p");
	becomes("q -blockdev {\"driver\":\"raw\",\"node-name\":\"d\",\"read-only\":false,\"file\":{\"driver\":\"file\",\"filename\":\"/a/old\"}}",
		"/b/new", "qcow2", false,
		"q -blockdev {\"driver\":\"qcow2\",\"node-name\":\"d\",\"read-only\":false,\"file\":{\"driver\":\"file\",\"filename\":\"/b/new\"}}");
}

static void what_names_it_not_is_left_alone(void **state)
{
	struct disk_line_change c = {.is_it = is_old, .to = "/b/new", .format = "raw"};
	char *argv[] = {"q", "-drive", "file=/a/other,l2-cache-size=1M", "-cdrom", "/a/old.iso", "-append", "-drive file=/a/old", NULL},
	     **out;
	size_t count;
	struct err e;

	(void)state;
	assert_int_equal(disk_line_change(argv, 7, &c, &out, &count, NULL, &e), 0);
}

static void what_another_image_would_change_is_refused(void **state)
{
	(void)state;
	refused("q -drive file=/a/old,format=raw,offset=0x200", "offset");
	refused("q -drive file=/a/old,format=raw,offset=0,size=1x", "size");
	refused("q -drive file=/a/old,format=qcow2,l2-cache-size=1M", "l2-cache-size");
	refused("q -drive file=/a/old,format=qcow2,backing.file.filename=/x", "backing.file.filename");
	refused("q -drive file=/a/old,format=vmdk", "vmdk");
	refused("q -drive file=/a/old,format=qcow2,snapshot=on", "snapshot");
	refused("q -drive file=/a/old,format=raw,copy-on-read=on", "copy-on-read");
	refused("q -drive file=/a/old,format=raw -drive file=/a/old,format=raw", "more than once");
	refused("q -drive file=/a/old,format=raw,id=d -set drive.d.format=raw", "-set");
	refused_as("q -hda /a/old", "raw", "-hda");
	refused_as("q /a/old", "raw", "no place for its format");
	refused_as("q -pflash /a/old", "raw", "-pflash");
	refused("q -blockdev driver=file,filename=/a/old,node-name=p", "that it has no format");
	refused("q -blockdev driver=file,filename=/a/old,node-name=p -blockdev driver=throttle,file=p,node-name=d", "throttle");
	refused("q -blockdev driver=qcow2,node-name=d,file.driver=raw,file.offset=512,file.filename=/a/old", "file.offset");
	refused("q -blockdev driver=file,filename=/a/old,node-name=p,x-check=on -blockdev driver=raw,file=p,node-name=d", "x-check");
	refused("q -blockdev driver=file,filename=/a/old,node-name=p -blockdev driver=raw,file=p,node-name=d -blockdev "
		"driver=raw,file=p,node-name=e",
		"several nodes");
	refused("q -blockdev driver=luks,node-name=d,file.driver=file,file.filename=/a/old", "luks");
}

static void how_it_is_used_is_read(void **state)
{
	struct disk_line_options o = options_of("q -drive file=/a/old,format=raw,aio=io_uring,discard=unmap");

	(void)state;
	assert_string_equal(o.aio, "io_uring");
	assert_true(o.unmap && o.file_unmap && !o.has_file_cache && !o.no_locking);
	o = options_of("q -drive file=/a/old,format=raw,discard=ignore,file.aio=native,file.locking=off");
	assert_string_equal(o.aio, "native");
	assert_true(!o.unmap && !o.file_unmap && o.no_locking);
	o = options_of("q -blockdev driver=file,filename=/a/old,node-name=p,aio=native,cache.direct=on,discard=unmap "
		       "-blockdev driver=raw,file=p,node-name=d,discard=ignore");
	assert_string_equal(o.aio, "native");
	assert_true(!o.unmap && o.file_unmap && o.has_file_cache && o.file_direct && !o.file_no_flush);
	o = options_of(
		"q -blockdev "
		"{\"driver\":\"qcow2\",\"node-name\":\"d\",\"discard\":\"unmap\",\"file\":{\"driver\":\"file\",\"filename\":\"/a/old\","
		"\"cache\":{\"no-flush\":true}}}");
	assert_string_equal(o.aio, "");
	assert_true(o.unmap && !o.file_unmap && o.has_file_cache && !o.file_direct && o.file_no_flush);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drive_gets_another_image),
		cmocka_unit_test(a_plain_disk_gets_an_image_that_says_its_format),
		cmocka_unit_test(an_overlay_takes_the_place_of_a_disk_by_either_name),
		cmocka_unit_test(a_drive_of_cdrom_gets_another_medium),
		cmocka_unit_test(a_larger_device_shows_the_disk_s_size),
		cmocka_unit_test(nodes_get_another_image),
		cmocka_unit_test(what_names_it_not_is_left_alone),
		cmocka_unit_test(what_another_image_would_change_is_refused),
		cmocka_unit_test(a_part_of_a_file_becomes_a_disk_and_a_part_again),
		cmocka_unit_test(how_it_is_used_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
