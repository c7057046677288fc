/*
 * test-living-devices.c: what others have changed of a libvirt guest's devices: an image that the guest goes on with goes into its definition, whoever has
 * written that and in what order, and nothing else of the definition is touched. That libvirt takes such a definition e2e/libvirt shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "json-text.h"
#include "living-devices.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIVE(devices)                                                                                                                      \
	"<domain type='kvm' id='3'>\n  <metadata><devices><disk/></devices></metadata>\n  <devices>\n" devices "  </devices>\n</domain>\n"
#define ALIAS(name)    "<alias name='" name "'/>"
#define FIRST(image)   "<disk type='file' device='disk'>" image "<target dev='vda' bus='virtio'/>" ALIAS("virtio-disk0") "</disk>"
#define SECOND	       "<disk type='block' device='lun'><source dev='/dev/x' index='4'/><target dev='sda'/>" ALIAS("scsi0-0-0-0") "</disk>"
#define MEDIUM(source) "<disk type='file' device='cdrom'>" source "<target dev='sdb'/>" ALIAS("sata0-0-1") "</disk>"
#define CARD(mac)      "<interface type='network'><mac address='" mac "'/><source network='default'/>" ALIAS("net0") "</interface>"
#define OLD	       "<driver name='qemu' type='raw' cache='none'/><source file='/vm/a' index='1'/><backingStore/>"
#define NEW                                                                                                                                \
	"<driver name='qemu' type='qcow2' cache='none'/><source file='/vm/it&apos;s > new' index='2'/>"                                    \
	"<backingStore type='file' index='1'><format type='raw'/><source file='/vm/a'/><backingStore/></backingStore>"

static struct err err;
static json_t *taken, *lost;

static int setup(void **state)
{
	(void)state;
	taken = json_array();
	lost = json_array();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(taken);
	json_decref(lost);
	return 0;
}

/* The definition then, malloc'ed. */
static char *take(const char *definition, const char *was, const char *is)
{
	json_t *before = living_devices(was), *now = living_devices(is);
	char *xml = xstrdup(definition);

	assert_non_null(before);
	assert_non_null(now);
	assert_int_equal(living_devices_take(&xml, is, before, now, taken, lost, &err), 0);
	json_decref(before);
	json_decref(now);
	return xml;
}

static void image_goes_into_the_definition_and_nothing_else(void **state)
{
	static const char definition[] =
		"<?xml version=\"1.0\"?>\n<!-- <devices> --><domain type=\"kvm\">\n"
		"<metadata><devices><disk><source file='/x'/><target dev='vda'/></disk></devices><![CDATA[</metadata>]]></metadata>"
		"<devices><emulator>/q</emulator><disk type=\"block\" device=\"disk\"><boot order=\"1\"/>"
		"<source dev=\"/dev/a\"/><driver type=\"raw\"/><target bus=\"virtio\" dev=\"vda\"/></disk>" SECOND "</devices></domain>\n";
	AUTO_FREE char *xml = take(definition, LIVE(FIRST(OLD) SECOND), LIVE(FIRST(NEW) SECOND));

	(void)state;
	assert_string_equal(
		xml, "<?xml version=\"1.0\"?>\n<!-- <devices> --><domain type=\"kvm\">\n"
		     "<metadata><devices><disk><source file='/x'/><target dev='vda'/></disk></devices><![CDATA[</metadata>]]></metadata>"
		     "<devices><emulator>/q</emulator><disk type='file' device='disk'>"
		     "<driver name='qemu' type='qcow2' cache='none'/><source file='/vm/it&apos;s > new' index='2'/>"
		     "<boot order=\"1\"/><target bus=\"virtio\" dev=\"vda\"/></disk>" SECOND "</devices></domain>\n");
	assert_int_equal(json_array_size(taken), 1);
	assert_string_equal(json_string_value(json_array_get(taken, 0)), "disk vda is of <source file='/vm/it&apos;s > new'/>");
	assert_int_equal(json_array_size(lost), 0);
}

