/* test-machine-type.c: the machine type that a guest has in a QEMU of another distribution. */
#include "host-qemu.h"
#include "machine-type.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "Supported machines are:\n"
#define TAIL "isapc                ISA-only PC\nnone                 empty machine\nx-remote             Experimental remote machine\n"

/* The output of "-machine help". */
static char debian[] = HEAD "microvm              microvm (i386)\n"
			    "pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)\n"
			    "pc-i440fx-10.0       Standard PC (i440FX + PIIX, 1996) (default)\n"
			    "pc-i440fx-2.11       Standard PC (i440FX + PIIX, 1996) (deprecated)\n"
			    "pc-i440fx-8.1        Standard PC (i440FX + PIIX, 1996)\n"
			    "q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)\n"
			    "pc-q35-10.0          Standard PC (Q35 + ICH9, 2009)\n"
			    "pc-q35-6.2           Standard PC (Q35 + ICH9, 2009)\n"
			    "pc-q35-8.2           Standard PC (Q35 + ICH9, 2009)\n"
			    "pc-q35-9.2           Standard PC (Q35 + ICH9, 2009)\n" TAIL;
static char rhel[] = HEAD "pc                   RHEL 7.6.0 PC (i440FX + PIIX, 1996) (alias of pc-i440fx-rhel7.6.0)\n"
			  "pc-i440fx-rhel7.6.0  RHEL 7.6.0 PC (i440FX + PIIX, 1996) (default) (deprecated)\n"
			  "q35                  RHEL-9.4.0 PC (Q35 + ICH9, 2009) (alias of pc-q35-rhel9.4.0)\n"
			  "pc-q35-rhel9.4.0     RHEL-9.4.0 PC (Q35 + ICH9, 2009)\n"
			  "pc-q35-rhel9.2.0     RHEL-9.2.0 PC (Q35 + ICH9, 2009)\n"
			  "pc-q35-rhel8.6.0     RHEL-8.6.0 PC (Q35 + ICH9, 2009) (deprecated)\n" TAIL;
static char ubuntu[] = HEAD "pc-i440fx-noble-v2   Ubuntu 24.04 PC v2 (i440FX + PIIX, arch_caps fix, 1996) (default)\n"
			    "ubuntu               Ubuntu 24.04 PC v2 (i440FX + PIIX, arch_caps fix, 1996) (alias of pc-i440fx-noble-v2)\n"
			    "pc-q35-8.2           Standard PC (Q35 + ICH9, 2009)\n"
			    "pc-q35-noble-hpb     Ubuntu 24.04 PC (Q35 + ICH9, +host-phys-bits=true, 2009)\n"
			    "pc-q35-noble         Ubuntu 24.04 PC (Q35 + ICH9, 2009)\n" TAIL;

