/* would-start.c: see would-start.h. */
#include "would-start.h"
#include "disk-line.h"
#include "fault.h"
#include "json-text.h"
#include "program.h"
#include "qemu-args-json.h"
#include "room.h"
#include "space.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct would_start *would_start_of(struct part *p)
{
	return container_of(p, struct would_start, part);
}

/* A guest as it would be here: the plan is made of it as of one that arrives, and nothing of it is made. */
struct imagined {
	struct target target;
	struct disks disks;
	struct files files;
	struct tpm tpm;
	struct line line;
};

/* ---- it ---- */

/* The guest boots here, and is nobody's yet. One that was emulated may boot with KVM. */
static json_t *description_of(const struct target *t)
{
	json_t *d = json_copy(t->description);

	json_object_set_new(d, "how", json_string("cold"));
	if (!strcmp(json_text(d, "accel") ?: "", "tcg"))
		json_object_del(d, "accel");
	return d;
}

static void imagine_disks(struct imagined *g, const struct would_start *w)
{
	const struct disks *real = w->disks;

	g->disks.list = xcalloc(real->count + 1, sizeof(*g->disks.list));
	g->disks.count = real->count;
	g->disks.state_dir = real->state_dir;
	g->disks.refused = real->refused;
	for (size_t i = 0; i < real->count; i++)
		g->disks.list[i] = (struct arriving_disk){.object = real->list[i].object,
							  .source.name = real->list[i].source.name,
							  .path = xasprintf("%s/run/disk%zu.qcow2", w->point->store.dir, i),
							  .format = (char *)"qcow2",
							  .virtual_size = real->list[i].virtual_size};
}

static void imagine(struct imagined *g, const struct would_start *w)
{
	const struct target *t = w->target;

	*g = (struct imagined){.target = {.part = {NULL, t->part.a},
					  .runtime_dir = t->runtime_dir,
					  .description = description_of(t),
					  .name = t->name,
					  .exe = t->exe,
					  .dir = (char *)json_text(t->description, "disk_dir"),
					  .run_dir = t->run_dir}};
	g->target.qmp_path = xasprintf("%s/.%s" ARGS_POINT_QMP_END, g->target.dir, t->name);
	imagine_disks(g, w);
	tpm_init(&g->tpm, &g->target);
	line_init(&g->line, &g->target, &g->disks, &g->files, &g->tpm);
	g->line.bridges = json_incref(w->line->bridges);
}

static void imagined_fini(struct imagined *g)
{
	g->line.part.ops->fini(&g->line.part);
	g->tpm.part.ops->fini(&g->tpm.part);
	for (size_t i = 0; i < g->disks.count; i++)
		free(g->disks.list[i].path);
	free(g->disks.list);
	args_result_fini(&g->target.args);
	obstacles_fini(&g->target.obstacles);
	json_decref(g->target.description);
	free(g->target.qmp_path);
}

/* ---- what only a run from a point needs ---- */

static bool has_program(const char *name)
{
	AUTO_FREE char *path = program_beside(name);

	return !access(path, X_OK);
}

/* A run from a point names its overlays in the places of the disks, in the line as it is. */
static void check_disks(struct imagined *g)
{
	const json_t *d = g->target.description, *said = json_object_get(d, "argv");
	AUTO_FREE char **words = xcalloc(json_array_size(said) + 1, sizeof(*words));
	AUTO_FREE struct args_config *configs = NULL;
	size_t count = args_configs_of(&configs, json_object_get(d, "configs")), argc = 0, i;
	char **argv = NULL;
	struct err e;
	int r;

	for (i = 0; i < json_array_size(said); i++)
		words[i] = (char *)(uintptr_t)(json_string_value(json_array_get(said, i)) ?: "");
	r = qemu_args_expand(&argv, &argc, words, json_array_size(said), configs, count, &e);
	for (i = 0; i < g->disks.count && !r; i++) {
		const json_t *o = target_described_disk(&g->target, g->disks.list[i].object);

		r = disk_line_overlay(&argv, &argc, json_text(o, "file"), json_text(o, "real_path"), g->disks.list[i].path, &e);
	}
	if (r)
		target_obstacle(&g->target, &e);
	args_free_strings(argv, argc);
}

/* The primary's firmware, kernels and media are brought here by nobody. */
static void check_files(struct imagined *g)
{
	const struct args_result *args = &g->target.args;
	struct err e;

	for (size_t i = 0; i < args->file_count; i++) {
		const struct args_file *f = &args->files[i];

		if (!args_role_is_content(f->role) || args_file_is_disk(f) || !f->to || *f->to != '/' || !access(f->to, R_OK))
			continue;
		err_set(&e, ENOENT, "the guest's command line names %s %s (-%s), which is not there: copy it there",
			args_role_noun(f->role), f->to, f->option);
		target_obstacle(&g->target, &e);
	}
}

