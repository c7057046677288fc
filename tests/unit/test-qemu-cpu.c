/*
 * test-qemu-cpu.c: what two CPUs have in common, and when their names are asked for. A thread plays a QEMU that has one CPU; what a
 * real one says is in the end-to-end tests, but for VMX and the like, which TCG does not have.
 */
#include "qemu-cpu.h"
#include "json-text.h"
#include "util.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WORD(eax, ecx, reg, bits)                                                                                                          \
	"{\"cpuid-input-eax\":" #eax ",\"cpuid-input-ecx\":" #ecx ",\"cpuid-register\":\"" reg "\",\"features\":" #bits "}"
#define PLAIN "[" WORD(1, 0, "ECX", 8192) "," WORD(7, 0, "EDX", 4) "," WORD(7, 0, "EBX", 5) "]"

struct fake {
	int fd;
	const char *words; /* JSON; NULL: no such property */
	unsigned asked;	   /* properties, one by one */
};

static struct loop *loop;

static json_t *value_of(struct fake *f, const char *property)
{
	if (!strcmp(property, "vendor"))
		return json_string("GenuineIntel");
	if (!strcmp(property, "feature-words"))
		return f->words ? json_loads(f->words, 0, NULL) : NULL;
	if (!strcmp(property, "phys-bits"))
		return json_integer(46);
	if (!strcmp(property, "avx10-version"))
		return NULL;
	f->asked++;
	return json_boolean(!strcmp(property, "avx512-bf16") || !strcmp(property, "vmx"));
}

static json_t *answer_to(struct fake *f, const json_t *command)
{
	const char *what = json_text(command, "execute");

	if (!strcmp(what, "query-cpus-fast"))
		return json_pack("[{s:s}]", "qom-path", "/machine/unattached/device[0]");
	if (!strcmp(what, "qom-list"))
		return json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "name", "avx512-bf16", "type", "bool", "name", "avx512_bf16",
				 "type", "bool", "name", "vmx", "type", "bool", "name", "avx2", "type", "bool");
	if (!strcmp(what, "qom-get"))
		return value_of(f, json_text(json_object_get(command, "arguments"), "property"));
	return json_object();
}

static void *play(void *arg)
{
	struct fake *f = arg;
	FILE *in = fdopen(dup(f->fd), "r");
	char line[4096];

	dprintf(f->fd,
		"{\"QMP\":{\"version\":{\"qemu\":{\"micro\":2,\"minor\":0,\"major\":10},\"package\":\"\"},\"capabilities\":[]}}\r\n");
	while (fgets(line, sizeof(line), in)) {
		json_t *command = json_loads(line, 0, NULL), *ret = answer_to(f, command), *reply = json_object();
		AUTO_FREE char *text = NULL;

		json_object_set(reply, "id", json_object_get(command, "id"));
		json_object_set_new(reply, ret ? "return" : "error",
				    ret ? ret : json_pack("{s:s,s:s}", "class", "GenericError", "desc", "no"));
		text = json_dumps(reply, 0);
		dprintf(f->fd, "%s\r\n", text);
		json_decref(reply);
		json_decref(command);
	}
	fclose(in);
	close(f->fd);
	return NULL;
}

/* A source's description of a QEMU with these words; *asked: the number of properties that it asked for by name. */
static json_t *cpu_with(const char *words, unsigned *asked)
{
	static const struct qmp_handlers none = {NULL, NULL};
	struct fake f = {.words = words};
	pthread_t thread;
	struct qmp *q;
	json_t *cpu = NULL;
	struct err e;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	f.fd = fd[1];
	assert_int_equal(pthread_create(&thread, NULL, play, &f), 0);
	assert_int_equal(qmp_open_fd(&q, loop, fd[0], "fake", 5000, &none, NULL, &e), 0);
	if (qemu_cpu(q, &cpu, &e) || (qemu_cpu_needs_names(cpu) && qemu_cpu_names(q, NULL, cpu, &e)))
		fail_msg("%s", e.msg);
	qmp_close(q);
	pthread_join(thread, NULL);
	*asked = f.asked;
	return cpu;
}

static void words_are_taken_where_they_tell_all(void **state)
{
	unsigned asked;
	json_t *cpu = cpu_with(PLAIN, &asked), *words = json_object_get(cpu, "words");

	(void)state;
	assert_int_equal(asked, 0);
	assert_null(json_object_get(cpu, "features"));
	assert_string_equal(json_text(cpu, "vendor"), "GenuineIntel");
	assert_int_equal(json_object_size(words), 3);
	assert_int_equal(json_integer_value(json_object_get(words, "7.0.EBX")), 5);
	assert_int_equal(json_object_size(json_object_get(cpu, "numbers")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(cpu, "numbers"), "phys-bits")), 46);
	json_decref(cpu);
}