/* Otherwise the new image would be taken to be based on what the old one was. */
static void definition_that_names_bases_names_those_of_now(void **state)
{
	AUTO_FREE char *xml = take(LIVE(FIRST("<source file='/vm/a'/><backingStore type='file'><source file='/vm/base'/></backingStore>")),
				   LIVE(FIRST(OLD)), LIVE(FIRST(NEW)));

	(void)state;
	assert_null(strstr(xml, "/vm/base"));
	assert_non_null(strstr(xml, "<backingStore type='file' index='1'><format type='raw'/><source file='/vm/a'/>"));
}

/* An attribute in double quotes may hold the beginning of another one. */
static void number_in_a_name_is_not_libvirts(void **state)
{
	static const char source[] = "<source file=\"/it's index='1\"/>";
	json_t *all = living_devices(LIVE("<disk><source file=\"/it's index='1\"/><target dev='vda'/>" ALIAS("a") "</disk>"));

	(void)state;
	assert_string_equal(json_text(json_object_get(all, "a"), "is"), source);
	json_decref(all);
}

static void what_is_as_it_was_is_not_told(void **state)
{
	static const char definition[] = LIVE(FIRST("<source file='/vm/other'/>"));
	AUTO_FREE char *xml = take(definition, LIVE(FIRST(OLD) SECOND CARD("52:00")),
				   LIVE(FIRST("<source file='/vm/a' index='9'/>") SECOND CARD("52:00")));

	(void)state;
	assert_string_equal(xml, definition);
	assert_int_equal(json_array_size(taken) + json_array_size(lost), 0);
}

static void what_is_for_now_only_is_told(void **state)
{
	static const char definition[] = LIVE(MEDIUM("<source file='/iso/1'/>"));
	AUTO_FREE char *all = NULL;
	AUTO_FREE char *xml = take(definition, LIVE(SECOND MEDIUM("<source file='/iso/1'/>") CARD("52:00")),
				   LIVE(FIRST(OLD) MEDIUM("") CARD("52:01") "<hostdev>" ALIAS("hostdev0") "</hostdev>"));

	(void)state;
	assert_string_equal(xml, definition);
	assert_int_equal(json_array_size(taken), 0);
	all = json_dumps(lost, JSON_COMPACT);
	assert_string_equal(
		all,
		"[\"disk vda was attached\",\"disk sdb is of nothing\",\"interface 52:01 was attached\",\"hostdev hostdev0 was attached\","
		"\"disk sda was detached\",\"interface 52:00 was detached\"]");
}

/* An image of an undefined disk is not ascribed to another disk of the definition. */
static void disk_that_is_not_defined_is_told(void **state)
{
	static const char definition[] = LIVE(SECOND);
	AUTO_FREE char *xml = take(definition, LIVE(FIRST(OLD)), LIVE(FIRST(NEW)));

	(void)state;
	assert_string_equal(xml, definition);
	assert_int_equal(json_array_size(taken), 0);
	assert_int_equal(json_array_size(lost), 1);
}

static void what_is_no_such_xml_changes_nothing(void **state)
{
	static const char *const texts[] = {"",
					    "<",
					    "<domain",
					    "<domain>",
					    "<domain/>",
					    "<domain><devices>",
					    "<domain><devices><disk></devices>",
					    "<domain><!-- ",
					    "<domain><devices><disk a='></devices></domain>",
					    "<other><devices/></other>"};
	json_t *none = json_object();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_FREE char *xml = xstrdup(texts[i]);

		assert_null(living_devices(texts[i]));
		assert_int_equal(living_devices_take(&xml, LIVE(""), none, none, taken, lost, &err), -EBADMSG);
		assert_string_equal(xml, texts[i]);
	}
	json_decref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(image_goes_into_the_definition_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(definition_that_names_bases_names_those_of_now, setup, teardown),
		cmocka_unit_test_setup_teardown(number_in_a_name_is_not_libvirts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_as_it_was_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_for_now_only_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(disk_that_is_not_defined_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_such_xml_changes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