static void the_nearest_type_is_of_the_same_version(void **state)
{
	static const struct {
		char *help;
		const char *type, *nearest;
	} cases[] = {
		{debian, "pc-q35-8.2", "pc-q35-8.2"},
		{debian, "pc-q35-noble", "pc-q35-8.2"},
		{debian, "pc-q35-noble-hpb", "pc-q35-8.2"},
		{debian, "pc-q35-jammy", "pc-q35-6.2"},
		{debian, "pc-q35-rhel9.4.0", "pc-q35-8.2"},
		{debian, "pc-q35-rhel9.6.0", "pc-q35-9.2"},
		{debian, "pc-q35-8.1+pve0", "pc-q35-8.2"},
		{debian, "pc-q35-2.4", "pc-q35-6.2"},	/* removed: the next */
		{debian, "pc-q35-11.1", "pc-q35-10.0"}, /* too new: the newest */
		{debian, "pc-q35-rhel77.1.0", "pc-q35-10.0"},
		{debian, "pc-q35-someone", "pc-q35-10.0"},
		{debian, "pc-i440fx-noble-v2", "pc-i440fx-10.0"},
		{debian, "pc-i440fx-rhel7.6.0", "pc-i440fx-8.1"},
		{debian, "pc-i440fx-bionic", "pc-i440fx-2.11"},
		{rhel, "pc-q35-8.2", "pc-q35-rhel9.4.0"},
		{rhel, "pc-q35-noble", "pc-q35-rhel9.4.0"},
		{rhel, "pc-q35-9.2", "pc-q35-rhel9.4.0"},
		{rhel, "pc-q35-jammy", "pc-q35-rhel8.6.0"},
		{rhel, "pc-i440fx-10.0", "pc-i440fx-rhel7.6.0"},
		{ubuntu, "pc-q35-noble", "pc-q35-noble"},
		{ubuntu, "pc-q35-rhel9.4.0", "pc-q35-8.2"},
		{ubuntu, "pc-i440fx-8.2", "pc-i440fx-noble-v2"},
		{ubuntu, "virt-8.2", NULL},
		{debian, "none", NULL},
		{debian, "Supported", NULL},
		{debian, "pc-q35-", "pc-q35-10.0"},
		{debian, "rhel6.6.0", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *got = machine_type_nearest(cases[i].help, cases[i].type);

		if (!cases[i].nearest ? !!got : !got || strcmp(got, cases[i].nearest) != 0)
			fail_msg("%s becomes %s, not %s", cases[i].type, got ?: "nothing", cases[i].nearest ?: "nothing");
	}
}

static void a_guest_that_is_imported_is_told_which_it_gets(void **state)
{
	static const struct {
		char *help;
		enum guest_machine kind;
		const char *type, *gets, *note;
	} cases[] = {
		{debian, MACHINE_Q35, NULL, "pc-q35-10.0", NULL},
		{debian, MACHINE_PC, NULL, "pc-i440fx-10.0", NULL},
		{debian, MACHINE_Q35, "pc-q35-9.2", "pc-q35-9.2", NULL},
		{debian, MACHINE_Q35, "pc-q35-noble", "pc-q35-8.2", "the machine was pc-q35-noble: here it is pc-q35-8.2, the nearest"},
		{debian, MACHINE_PC, "rhel6.6.0", "pc-i440fx-10.0", "the machine was rhel6.6.0: here it is pc-i440fx-10.0"},
		{debian, MACHINE_PC, "none", "pc-i440fx-10.0", "the machine was none: here it is pc-i440fx-10.0"},
		{debian, MACHINE_PC, "pc-q35-8.2", "pc-i440fx-10.0",
		 "the machine was pc-q35-8.2: here it is pc-i440fx-10.0"}, /* --bus ide */
		{rhel, MACHINE_Q35, NULL, "pc-q35-rhel9.4.0", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest_description d = {.machine = cases[i].kind};
		struct host_qemu q = {.machines = cases[i].help};
		AUTO_FREE char *got = NULL;

		if (cases[i].type)
			described_machine_type(&d, cases[i].type);
		got = host_qemu_machine(&q, &d);
		assert_string_equal(got, cases[i].gets);
		assert_int_equal(d.note_count, cases[i].note ? 1 : 0);
		if (cases[i].note && strncmp(d.notes[0], cases[i].note, strlen(cases[i].note)) != 0)
			fail_msg("the note is: %s", d.notes[0]);
		description_fini(&d);
	}
}

static void what_every_qemu_has_is_no_type_of_its_own(void **state)
{
	struct guest_description d = {.machine = MACHINE_Q35};

	(void)state;
	described_machine_type(&d, "q35");
	assert_null(d.machine_type);
	described_machine_type(&d, "pc");
	assert_null(d.machine_type);
	described_machine_type(&d, "pc-q35-8.2");
	described_machine_type(&d, "pc-q35-9.2");
	assert_string_equal(d.machine_type, "pc-q35-9.2");
	description_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_type_is_of_the_same_version),
		cmocka_unit_test(a_guest_that_is_imported_is_told_which_it_gets),
		cmocka_unit_test(what_every_qemu_has_is_no_type_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
