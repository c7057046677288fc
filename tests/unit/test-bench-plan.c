/* test-bench-plan.c: what a bench measures, in which order. */
#include "bench.h"
#include "room.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void tools_are_read_with_their_options(void **state)
{
	struct bench_plan p = {0};
	struct err e;
	unsigned i;

	(void)state;
	assert_int_equal(
		plan_tools(
			&p,
			"single,multifd+channels=8,multifd+zstd,multifd+zstd+channels=3,xbzrle,vmferry,vmferry+codec=none+tls+recheck=off+from=/x/y,"
			"multifd+tls,multifd+zstd+channels=4+tls,single+tls,xbzrle+tls,virsh+channels=3,vmferry+libvirt+channels=2",
			&e),
		0);
	assert_int_equal(p.tool_count, 13);
	assert_int_equal(p.tools[1].kind, TOOL_MULTIFD);
	assert_int_equal(p.tools[1].channels, 8);
	assert_int_equal(p.tools[2].kind, TOOL_ZSTD);
	assert_int_equal(p.tools[3].kind, TOOL_ZSTD);
	assert_int_equal(p.tools[3].channels, 3);
	assert_null(p.tools[5].codec);
	assert_false(p.tools[5].no_recheck);
	assert_true(p.tools[6].no_recheck);
	assert_false(p.tools[5].tls);
	assert_string_equal(p.tools[6].codec, "none");
	assert_true(p.tools[6].tls);
	assert_string_equal(p.tools[6].from, "/x/y");
	assert_false(p.tools[2].tls);
	assert_int_equal(p.tools[7].kind, TOOL_MULTIFD);
	assert_int_equal(p.tools[8].kind, TOOL_ZSTD);
	assert_int_equal(p.tools[8].channels, 4);
	for (i = 7; i < 11; i++)
		assert_true(p.tools[i].tls);
	assert_int_equal(p.tools[11].kind, TOOL_VIRSH);
	assert_int_equal(p.tools[11].channels, 3);
	assert_ptr_equal(plan_libvirt(&p), &p.tools[11]);
	assert_true(p.tools[12].libvirt);
	p.tools[11].libvirt = false;
	assert_ptr_equal(plan_libvirt(&p), &p.tools[12]);
	p.tool_count = 11;
	assert_null(plan_libvirt(&p));
	p.tool_count = 13;
	plan_fini(&p);
}

static void what_there_is_not_is_refused(void **state)
{
	static const char *const tools[] = {"",
					    "fast",
					    "vmferryx",
					    "single+channels=2",
					    "multifd+codec=lz4",
					    "multifd+recheck=off",
					    "vmferry+recheck=on",
					    "multifd+tls=on",
					    "tls+multifd",
					    "virsh+tls",
					    "virsh+codec=lz4",
					    "virsh+libvirt",
					    "multifd+libvirt",
					    "multifd+channels=0",
					    "multifd+channels=17",
					    "multifd+channels=",
					    "vmferry+",
					    "vmferry+codec=gzip",
					    "multifd,,single",
					    "vmferry+from=x",
					    "multifd+from=/x"};
	static const char *const links[] = {"", "1", "gbit", "-1gbit", "1gbitx", "99999999999gbit", "1kbit"};
	static const char *const decimals[] = {"", "x", "-1", "1x", "1e1", "inf", "nan", "0x1", " 1", ".", "1.2.3", "10000"};
	static const char *const mems[] = {"", "1M", "x", "-1G", "99999999G"};
	struct bench_plan p = {0};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(tools); i++) {
		assert_int_equal(plan_tools(&p, tools[i], &e), -EINVAL);
		plan_fini(&p);
		p = (struct bench_plan){0};
	}
	for (i = 0; i < ARRAY_LEN(links); i++)
		assert_int_equal(plan_links(&p, links[i], &e), -EINVAL);
	for (i = 0; i < ARRAY_LEN(mems); i++)
		assert_int_equal(plan_mems(&p, mems[i], &e), -EINVAL);
	for (i = 0; i < ARRAY_LEN(decimals); i++) {
		assert_int_equal(plan_delay(&p, decimals[i], &e), -EINVAL);
		assert_int_equal(plan_loss(&p, decimals[i], &e), -EINVAL);
	}
	assert_int_equal(plan_loss(&p, "100", &e), -EINVAL);
	assert_float_equal(p.delay_ms + p.loss_percent, 0, 0);
	assert_int_equal(plan_workloads(&p, "idle,nothing", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "idle=5", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "writer=", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "writer=1x", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "writer=-1", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "writ", &e), -EINVAL);
	assert_int_equal(plan_workloads(&p, "=5", &e), -EINVAL);
	assert_int_equal(plan_content(&p, "dead", &e), -EINVAL);
	assert_int_equal(plan_mems(&p, "1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G,1G", &e), -EINVAL);
	plan_fini(&p);
}