static void names_are_asked_for_where_words_do_not_tell_all(void **state)
{
	static const char *const words[] = {
		NULL,
		"[]",
		"[{}]",
		"[" WORD(1, 0, "ECX", 32) "," WORD(7, 0, "EDX", 0) "]",		/* VMX */
		"[" WORD(1, 0, "ECX", 32768) "," WORD(7, 0, "EDX", 0) "]",	/* PDCM */
		"[" WORD(1, 0, "ECX", 0) "," WORD(7, 0, "EDX", 536870912) "]",	/* IA32_ARCH_CAPABILITIES */
		"[" WORD(1, 0, "ECX", 0) "," WORD(7, 0, "EDX", 1073741824) "]", /* IA32_CORE_CAPABILITIES */
		"[" WORD(1, 0, "ECX", 0) "]",
	};
	unsigned i, asked;

	(void)state;
	for (i = 0; i < ARRAY_LEN(words); i++) {
		json_t *cpu = cpu_with(words[i], &asked), *features = json_object_get(cpu, "features");

		assert_int_equal(asked, 3); /* avx512_bf16 is avx512-bf16 */
		assert_non_null(json_object_get(cpu, "words"));
		assert_int_equal(json_array_size(features), 2);
		json_decref(cpu);
	}
}

/* Checks the features that the guest has and the host lacks, in one string. */
static void assert_missing(const char *guest, const char *host, const char *wanted)
{
	json_t *g = json_loads(guest, 0, NULL), *h = json_loads(host, 0, NULL), *missing = qemu_cpu_missing(g, h), *one;
	AUTO_FREE char *all = xstrdup("");
	size_t i;

	assert_non_null(g);
	assert_non_null(h);
	json_array_foreach(missing, i, one) {
		char *longer = xasprintf("%s%s%s", all, i ? ", " : "", json_string_value(one));

		free(all);
		all = longer;
	}
	assert_string_equal(all, wanted);
	json_decref(missing);
	json_decref(g);
	json_decref(h);
}

static void bits_are_missing_if_the_host_has_them_not(void **state)
{
	(void)state;
	assert_missing("{\"words\":{\"1.0.ECX\":5}}", "{\"words\":{\"1.0.ECX\":5}}", "");
	assert_missing("{\"words\":{\"1.0.ECX\":5,\"9.0.EAX\":0}}", "{\"words\":{\"1.0.ECX\":7,\"7.0.EBX\":1}}", "");
	assert_missing("{\"words\":{\"1.0.ECX\":5}}", "{\"words\":{\"1.0.ECX\":4}}", "bits 0x1 of CPUID 1.0.ECX");
	assert_missing("{\"words\":{\"1.0.ECX\":5,\"7.0.EBX\":1}}", "{\"words\":{\"1.0.ECX\":5}}", "bits 0x1 of CPUID 7.0.EBX");
	assert_missing("{\"words\":{\"7.0.EDX\":2147483648}}", "{\"words\":{\"7.0.EDX\":2147483647}}", "bits 0x80000000 of CPUID 7.0.EDX");
	assert_missing("{\"words\":{\"1.0.ECX\":5}}", "{\"features\":[\"sse3\"]}", "bits 0x5 of CPUID 1.0.ECX");
	assert_missing("{\"words\":{\"1.0.ECX\":5}}", "{\"words\":{\"1.0.ECX\":\"5\"}}", "bits 0x5 of CPUID 1.0.ECX");
}

static void names_are_told_in_place_of_bits(void **state)
{
	(void)state;
	assert_missing("{\"features\":[\"avx2\",\"popcnt\",\"sse3\"]}", "{\"features\":[\"sse3\"]}", "avx2, popcnt");
	assert_missing("{\"words\":{\"1.0.ECX\":5},\"features\":[\"avx2\",\"sse3\"]}", "{\"words\":{},\"features\":[\"sse3\"]}", "avx2");
	assert_missing("{\"words\":{\"1.0.ECX\":5},\"features\":[\"sse3\"]}", "{\"words\":{\"1.0.ECX\":1},\"features\":[\"sse3\"]}",
		       "bits 0x4 of CPUID 1.0.ECX"); /* a bit without a name */
}

static void numbers_may_be_greater_but_not_less(void **state)
{
	(void)state;
	assert_missing("{\"numbers\":{\"phys-bits\":40}}", "{\"numbers\":{\"phys-bits\":46}}", "");
	assert_missing("{\"numbers\":{\"phys-bits\":46}}", "{\"numbers\":{\"phys-bits\":39}}", "phys-bits of 46 (there: 39)");
	assert_missing("{\"numbers\":{\"avx10-version\":2}}", "{}", "avx10-version of 2 (there: 0)");
	assert_missing("{\"numbers\":{\"other\":2}}", "{}", "");
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	return loop_new(&loop, 64, &e);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_taken_where_they_tell_all),
		cmocka_unit_test(names_are_asked_for_where_words_do_not_tell_all),
		cmocka_unit_test(bits_are_missing_if_the_host_has_them_not),
		cmocka_unit_test(names_are_told_in_place_of_bits),
		cmocka_unit_test(numbers_may_be_greater_but_not_less),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
