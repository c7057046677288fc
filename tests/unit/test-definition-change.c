/* test-definition-change.c: a libvirt guest's definition as the destination's plan wants it: its disks, and the images that they are based on. Pure, but for links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "definition-private.h"
#include "json-text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct err err;
static struct move_options options;
static struct source src;
static struct disks disks;
static struct disk disk;
static struct guest_disk file;
static struct guest_backing backing;
static struct files files;
static struct definition d;

/* "real" is a directory with an image, and "link" leads to it. */
static int setup(void **state)
{
	AUTO_FREE char *make = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-definition-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	make = xasprintf("cd %s && mkdir real && ln -s real link && touch real/base.raw", dir);
	options = (struct move_options){.disks.chain = CHAIN_COPY};
	src = (struct source){.opt = &options};
	backing = (struct guest_backing){.name = (char *)"base.raw"};
	file = (struct guest_disk){.file = xasprintf("%s/link/web.qcow2", dir), .chain = &backing, .chain_count = 1};
	disk = (struct disk){.guest = &file, .object = 1};
	memset(&disks, 0, sizeof(disks));
	disks.src = &src;
	disks.list[disks.count++] = &disk;
	files = (struct files){.described = json_array()};
	d = (struct definition){.src = &src, .disks = &disks, .files = &files, .guest.live_xml = (char *)"<domain/>"};
	return system(make);
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	json_decref(files.described);
	json_decref(d.accepted);
	libvirt_definition_fini(&d.guest.def);
	free(file.file);
	return system(rm);
}

static char *file_named(const char *base)
{
	return xasprintf("file='%s/%s'", dir, base);
}

/* base: what <backingStore> names in the directory, or NULL. Malloc'ed. */
static char *definition_on(const char *type, const char *source, const char *base)
{
	AUTO_FREE char *below = base ? file_named(base) : NULL;
	AUTO_FREE char *store =
		base ? xasprintf("<backingStore type='file'><format type='raw'/><source %s/><backingStore/></backingStore>", below)
		     : xstrdup("");

	return xasprintf("<domain type='qemu'><name>web</name><uuid>dead0102-0304-0506-0708-090a0b0c0d0e</uuid>"
			 "<memory unit='KiB'>65536</memory><vcpu>1</vcpu>"
			 "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>/qemu</emulator>"
			 "<disk type='%s' device='disk'><driver name='qemu' type='qcow2'/><source %s/>%s"
			 "<target dev='vda' bus='virtio'/></disk></devices></domain>",
			 type, source, store);
}

static char *definition(const char *base)
{
	AUTO_FREE char *source = file_named("link/web.qcow2");

	return definition_on("file", source, base);
}

/* The destination has the disk at `to`, and its base at `base_to`. known: as libvirt shows the guest that runs, begun: as Begin does. Malloc'ed. */
static char *changed(const char *known, const char *begun, const char *to, const char *base_to)
{
	AUTO_FREE char *shown = definition(known), *real = xasprintf("%s/real/base.raw", dir);
	char *xml = definition(begun);

	if (libvirt_definition_read(&d.guest.def, shown, strlen(shown), &err))
		fail_msg("%s", err.msg);
	json_array_append_new(files.described, json_pack("{s:s,s:s}", "role", "backing", "path", real));
	d.accepted = json_pack("{s:[{s:i,s:s}],s:[{s:i,s:s}]}", "disks", "object", 1, "path", to, "carry", "file", 0, "to", base_to);
	if (definition_change(&d, &xml, &err))
		fail_msg("%s", err.msg);
	return xml;
}

static void has(const char *xml, const char *path, bool yes)
{
	AUTO_FREE char *text = xasprintf("<source file=\"%s\"/>", path), *other = xasprintf("<source file='%s'/>", path);

	if ((strstr(xml, text) || strstr(xml, other)) != yes)
		fail_msg("%s%s: %s", yes ? "no " : "", path, xml);
}

static void base_that_is_named_by_a_link_is_where_it_comes_to(void **state)
{
	AUTO_FREE char *xml = changed("link/base.raw", "link/base.raw", "/there/web.qcow2", "/there/base.raw");

	(void)state;
	has(xml, "/there/web.qcow2", true);
	has(xml, "/there/base.raw", true);
}

static void base_that_is_named_nowhere_is_not_missed(void **state)
{
	AUTO_FREE char *xml = changed("link/base.raw", NULL, "/there/web.qcow2", "/there/base.raw");

	(void)state;
	has(xml, "/there/web.qcow2", true);
	has(xml, "/there/base.raw", false);
	free(xml);
	xml = NULL;
	json_decref(d.accepted);
	libvirt_definition_fini(&d.guest.def);
	xml = changed(NULL, NULL, "/there/web.qcow2", "/there/base.raw");
	has(xml, "/there/web.qcow2", true);
}

