/*
 * cpu-stage.h: how much CPU time each stage of the data plane takes: parsing, hashing, sending and so on.
 *
 * A thread that is measured is in exactly one stage at any time. To change it is a system call (0.2 to 0.4 µs): it is done
 * for batches of tens of KiB at least, never for a page. In a thread that is not measured nothing happens.
 *
 * The meter and the stage of a thread are thread-local: stages change deep in code that knows of no move (channel.c, loop-poll.c),
 * and otherwise every callback would need a pointer to them.
 */
#ifndef VMFERRY_CPU_STAGE_H
#define VMFERRY_CPU_STAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum cpu_stage {
	CPU_PARSE,
	CPU_HASH,
	CPU_COMPRESS,
	CPU_ENCRYPT,
	CPU_SEND,
	CPU_RECEIVE,
	CPU_DECRYPT,
	CPU_DECOMPRESS,
	CPU_PLACE,
	CPU_DISK,
	CPU_OTHER,
	CPU_STAGES
};

/* The stages that each agent reports; CPU_OTHER, the last, is all the rest. */
extern const enum cpu_stage cpu_stages_source[], cpu_stages_destination[];

/* The meter of a move. It must outlive the threads that it measures. */
struct cpu_meter {
	uint64_t ns[CPU_STAGES]; /* atomic */
	uint64_t process_ns;	 /* CPU time that the process had used when it began */
};

/* Resets the meter, and measures the calling thread from here on, in CPU_OTHER. */
void cpu_meter_begin(struct cpu_meter *m);
/* The calling thread is measured from here on, and until cpu_thread_end(). NULL: it is not. */
void cpu_thread_begin(struct cpu_meter *m, enum cpu_stage first);
void cpu_thread_end(void);
/* The calling thread goes on in this stage. Returns the one that ended: leave with cpu_stage_enter() of that. */
enum cpu_stage cpu_stage_enter(enum cpu_stage s);
/* Does the same as cpu_stage_enter() for work on so many bytes: for few it is not worth the call, and the thread stays in its stage. */
enum cpu_stage cpu_stage_enter_for(enum cpu_stage s, size_t bytes);
enum cpu_stage cpu_stage_now(void);

/*
 * Nanoseconds so far of each stage. Returns what the process has used beside these: in threads that are not measured, the
 * kernel's workers for io_uring among them, and in measured ones, other than the caller's, since their last change. Any thread.
 */
uint64_t cpu_meter_read(const struct cpu_meter *m, uint64_t ns[CPU_STAGES]);
/* Reads the meter in seconds, as `cpu_s` of docs/report.md has it; rest: the stage to which the rest is counted. */
json_t *cpu_meter_json(const struct cpu_meter *m, const enum cpu_stage *stages, enum cpu_stage rest);
/* A copy of a peer's figures, known stages only; NULL if it sent none. */
json_t *cpu_json_take(const json_t *said, const enum cpu_stage *stages);

#endif
