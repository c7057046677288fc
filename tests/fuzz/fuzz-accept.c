/*
 * fuzz-accept.c: libFuzzer on a destination's plan: JSON to the plan that is shown, to the files that are sent, and to a script.
 * What the script makes of it must be printable.
 */
#include "move-accept.h"
#include "../../agent-src/moves/move-private.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char seed[] =
	"{\"qemu\":\"/q\",\"qemu_version\":\"10.0.2\",\"argv\":[\"q\",\"a b\",\"it's\\n\\u009b\"],\"notes\":[\"n\"],\"findings\":[\"f\"],"
	"\"disks\":[{\"object\":1,\"path\":\"/x\\u001b\",\"format\":\"raw\"}],\"files\":[{\"role\":\"script\",\"to\":\"/h\"}],"
	"\"nics\":[{\"netdev\":\"n\",\"device\":\"d\",\"model\":\"m\",\"mac\":\"1\",\"type\":\"tap\",\"attach\":\"t\",\"to_type\":\"tap\","
	"\"to_attach\":\"t\"}],\"carry\":[{\"file\":0,\"transfer\":\"present\",\"to\":\"/k\",\"other\":true},{\"file\":1,\"transfer\":\"eject\"},"
	"{\"file\":2,\"transfer\":\"copy\"}],\"start_script\":\"/s\",\"unit\":\"u\"}";

static FILE *terminal;
static char *shown;
static size_t shown_bytes;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("VMFERRY_FUZZ_SEEDS");
	char *path = dir ? xasprintf("%s/seed", dir) : NULL;
	FILE *out = path ? fopen(path, "we") : NULL;

	(void)argc, (void)argv;
	if (!dir)
		return 0;
	if (!out || fwrite(seed, 1, sizeof(seed) - 1, out) != sizeof(seed) - 1 || fclose(out))
		exit(1);
	free(path);
	exit(0);
}

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
	struct move_options opt = {.vm = "vm1", .dest.where = "host-b", .max_downtime_ms = 300, .channels = 1};
	struct move *m = xcalloc(1, sizeof(*m));
	FILE *out = stdout, *err_out = stderr;
	struct err e;

	m->opt = &opt;
	m->plan = json_loadb((const char *)p, n, 0, NULL);
	if (!m->plan) {
		free(m);
		return -1;
	}
	m->description = json_pack("{s:[{s:s,s:s,s:i},{s:s}],s:[{s:i,s:i}]}", "files", "path", "/k", "role", "kernel", "size", 1, "path", "/m",
				   "disks", "mode", 420, "uid", 0);
	m->guest.name = (char *)"vm1";
	m->guest.machine = (char *)"pc";
	m->disks[OBJECT_DISK_BASE] = (struct disk){.guest = &disk, .object = OBJECT_DISK_BASE};
	m->disk_count = 1;
	report_init(&m->report, n & 1, false);
	terminal = open_memstream(&shown, &shown_bytes);
	stdout = stderr = terminal;
	if (!accept_check(m->plan, &e)) {
		move_emit_plan(m, m->plan);
		if (!files_plan(m, &e))
			move_print_script(m);
		files_free(m);
	}
	stdout = out;
	stderr = err_out;
	fclose(terminal);
	expect_printable();
	free(shown);
	free(m->disks[OBJECT_DISK_BASE].to);
	json_decref(m->plan);
	json_decref(m->description);
	free(m);
	return 0;
}
