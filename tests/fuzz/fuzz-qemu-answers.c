/*
 * fuzz-qemu-answers.c: libFuzzer on what becomes of QEMU's answers: the guest's description (agent-src/guest), where its memory is, its
 * settings, its CPU, and what is found of an earlier move.
 *
 * The first byte chooses; then each line is the answer to one question, whichever that is: JSON, and nothing else is an error of QEMU's.
 * There is no QMP: its functions are here.
 */
#include "guest-watch.h"
#include "qemu-cpu.h"
#include "qemu-discover.h"
#include "qemu-migration.h"
#include "qemu-settings.h"
#include "qemu-names.h"
#include "ram-blocks.h"
#include "seed.h"

#include <errno.h>

enum selector { GUEST, RAM_BLOCKS, SETTINGS, CPU, UNDO, MIGRATION, SELECT_COUNT };

/* Lines of the answers that are left. */
static const char *lines;

/* ---- in place of qmp.c ---- */

static int answer(const char *command, json_t *args, json_t **ret, struct err *e)
{
	size_t n = strcspn(lines, "\n");
	json_t *value = json_loadb(lines, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	int r = value ? 0 : *lines ? err_set(e, EREMOTEIO, "QEMU refused %s: %.*s", command, (int)n, lines) : err_set(e, EPIPE, "no more");

	lines += n + (lines[n] == '\n');
	json_decref(args);
	if (ret && !r)
		*ret = value;
	else
		json_decref(value);
	return r;
}

int qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e)
{
	(void)q;
	return answer(command, args, ret, e);
}

int qmp_call_ms(struct qmp *q, unsigned deadline_ms, const char *command, json_t *args, json_t **ret, struct err *e)
{
	(void)q, (void)deadline_ms;
	return answer(command, args, ret, e);
}

void qmp_send(struct qmp *q, const char *command, json_t *args, unsigned deadline_ms, qmp_reply_fn fn, void *arg)
{
	json_t *ret = NULL;
	struct err e;
	int r = answer(command, args, &ret, &e);

	(void)q, (void)deadline_ms;
	if (fn)
		fn(arg, r ? NULL : ret, r ? &e : NULL);
	json_decref(ret);
}

int qmp_hmp(struct qmp *q, const char *line, char **text, struct err *e)
{
	json_t *ret;
	int r = answer(line, NULL, &ret, e);

	(void)q;
	if (r)
		return r;
	if (json_is_string(ret))
		*text = xstrdup(json_string_value(ret));
	else
		r = err_set(e, EPROTO, "no text");
	json_decref(ret);
	return r;
}

void qmp_version(const struct qmp *q, int *major, int *minor, int *micro)
{
	(void)q;
	*major = 10;
	*minor = *micro = 0;
}

bool qmp_alive(const struct qmp *q)
{
	(void)q;
	return *lines;
}

pid_t qmp_peer_pid(const struct qmp *q)
{
	(void)q;
	return 0;
}

uint64_t qmp_event_realtime_ns(const struct qmp *q)
{
	(void)q;
	return 0;
}

int qmp_open_of(struct qmp **out, struct loop *l, const char *path, pid_t pid, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		struct err *e)
{
	(void)out, (void)l, (void)path, (void)pid, (void)timeout_ms, (void)h, (void)ctx;
	return err_set(e, ENOENT, "there is none");
}

/* ---- what is asked ---- */

static void expect(int r, const struct err *e)
{
	require(!r || (r == -e->code && e->msg[0]));
}

#define WORDS_OF_LINE 5

/* malloc'ed: it gets longer by what was plugged in. */
static char **new_line(void)
{
	static const char *const words[WORDS_OF_LINE] = {"qemu", "-device", "virtio-blk-pci,id=d,drive=x", "-drive",
							 "file=/a,id=x,if=none"};
	char **line = xcalloc(WORDS_OF_LINE + 1, sizeof(*line));
	size_t i;

	for (i = 0; i < WORDS_OF_LINE; i++)
		line[i] = xstrdup(words[i]);
	return line;
}

static void check_line(struct guest *g)
{
	require(g->line.argc == g->line.expanded_count && g->line.argc >= WORDS_OF_LINE && (g->line.argc - WORDS_OF_LINE) % 2 == 0);
	require(!g->line.argv[g->line.argc] && !g->line.expanded[g->line.argc]);
	args_free_strings(g->line.argv, g->line.argc);
	args_free_strings(g->line.expanded, g->line.expanded_count);
	args_free_strings(g->notes.text, g->notes.count);
}

