/*
 * fuzz-living-devices.c: libFuzzer on the devices of a libvirt guest (agent-dst/parts/living-devices.h): three texts that end with a NUL each, its definition,
 * and its XML when it came and as it is now. Whatever is told is text, a definition that cannot be read stays as it was, and one that has
 * taken the images of now is such a definition, and is the same when it takes them once more.
 */
#include "living-devices.h"
#include "seed.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DISK(image, more) "<disk type='file' device='disk'>" image "<target dev='vda' bus='virtio'/>" more "</disk>"
#define CARD		  "<interface type='network'><mac address='52:54:00:11:22:01'/><source network='default'/><alias name='net0'/></interface>"
#define OF(devices)	  "<domain type='kvm' id='3'><devices>" devices "</devices></domain>"
#define CAME(image)	  OF(DISK(image, "<alias name='virtio-disk0'/>") CARD)

static const char snapshot[] =
	OF(DISK("<source file='/a'/>", "<boot order='1'/>")) "\0" CAME("<source file='/a' index='1'/><backingStore/>") "\0" CAME(
		"<source file='/b' index='2'/><backingStore><source file='/a'/></backingStore>");
static const char comments[] =
	"<?xml version=\"1.0\"?>\n<!-- <devices> --><domain><metadata><devices><![CDATA[</metadata>]]></devices></metadata>"
	"<devices><disk/></devices></domain>\0" OF("<disk><alias name='a'/></disk>") "\0" OF("");
/* quotes in quotes */
static const char quotes[] =
	OF("") "\0" OF("") "\0<domain><devices><disk><source file=\"/it's index='\"/><alias name=\"a\"/></disk></devices></domain>";

static void write_seeds(void)
{
	seed_write("snapshot", snapshot, sizeof(snapshot));
	seed_write("comments", comments, sizeof(comments));
	seed_write("quotes", quotes, sizeof(quotes));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static void require_texts(const json_t *all)
{
	const json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
		require(json_is_string(one));
}

static void take(const char *definition, const char *live, const json_t *before, const json_t *now)
{
	json_t *taken = json_array(), *lost = json_array(), *again = json_array(), *lost_again = json_array();
	AUTO_FREE char *xml = xstrdup(definition);
	AUTO_FREE char *once = NULL;
	struct err e;
	int r = living_devices_take(&xml, live, before, now, taken, lost, &e);

	require(!r || r == -EBADMSG);
	require((!r && json_array_size(taken)) || !strcmp(xml, definition));
	require_texts(taken);
	require_texts(lost);
	once = xstrdup(xml);
	if (!r)
		require(!living_devices_take(&xml, live, before, now, again, lost_again, &e) && !strcmp(xml, once) &&
			json_equal(taken, again));
	json_decref(taken);
	json_decref(lost);
	json_decref(again);
	json_decref(lost_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE char *text = xcalloc(1, n + 3);
	const char *came, *live;
	json_t *before, *now;

	memcpy(text, p, n);
	came = text + strlen(text) + 1;
	live = came + strlen(came) + 1;
	before = living_devices(came);
	now = living_devices(live);
	take(text, live, before, now);
	json_decref(before);
	json_decref(now);
	return 0;
}