static void a_workload_may_have_another_rate(void **state)
{
	struct bench_plan p = {0};
	struct err e;
	unsigned i;

	(void)state;
	assert_int_equal(plan_workloads(&p, "writer,disk=90", &e), 0);
	assert_string_equal(p.workloads[1].name, "disk=90");
	assert_non_null(strstr(p.workloads[1].witness, "disk_rate=90"));
	assert_true(p.workloads[1].disk);
	for (i = 0; i < 100; i++)
		plan_workloads(&p, "writer=1,writer=2", &e); /* refused in the end, and nothing overflows */
	assert_int_equal(plan_workloads(&p, "writer=1,writer=2", &e), -EINVAL);
	plan_fini(&p);
}

static void a_link_carries_what_tcp_leaves_of_its_rate(void **state)
{
	(void)state;
	assert_float_equal(link_bytes_per_s("1gbit", false), 125e6 * 1448 / 1514, 1);
	assert_float_equal(link_bytes_per_s("1gbit", true), 125e6, 1); /* with loss each packet is counted with its headers */
	assert_float_equal(link_bytes_per_s("unshaped", false), 0, 0);
}

/* Each tool once in a round; another order in another round; the same for the same seed. */
static void the_order_is_random_and_can_be_had_again(void **state)
{
	unsigned order[BENCH_LIST_MAX], again[BENCH_LIST_MAX], round, i, seen, first = 0;
	struct bench_plan p = {.tool_count = 3, .seed = 7};

	(void)state;
	for (round = 0; round < 300; round++) {
		plan_order(&p, 1, round, order);
		plan_order(&p, 1, round, again);
		assert_memory_equal(order, again, 3 * sizeof(*order));
		for (i = seen = 0; i < 3; i++)
			seen |= 1u << order[i];
		assert_int_equal(seen, 7);
		first += order[0] == 0;
	}
	assert_in_range(first, 70, 130);
}

/* The plan's part of what the guest has, as far as the disk holds anything; all of that for a workload that is about the page cache. */
static void the_page_cache_is_of_what_the_disk_holds(void **state)
{
	struct bench_plan p = {.disks = 1, .disk_mib = 4096, .disk_data_mib = 200, .cached_percent = 80};
	unsigned load = bench_guest_load_mib(2048);
	struct workload w = {.cache = CACHE_LIVING};

	(void)state;
	assert_int_equal(load, 2048 - 160 - 170);
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), 200 - BENCH_WINDOWS_MIB);
	assert_int_equal(bench_guest_heap_mib(&p, &w, 2048), load - (200 - BENCH_WINDOWS_MIB));
	assert_int_equal(bench_guest_cached_percent(&p, &w, 2048), 8); /* the true share */
	p.disk_data_mib = 4000;
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), load * 80 / 100);
	assert_int_equal(bench_guest_heap_mib(&p, &w, 2048), load - load * 80 / 100);
	assert_int_equal(bench_guest_cached_percent(&p, &w, 2048), 80);
	p.cached_percent = 0;
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), 0);
	assert_int_equal(bench_guest_cached_percent(&p, &w, 2048), 0);
	p.cached_percent = 80;
	w.cache = CACHE_HALF;
	assert_int_equal(bench_guest_cached_percent(&p, &w, 2048), 50);
	w.cache = CACHE_NONE;
	assert_int_equal(bench_guest_cached_percent(&p, &w, 2048), 0);
	w.cache = CACHE_ALL;
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), 4000 - BENCH_WINDOWS_MIB);
	assert_int_equal(bench_guest_heap_mib(&p, &w, 2048), load / 2); /* the kernel keeps of it what fits */
	p.disks = 0;
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), 0);
	w.cache = CACHE_LIVING;
	p.disks = 1, p.content = CONTENT_NOISE;
	assert_int_equal(bench_guest_cache_mib(&p, &w, 2048), 0);
}