static void try_guest(void)
{
	struct guest g = {.name = xstrdup("a"),
			  .cwd = xstrdup("/nowhere"),
			  .line = {.argv = new_line(), .argc = WORDS_OF_LINE, .expanded = new_line(), .expanded_count = WORDS_OF_LINE}};
	struct guest_watch w = {.guest = NULL};
	struct err e = {.code = 0};
	size_t i, k;
	int r = guest_query(&g, NULL, &e);

	expect(r, &e);
	require(r || (g.status && g.machine && *g.machine && g.cpu.accel));
	for (i = 0; i < g.disk_count; i++) {
		const struct guest_disk *d = &g.disks[i];

		require(r || d->removable_empty || (d->node && *d->node && d->format && *d->format));
		for (k = 0; k < d->chain_count; k++)
			require(!d->chain[k].real_path || d->chain[k].real_path[0] == '/');
		if (!r)
			expect(guest_disk_movable(d, 0, &e), &e);
	}
	if (!r) {
		expect(guest_check_drift(&g, NULL, NULL, &e), &e);
		guest_is_inserted(&g, "/a");
	}
	r = guest_watch_begin(&w, &g, NULL, &e);
	expect(r, &e);
	if (!r) {
		expect(guest_watch_check(&w, &e), &e);
		guest_watch_ask(&w, NULL);
		require(guest_watch_answered(&w));
		expect(guest_watch_result(&w, &e), &e);
	}
	guest_watch_fini(&w);
	guest_forget_query(&g);
	check_line(&g);
	free(g.name);
	free(g.cwd);
}

static void try_ram_blocks(void)
{
	struct ram_block_place *blocks;
	struct err e;
	size_t n, i;
	int r = ram_blocks_ask(NULL, getpid(), &blocks, &n, &e);

	expect(r, &e);
	require(n <= RAM_BLOCKS_MAX);
	for (i = 0; i < n; i++)
		require(*blocks[i].name && strlen(blocks[i].name) < sizeof(blocks[i].name));
	free(blocks);
}

static void try_settings(void)
{
	static const char *const on[] = {"events", "multifd", NULL};
	json_t *saved;
	struct err e;

	if (settings_save(NULL, &saved, &e))
		return;
	settings_has_capability(saved, "multifd");
	settings_has_parameter(saved, "max-bandwidth");
	expect(settings_capabilities(NULL, saved, on, &e), &e);
	expect(settings_check(NULL, saved, on, &e), &e);
	expect(settings_parameters(NULL, saved, json_pack("{s:i,s:s}", "max-bandwidth", 1, "tls-creds", ""), &e), &e);
	expect(settings_restore(NULL, saved, &e), &e);
	json_decref(saved);
}

static void try_cpu(void)
{
	json_t *guest = NULL, *host = NULL, *missing, *one;
	struct err e;
	size_t i;

	if (!qemu_cpu(NULL, &guest, &e) && !qemu_cpu(NULL, &host, &e)) {
		qemu_cpu_needs_names(guest);
		expect(qemu_cpu_names(NULL, NULL, guest, &e), &e);
		expect(qemu_cpu_names(NULL, json_object_get(guest, "features"), host, &e), &e);
		missing = qemu_cpu_missing(guest, host);
		json_array_foreach(missing, i, one)
			require(json_is_string(one));
		json_decref(missing);
		missing = qemu_cpu_missing(guest, guest);
		require(!json_array_size(missing));
		json_decref(missing);
	}
	json_decref(guest);
	json_decref(host);
}

static void try_undo(void)
{
	static struct loop *loop;
	struct err e;

	if (!loop)
		require(!loop_new(&loop, 64, &e));
	expect(qemu_undo_bitmaps(NULL, "vmferry-", &e), &e);
	expect(qemu_undo_exports(NULL, loop, "vmferry-", &e), &e);
}