/* Another image may have that name there, on which libvirt would base the one of all. */
static void one_image_of_all_is_based_on_nothing(void **state)
{
	AUTO_FREE char *same = xasprintf("%s/link/web.qcow2", dir), *xml = NULL;

	(void)state;
	options.disks.chain = CHAIN_FLATTEN;
	xml = changed("link/base.raw", "link/base.raw", same, "/there/base.raw");
	has(xml, same, true);
	assert_null(strstr(xml, "backingStore"));
}

/* A volume stays one where its pool has that place. */
static void nor_is_a_volume_that_stays_one(void **state)
{
	AUTO_FREE char *xml = definition_on("volume", "pool='fast' volume='web.qcow2'", "link/base.raw");

	(void)state;
	options.disks.chain = CHAIN_FLATTEN;
	if (libvirt_definition_read(&d.guest.def, xml, strlen(xml), &err))
		fail_msg("%s", err.msg);
	d.guest.def.disks[0].path = xstrdup(file.file);
	d.accepted = json_pack("{s:[{s:i,s:s}],s:{s:{s:s}}}", "disks", "object", 1, "path", "/pool/web.qcow2", "definition", "pools",
			       "fast", "/pool");
	if (definition_change(&d, &xml, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(xml, "volume=\"web.qcow2\""));
	assert_null(strstr(xml, "backingStore"));
}

/* The definition of what is shut down lacks a card that was plugged in. */
static void cards_go_to_what_has_the_label_there(void **state)
{
	static const char one[] =
		"<interface type='network'><mac address='52:54:00:00:00:0%d'/><source network='%s' portgroup='x'/></interface>";
	AUTO_FREE char *base = definition(NULL);
	const char *end = strstr(base, "</devices>");
	AUTO_FREE char *cut = xstrndup(base, (size_t)(end - base));
	AUTO_FREE char *a = xasprintf(one, 1, "office"), *b = xasprintf(one, 2, "lab");
	AUTO_FREE char *xml = xasprintf("%s%s%s<interface type='bridge'><source bridge='office'/></interface>%s", cut, a, b, end);

	(void)state;
	if (libvirt_definition_read(&d.guest.def, xml, strlen(xml), &err))
		fail_msg("%s", err.msg);
	d.told = true;
	d.accepted = json_pack("{s:{s:[{s:s,s:s,s:s},{s:s,s:s,s:s}]}}", "definition", "networks", "kind", "network", "name", "office", "to",
			       "bridge:vm-lan", "kind", "bridge", "name", "lab", "to", "bridge:not-this");
	if (definition_change(&d, &xml, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(xml, "<source bridge=\"vm-lan\"/>"));
	assert_non_null(strstr(xml, "<source network=\"lab\" portgroup=\"x\"/>"));
	assert_non_null(strstr(xml, "<source bridge=\"office\"/>"));
}

/* Definition that a destination with that version of libvirt is sent, "older" or "whole"; libvirt here is 11.3.0. */
static const char *sent_to(const char *version, const char *for_older)
{
	json_t *accept = json_pack("{s:{s:s*},s:[],s:[]}", "definition", "libvirt", version, "disks", "carry"), *prepare = json_object();
	AUTO_FREE char *xml = definition(NULL);
	const char *is;

	definition_init(&d, &src, &disks, &files);
	disks.count = 0;
	d.told = true;
	d.guest.xml = xml;
	d.guest.xml_for_older = (char *)for_older;
	d.guest.version = 11003000;
	assert_int_equal(libvirt_definition_read(&d.guest.def, xml, strlen(xml), &err), 0);
	if (d.part.ops->agree(&d.part, accept, &err))
		fail_msg("%s", err.msg);
	definition_decide(&d, prepare);
	is = json_text(json_object_get(prepare, "definition"), "xml");
	is = strstr(is, "<title>older") ? "older" : "whole";
	json_decref(accept);
	json_decref(prepare);
	json_decref(d.kept);
	json_decref(d.there);
	json_decref(d.accepted);
	libvirt_definition_fini(&d.guest.def);
	d = (struct definition){.src = &src};
	return is;
}

static void older_libvirt_is_sent_what_it_can_read(void **state)
{
	AUTO_FREE char *whole = definition(NULL), *older = xasprintf("<domain type='qemu'><title>older</title>%s", strchr(whole, '>') + 1);

	(void)state;
	assert_string_equal(sent_to("9.0.0", older), "older");
	assert_string_equal(sent_to("11.2.999", older), "older");
	assert_string_equal(sent_to("11.3.0", older), "whole");
	assert_string_equal(sent_to("12.0.0", older), "whole");
	assert_string_equal(sent_to("9.0.0", NULL), "whole"); /* libvirt here does not own the guest */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(base_that_is_named_by_a_link_is_where_it_comes_to, setup, teardown),
		cmocka_unit_test_setup_teardown(base_that_is_named_nowhere_is_not_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(one_image_of_all_is_based_on_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_is_a_volume_that_stays_one, setup, teardown),
		cmocka_unit_test_setup_teardown(cards_go_to_what_has_the_label_there, setup, teardown),
		cmocka_unit_test_setup_teardown(older_libvirt_is_sent_what_it_can_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