static void check_memory(struct imagined *g)
{
	json_int_t need = json_integer_value(json_object_get(g->target.description, "ram_bytes"));
	uint64_t available = memory_available();
	char a[24], b[24];
	struct err e;

	if (need <= 0 || !available || (uint64_t)need <= available)
		return;
	err_set(&e, ENOMEM, "the guest has %s of memory, and %s are available there", format_bytes(a, (uint64_t)need),
		format_bytes(b, available));
	target_obstacle(&g->target, &e);
}

/* Points stay until the guest has disks of its own, so there is to be room for both. */
static void check_room(struct imagined *g)
{
	uint64_t need = 0;
	struct err e;

	for (size_t i = 0; i < g->disks.count; i++) {
		json_int_t n = json_integer_value(json_object_get(target_described_disk(&g->target, g->disks.list[i].object), "allocated"));

		need += n > 0 ? (uint64_t)n : 0;
	}
	if (g->line.cautions &&
	    (fault_point("dst-no-room-to-stay")
		     ? err_set(&e, ENOSPC, "no room, as was asked for")
		     : space_check_dir(g->target.dir, need, "disks of its own, for a guest that stays there (replica failover --complete),",
				       &e)) == -ENOSPC)
		json_array_append_new(g->line.cautions, json_string(e.msg));
}

/* The socket of its monitor is beside its disks. A trial's is deeper down. */
static void check_socket(struct imagined *g)
{
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	AUTO_FREE char *trial = xasprintf("%s/%s.replica/test/.%s-test.vmferry-qmp", g->target.dir, g->target.name, g->target.name);
	struct err e;

	if (strlen(g->target.qmp_path) > most) {
		err_set(&e, ENAMETOOLONG,
			"the socket of its monitor, %s, would have more than the %zu bytes that a name may have: choose a shorter --disk-dir",
			g->target.qmp_path, most);
		target_obstacle(&g->target, &e);
	} else if (strlen(trial) > most && g->line.cautions) {
		json_array_append_new(g->line.cautions,
				      json_sprintf("a trial (vmferry replica test) cannot run, as its socket's name, %s, would "
						   "have more than %d bytes",
						   trial, (int)most));
	}
}

static void check_host(struct imagined *g)
{
	AUTO_FREE char *script = xasprintf("%s/%s.sh", g->target.dir, g->target.name);
	struct err e;

	if (!has_program("qemu-img")) {
		err_set(&e, ENOENT, "qemu-img is not there, which makes the disks of a run (Debian: qemu-utils)");
		target_obstacle(&g->target, &e);
	}
	if (!access(script, F_OK)) {
		err_set(&e, EEXIST, "%s is there already, which is to start the guest: move it away", script);
		target_obstacle(&g->target, &e);
	}
	if (g->line.cautions && !has_program("vmferry"))
		json_array_append_new(g->line.cautions,
				      json_string("vmferry is not installed there, and `vmferry replica failover` is needed"));
}

/* ---- the answer ---- */

static json_t *sentences(json_t *list)
{
	return list ? json_incref(list) : json_array();
}

static json_t *look(const struct would_start *w)
{
	struct imagined g;
	json_t *answer;
	struct err e;

	imagine(&g, w);
	if (!g.target.exe) {
		err_set(&e, ENOENT, "its QEMU (%s) is not there", json_text(g.target.description, "exe") ?: "?");
		target_obstacle(&g.target, &e);
	}
	if (g.tpm.part.ops->examine(&g.tpm.part, &e))
		target_obstacle(&g.target, &e);
	if (g.line.part.ops->examine(&g.line.part, &e))
		target_obstacle(&g.target, &e);
	check_disks(&g);
	check_files(&g);
	check_memory(&g);
	check_host(&g);
	check_socket(&g);
	check_room(&g);
	answer = json_pack("{s:b,s:o,s:o,s:s*,s:s*}", "start", !obstacles_count(&g.target.obstacles), "why",
			   sentences(g.target.obstacles.list), "cautions", sentences(g.line.cautions), "qemu", g.target.exe, "qemu_version",
			   g.line.qemu_version);
	imagined_fini(&g);
	return answer;
}

static int examine(struct part *p, struct err *e)
{
	struct would_start *w = would_start_of(p);
	const json_t *asked = json_object_get(w->target->description, "replica");

	(void)e;
	if (json_is_true(json_object_get(asked, "plans")) && w->point->store.dir && !target_is_refused(w->target) &&
	    !obstacles_count(&w->target->obstacles))
		w->point->would_start = look(w);
	return 0;
}

static const struct part_ops ops = {.name = "would-start", .examine = examine};

void would_start_init(struct would_start *w, const struct target *target, struct arriving_point *point, const struct disks *disks,
		      const struct line *line)
{
	*w = (struct would_start){.part = {&ops, target->part.a}, .target = target, .point = point, .disks = disks, .line = line};
}
