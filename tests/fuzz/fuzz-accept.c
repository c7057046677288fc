/*
 * fuzz-accept.c: libFuzzer on a destination's plan: JSON to the plan that is shown, to the files that are sent, and to a script.
 * What the script makes of it must be printable.
 */
#include "accept.h"
#include "../../agent-src/moves/transfer.h"
#include "seed.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

static const char seed[] =
	"{\"qemu\":\"/q\",\"qemu_version\":\"10.0.2\",\"argv\":[\"q\",\"a b\",\"it's\\n\\u009b\"],\"notes\":[\"n\"],\"findings\":[\"f\"],"
	"\"disks\":[{\"object\":1,\"path\":\"/x\\u001b\",\"format\":\"raw\"}],\"files\":[{\"role\":\"script\",\"to\":\"/h\"}],"
	"\"nics\":[{\"netdev\":\"n\",\"device\":\"d\",\"model\":\"m\",\"mac\":\"1\",\"type\":\"tap\",\"attach\":\"t\",\"to_type\":\"tap\","
	"\"to_attach\":\"t\"}],\"carry\":[{\"file\":0,\"transfer\":\"present\",\"to\":\"/k\",\"other\":true},{\"file\":1,\"transfer\":\"eject\"},"
	"{\"file\":2,\"transfer\":\"copy\"}],\"start_script\":\"/s\",\"unit\":\"u\"}";

static FILE *terminal;
static char *shown;
static size_t shown_bytes;

ONE_SEED(seed)

static void expect_printable(void)
{
	char *clean = xstrdup(shown);

	text_make_printable(clean, true);
	if (strlen(shown) != shown_bytes || strcmp(clean, shown))
		abort();
	free(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct guest_disk disk = {.node = "d0", .real_path = "/srv/a.raw", .format = "raw"};
	struct move_options opt = {.vm = "vm1", .dest.where = "host-b", .stop.max_downtime_ms = 300, .carry.channels = 1};
	FILE *out = stdout, *err_out = stderr;
	struct transfer *t;
	json_t *plan = json_loadb((const char *)p, n, 0, NULL);
	struct err e;

	if (!plan)
		return -1;
	if (transfer_new(&t, &opt, entry_for(&opt), &e))
		abort();
	t->told.plan = plan;
	t->src.guest = (struct guest){.name = xstrdup("vm1"), .machine = xstrdup("pc")};
	json_array_append_new(t->files.described, json_pack("{s:s,s:s,s:i}", "path", "/k", "role", "kernel", "size", 1));
	json_array_append_new(t->files.described, json_pack("{s:s}", "path", "/m"));
	json_array_append_new(t->disks.described, json_pack("{s:i,s:i}", "mode", 420, "uid", 0));
	disk_add(&t->disks, &disk);
	t->told.description = json_pack("{s:O}", "files", t->files.described);
	t->life.report.json = n & 1;
	terminal = open_memstream(&shown, &shown_bytes);
	stdout = stderr = terminal;
	if (!accept_check(t->told.plan, &e) && !parts_agree(&t->parts, t->told.plan, &t->src.obstacles, &e)) {
		tell_plan(t);
		print_script(t, &e);
	}
	stdout = out;
	stderr = err_out;
	fclose(terminal);
	expect_printable();
	free(shown);
	transfer_free(t);
	return 0;
}
