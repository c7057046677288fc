/* cpu-stage.c: see cpu-stage.h. */
#include "cpu-stage.h"
#include "util.h"

#include <stdbool.h>

#define WORTH_A_CHANGE_BYTES (32 * 1024)

const enum cpu_stage cpu_stages_source[] = {CPU_PARSE, CPU_HASH, CPU_COMPRESS, CPU_ENCRYPT, CPU_SEND, CPU_DISK, CPU_OTHER};
const enum cpu_stage cpu_stages_destination[] = {CPU_RECEIVE, CPU_DECRYPT, CPU_DECOMPRESS, CPU_HASH, CPU_PLACE, CPU_DISK, CPU_OTHER};

static const char *const names[CPU_STAGES] = {
	[CPU_PARSE] = "parse", [CPU_HASH] = "hash",	  [CPU_COMPRESS] = "compress", [CPU_ENCRYPT] = "encrypt",
	[CPU_SEND] = "send",   [CPU_RECEIVE] = "receive", [CPU_DECRYPT] = "decrypt",   [CPU_DECOMPRESS] = "decompress",
	[CPU_PLACE] = "place", [CPU_DISK] = "disk",	  [CPU_OTHER] = "other",
};

static _Thread_local struct {
	struct cpu_meter *meter; /* NULL: this thread is not measured */
	enum cpu_stage now;
	uint64_t since_ns; /* CPU time of this thread up to which it was charged */
} mine;

static void charge(void)
{
	uint64_t now = thread_cpu_ns();

	__atomic_fetch_add(&mine.meter->ns[mine.now], now - mine.since_ns, __ATOMIC_RELAXED);
	mine.since_ns = now;
}

void cpu_thread_begin(struct cpu_meter *m, enum cpu_stage first)
{
	mine.meter = m;
	mine.now = first;
	mine.since_ns = m ? thread_cpu_ns() : 0;
}

void cpu_thread_end(void)
{
	if (mine.meter)
		charge();
	mine.meter = NULL;
}

enum cpu_stage cpu_stage_enter(enum cpu_stage s)
{
	enum cpu_stage before = mine.now;

	if (mine.meter && s != before)
		charge();
	mine.now = s;
	return before;
}

enum cpu_stage cpu_stage_now(void)
{
	return mine.now;
}

enum cpu_stage cpu_stage_enter_for(enum cpu_stage s, size_t bytes)
{
	return cpu_stage_enter(bytes < WORTH_A_CHANGE_BYTES ? mine.now : s);
}

void cpu_meter_begin(struct cpu_meter *m)
{
	*m = (struct cpu_meter){.process_ns = process_cpu_ns()};
	cpu_thread_begin(m, CPU_OTHER);
}

uint64_t cpu_meter_read(const struct cpu_meter *m, uint64_t ns[CPU_STAGES])
{
	uint64_t sum = 0, all;

	if (mine.meter == m)
		charge();
	for (unsigned i = 0; i < CPU_STAGES; i++)
		sum += ns[i] = __atomic_load_n(&m->ns[i], __ATOMIC_RELAXED);
	all = process_cpu_ns() - m->process_ns;
	return all > sum ? all - sum : 0;
}

json_t *cpu_meter_json(const struct cpu_meter *m, const enum cpu_stage *stages, enum cpu_stage rest)
{
	uint64_t ns[CPU_STAGES], unmeasured = cpu_meter_read(m, ns);
	bool told[CPU_STAGES] = {false};
	json_t *out = json_object();
	const enum cpu_stage *s;

	ns[rest] += unmeasured;
	for (s = stages; *s != CPU_OTHER; s++)
		told[*s] = true;
	for (unsigned i = 0; i < CPU_OTHER; i++)
		ns[CPU_OTHER] += told[i] ? 0 : ns[i];
	for (s = stages; *s != CPU_OTHER; s++)
		json_object_set_new(out, names[*s], json_real((double)ns[*s] / 1e9));
	json_object_set_new(out, names[CPU_OTHER], json_real((double)ns[CPU_OTHER] / 1e9));
	return out;
}

json_t *cpu_json_take(const json_t *said, const enum cpu_stage *stages)
{
	json_t *out = json_is_object(said) ? json_object() : NULL, *v;
	const enum cpu_stage *s = stages;

	do {
		v = json_object_get(said, names[*s]);
		if (out && json_is_number(v) && json_number_value(v) >= 0)
			json_object_set(out, names[*s], v);
	} while (*s++ != CPU_OTHER);
	return out;
}