static void write_file(const char *dir, const char *name, char fill, size_t bytes)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name), *text = xmalloc(bytes);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	memset(text, fill, bytes);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	fclose(f);
}

/* Each file from a page of its own on, all of them, in the same order each time, and again when there are no more. */
static void a_plan_must_leave_room_to_others(void **state)
{
	struct bench_plan p = {.mem_mib = {1024, 512}, .mem_count = 2, .disks = 2, .disk_mib = 1024, .disk_data_mib = 192};
	struct room has = {.memory = 3 * GIB, .disk = GIB + 1024 * MIB};
	struct err e;

	(void)state;
	assert_int_equal(plan_fits(&p, 2, &has, "here", &e), 0);
	has.memory -= 1;
	assert_int_equal(plan_fits(&p, 2, &has, "here", &e), -ENOMEM);
	assert_non_null(strstr(e.msg, "2.0 GiB"));
	assert_int_equal(plan_fits(&p, 1, &has, "here", &e), 0);
	has.disk_is_memory = true;
	has.memory = 2 * GIB + 512 * MIB - 1;
	assert_int_equal(plan_fits(&p, 1, &has, "here", &e), -ENOMEM);
	has = (struct room){.memory = 3 * GIB, .disk = GIB + 1024 * MIB - 1};
	assert_int_equal(plan_fits(&p, 2, &has, "here", &e), -ENOSPC);
	has.disk = GIB + 512 * MIB;
	assert_int_equal(plan_fits(&p, 1, &has, "here", &e), 0);
	assert_int_equal(plan_workloads(&p, "database", &e), 0);
	assert_int_equal(plan_fits(&p, 1, &has, "here", &e), -ENOSPC); /* one more disk, whose file system may become full */
	has.disk += GIB;
	assert_int_equal(plan_fits(&p, 1, &has, "here", &e), 0);
}

static void nothing_lives_without_data_on_a_disk(void **state)
{
	struct bench_plan p = {.disks = 1, .disk_mib = 64, .disk_data_mib = 8, .content = CONTENT_LIVING};
	json_t *o;

	(void)state;
	assert_int_equal(plan_really(&p), CONTENT_LIVING);
	p.disks = 0;
	assert_int_equal(plan_really(&p), CONTENT_NOISE);
	p.disks = 1, p.disk_data_mib = 0;
	assert_int_equal(plan_really(&p), CONTENT_NOISE);
	o = plan_json(&p);
	assert_string_equal(json_string_value(json_object_get(o, "content")), "noise");
	json_decref(o);
	p.content = CONTENT_ZEROS;
	assert_int_equal(plan_really(&p), CONTENT_ZEROS);
}

static void disks_are_filled_with_files(void **state)
{
	char dir[] = "/tmp/vmferry-test.XXXXXX", clear[64];
	uint8_t one[16 * 4096], two[16 * 4096];
	struct content *c;
	unsigned pages[256] = {0}, i, j;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(content_open(&c, CONTENT_LIVING, dir, &e), -ENOENT);
	write_file(dir, "a", 'a', 4096);
	write_file(dir, "b", 'b', 2 * 4096 + 1);
	write_file(dir, "small", 's', 4095);
	write_file(dir, "c", 'c', 3 * 4096);
	for (i = 0; i < 2; i++) {
		assert_int_equal(content_open(&c, CONTENT_LIVING, dir, &e), 0);
		content_read(c, i ? two : one, 4096);
		content_read(c, (i ? two : one) + 4096, 15 * 4096);
		content_close(c);
	}
	assert_memory_equal(one, two, sizeof(one));
	for (i = 0; i < 16; i++)
		pages[one[i * 4096]]++;
	assert_int_equal(pages['s'], 0);
	assert_int_equal(pages['a'] + pages['b'] + pages['c'], 16);
	assert_true(pages['a'] >= 2 && pages['b'] >= 4 && pages['c'] >= 4);
	for (i = 0; i < 16 * 4096; i += 4096)
		if (one[i] == 'b' && !one[i + 4095])
			for (j = 1; j < 4096; j++)
				assert_int_equal(one[i + j], 0);
	snprintf(clear, sizeof(clear), "rm -r %s", dir);
	assert_int_equal(system(clear), 0);
}