static void try_migration(void)
{
	char status[MIGRATION_STATUS_MAX];

	require(strlen(qemu_migration_status(NULL, status)) < sizeof(status));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text;

	if (!n)
		return 0;
	text = xmalloc(n);
	memcpy(text, p + 1, n - 1);
	text[n - 1] = '\0';
	lines = text;
	switch ((enum selector)(p[0] % SELECT_COUNT)) {
	case GUEST:
		try_guest();
		break;
	case RAM_BLOCKS:
		try_ram_blocks();
		break;
	case SETTINGS:
		try_settings();
		break;
	case CPU:
		try_cpu();
		break;
	case UNDO:
		try_undo();
		break;
	case MIGRATION:
		try_migration();
		break;
	case SELECT_COUNT:
		break;
	}
	free(text);
	return 0;
}

/* ---- seeds ---- */

#define BLOCK                                                                                                                              \
	"[{\"device\":\"x\",\"qdev\":\"/machine/peripheral/d/virtio-backend\",\"removable\":true,\"inserted\":{\"node-name\":\"n\","       \
	"\"drv\":\"qcow2\",\"ro\":false,\"encrypted\":false,\"file\":\"json:{\\\"driver\\\":\\\"qcow2\\\",\\\"file\\\":{\\\"filename\\\":" \
	"\\\"/dev/null\\\"}}\",\"image\":{\"virtual-size\":1048576,\"actual-size\":4096,\"cluster-size\":65536,\"filename\":\"/a\","       \
	"\"backing-filename\":\"b\",\"snapshots\":[],\"format-specific\":{\"data\":{\"bitmaps\":[],\"data-file\":\"\"}},"                  \
	"\"backing-image\":{\"filename\":\"file:/etc/passwd\",\"format\":\"raw\"}}}},{\"device\":\"cd\",\"removable\":true}]\n"

static const char guest[] =
	"\0{\"status\":\"running\"}\n{\"base-memory\":268435456,\"plugged-memory\":0}\n\"pc-q35-10.0-machine\"\n"
	"{\"enabled\":false}\n[{\"qom-path\":\"/machine/unattached/device[0]\"}]\n\"host-x86_64-cpu\"\n" BLOCK
	"[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"d\",\"type\":\"child<virtio-blk-pci>\"}]\n" BLOCK "[]\n" BLOCK
	"[{\"device\":\"x\",\"type\":\"mirror\"}]\n[{\"name\":\"d\",\"type\":\"child<virtio-blk-pci>\"}]\n[]\n";
/* A disk, a card and memory, on a bus that was plugged in, too. */
static const char plugged[] =
	"\0{\"status\":\"running\"}\n{\"base-memory\":268435456,\"plugged-memory\":0}\n\"pc-q35-10.0-machine\"\n"
	"{\"enabled\":false}\n[{\"qom-path\":\"/machine/unattached/device[0]\"}]\n\"host-x86_64-cpu\"\n" BLOCK
	"[{\"name\":\"d\",\"type\":\"child<virtio-blk-pci>\"},{\"name\":\"p\",\"type\":\"child<virtio-blk-pci>\"},"
	"{\"name\":\"c\",\"type\":\"child<virtio-scsi-pci>\"}]\n"
	"\"/machine/peripheral/c/c.0\"\n\"/machine/q35/pcie.0\"\n[{\"name\":\"addr\",\"type\":\"str\",\"default-value\":-1}]\n16\n"
	"\"/machine/peripheral/c/c.0\"\n[{\"name\":\"drive\",\"type\":\"str\"},{\"name\":\"netdev\",\"type\":\"str\"},"
	"{\"name\":\"memdev\",\"type\":\"link<memory-backend>\"},{\"name\":\"bootindex\",\"type\":\"int32\"}]\n"
	"\"n2\"\n[{\"node-name\":\"n2\",\"drv\":\"raw\",\"file\":\"/a,b\",\"cache\":{\"direct\":true},\"detect_zeroes\":\"unmap\",\"ro\":true}]\n"
	"\"u\"\n\"x: index=0,type=nic\\r\\n \\\\ u: index=0,type=tap,ifname=t,script=no,downscript=no\\r\\n\"\n\"\"\n"
	"\"/objects/m\"\n[{\"name\":\"m\",\"type\":\"child<memory-backend-ram>\"}]\n[{\"id\":\"m\",\"size\":4096,\"share\":true,\"merge\":false}]\n"
	"3\n[]\n";
static const char blocks[] =
	"\1\"              Block Name    PSize              Offset               Used              Total                HVA  RO\\r\\n"
	"                  pc.ram    4 KiB  0x0000000000000000 0x0000000010000000 0x0000000010000000 0x00007f0000000000  rw\\r\\n"
	"    /rom@etc/acpi/tables    4 KiB  0x0000000010100000 0x0000000000020000 0x0000000000200000 0x00007f0010000000  ro\\r\\n\"\n";
static const char old_blocks[] = "\1\"\"\n\"Host virtual address for 0x0 (pc.ram) is 0x7f0000000000\"\n";
static const char settings[] =
	"\2[{\"capability\":\"events\",\"state\":false},{\"capability\":\"multifd\",\"state\":true},{\"capability\":\"xbzrle\","
	"\"state\":true}]\n{\"max-bandwidth\":1,\"tls-creds\":\"\",\"downtime-limit\":300}\n"
	"[{\"capability\":\"events\",\"state\":false},{\"capability\":\"xbzrle\",\"state\":true}]\n{}\n{}\n"
	"[{\"capability\":\"events\",\"state\":true},{\"capability\":\"multifd\",\"state\":true}]\n{}\n[]\n"
	"{\"max-bandwidth\":2,\"tls-creds\":\"x\"}\n{}\n";
#define WORDS                                                                                                                              \
	"[{\"qom-path\":\"/machine/unattached/device[0]\"}]\n40\n!\n\"GenuineIntel\"\n"                                                    \
	"[{\"cpuid-input-eax\":7,\"cpuid-input-ecx\":0,\"cpuid-register\":\"EDX\",\"features\":536870912}]\n"
static const char cpu[] =
	"\3" WORDS WORDS "[{\"qom-path\":\"/c\"}]\n[{\"name\":\"avx\",\"type\":\"bool\"},{\"name\":\"sse4_1\",\"type\":\"bool\"},"
	"{\"name\":\"sse4-1\",\"type\":\"bool\"}]\ntrue\nfalse\n{}\n[{\"qom-path\":\"/c\"}]\ntrue\n{}\n";
static const char undo[] = "\4[{\"node-name\":\"n\",\"dirty-bitmaps\":[{\"name\":\"vmferry-1\"},{\"name\":\"other\"}]}]\n{}\n"
			   "[{\"id\":\"vmferry-x\"},{\"id\":\"y\"}]\n{}\n[]\n";
static const char no_driver[] = "\0{\"status\":\"running\"}\n{}\n\"pc\"\n{}\n[]\n[{\"inserted\":{\"node-name\":\"n\"}}]\n";
static const char migration[] = "\5{\"status\":\"pre-switchover\"}\n";

/* Longer than is looked at. */
static void write_chain(void)
{
	static char text[8192] =
		"\0{\"status\":\"running\"}\n{}\n\"pc\"\n{}\n[]\n[{\"inserted\":{\"node-name\":\"n\",\"drv\":\"raw\",\"image\":{";
	size_t n = 1 + strlen(text + 1), i;

	for (i = 0; i < 80; i++)
		n += (size_t)sprintf(text + n, "\"backing-image\":{\"filename\":\"/a\",");
	n += (size_t)sprintf(text + n, "\"format\":\"raw\"");
	for (i = 0; i < 80 + 3; i++)
		text[n++] = '}';
	text[n++] = ']';
	seed_write("chain", text, n);
}

static void write_long_name(void)
{
	char text[512] = "\1\"";
	size_t n = 2 + 255;

	memset(text + 2, 'n', 255);
	n += (size_t)sprintf(text + n, "  4 KiB  0x0 0x1000 0x1000 0x1 rw\"");
	seed_write("long-name", text, n);
}

static void write_seeds(void)
{
	write_chain();
	write_long_name();
	seed_write("guest", guest, sizeof(guest) - 1);
	seed_write("plugged", plugged, sizeof(plugged) - 1);
	seed_write("blocks", blocks, sizeof(blocks) - 1);
	seed_write("old-blocks", old_blocks, sizeof(old_blocks) - 1);
	seed_write("settings", settings, sizeof(settings) - 1);
	seed_write("cpu", cpu, sizeof(cpu) - 1);
	seed_write("undo", undo, sizeof(undo) - 1);
	seed_write("no-driver", no_driver, sizeof(no_driver) - 1);
	seed_write("migration", migration, sizeof(migration) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