static bool is_zeros(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* Noise and zeros need no file. Three of four pages of noise all differ. */
static void disks_are_filled_with_noise_or_zeros(void **state)
{
	uint8_t buf[8 * 4096];
	struct content *c;
	struct err e;
	unsigned i, j;

	(void)state;
	assert_int_equal(content_open(&c, CONTENT_NOISE, "/nonexistent", &e), 0);
	content_read(c, buf, sizeof(buf));
	content_close(c);
	for (i = 1; i < 8; i++)
		for (j = 0; i % 4 && j < i; j++)
			assert_memory_not_equal(buf + (size_t)i * 4096, buf + (size_t)j * 4096, 4096);
	assert_int_equal(content_open(&c, CONTENT_ZEROS, "/nonexistent", &e), 0);
	content_read(c, buf, sizeof(buf));
	content_close(c);
	assert_true(is_zeros(buf, sizeof(buf)));
}

static void a_plan_survives_its_file(void **state)
{
	struct bench_plan p = {.repeat = 4,
			       .seed = 9,
			       .disks = 2,
			       .disk_mib = 512,
			       .disk_data_mib = 100,
			       .max_downtime_ms = 50,
			       .content = CONTENT_NOISE,
			       .cached_percent = 33},
			  q = {0};
	json_t *one, *two;
	struct err e;

	(void)state;
	assert_int_equal(plan_links(&p, "1gbit,unshaped", &e), 0);
	assert_int_equal(plan_mems(&p, "1G,4G", &e), 0);
	assert_int_equal(plan_workloads(&p, "idle,database,writer=5000", &e), 0);
	assert_int_equal(plan_tools(&p, "multifd,vmferry+channels=4", &e), 0);
	assert_int_equal(plan_delay(&p, "12.5", &e), 0);
	assert_int_equal(plan_loss(&p, "0.1", &e), 0);
	one = plan_json(&p);
	assert_int_equal(plan_from_json(&q, one, &e), 0);
	assert_int_equal(q.content, CONTENT_NOISE);
	assert_int_equal(q.cached_percent, 33);
	assert_float_equal(q.delay_ms, 12.5, 0);
	assert_float_equal(q.loss_percent, 0.1, 0);
	two = plan_json(&q);
	assert_true(json_equal(one, two));
	plan_fini(&q);
	q = (struct bench_plan){0};
	json_object_del(one, "cached_percent"); /* a plan from before this option existed */
	assert_int_equal(plan_from_json(&q, one, &e), 0);
	assert_int_equal(q.cached_percent, 50);
	json_decref(one);
	json_decref(two);
	plan_fini(&p);
	plan_fini(&q);
}

static void a_file_that_lacks_something_is_refused(void **state)
{
	static const char *const keys[] = {"links", "mem_mib", "workloads", "tools", "repeat", "disk_mib", "max_downtime_ms"};
	struct bench_plan p = {.repeat = 1, .disks = 1, .disk_mib = 100, .max_downtime_ms = 50}, q;
	json_t *whole, *part;
	struct err e;
	size_t i;

	(void)state;
	plan_links(&p, "1gbit", &e);
	plan_mems(&p, "1G", &e);
	plan_workloads(&p, "idle", &e);
	plan_tools(&p, "vmferry", &e);
	whole = plan_json(&p);
	for (i = 0; i < 2 * ARRAY_LEN(keys); i++) {
		part = json_copy(whole);
		if (i % 2)
			json_object_set_new(part, keys[i / 2], json_pack("[[]]"));
		else
			json_object_del(part, keys[i / 2]);
		q = (struct bench_plan){0};
		assert_int_equal(plan_from_json(&q, part, &e), -EINVAL);
		plan_fini(&q);
		json_decref(part);
	}
	json_decref(whole);
	plan_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tools_are_read_with_their_options),
		cmocka_unit_test(what_there_is_not_is_refused),
		cmocka_unit_test(a_workload_may_have_another_rate),
		cmocka_unit_test(a_link_carries_what_tcp_leaves_of_its_rate),
		cmocka_unit_test(the_order_is_random_and_can_be_had_again),
		cmocka_unit_test(the_page_cache_is_of_what_the_disk_holds),
		cmocka_unit_test(a_plan_must_leave_room_to_others),
		cmocka_unit_test(nothing_lives_without_data_on_a_disk),
		cmocka_unit_test(disks_are_filled_with_files),
		cmocka_unit_test(disks_are_filled_with_noise_or_zeros),
		cmocka_unit_test(a_plan_survives_its_file),
		cmocka_unit_test(a_file_that_lacks_something_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
