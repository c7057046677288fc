/* ram-read.c: QEMU's memory, read from outside by the move: for what is on disks as well (seeds), and for what QEMU left out (recheck); see ram.h. */
#include "ram.h"
#include "fault.h"
#include "process.h"
#include "ram-blocks.h"
#include "ram-mode.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

/* Guest memory, of what QEMU tells: large, and with an address. */
static unsigned seed_blocks(const struct ram_block_place *told, size_t count, struct seed_block out[SEED_BLOCKS_MAX])
{
	uint64_t pages = 0;
	unsigned n = 0;

	for (size_t i = 0; i < count && n < SEED_BLOCKS_MAX; i++) {
		uint64_t bytes = told[i].used_bytes;

		if (bytes < SEED_BLOCK_MIN || bytes > told[i].max_bytes || bytes % PAGE_BYTES ||
		    bytes / PAGE_BYTES >= SEED_PAGES_MAX - pages)
			continue;
		pages += bytes / PAGE_BYTES;
		out[n] = (struct seed_block){.bytes = told[i].used_bytes, .host = told[i].host};
		memcpy(out[n++].name, told[i].name, sizeof(told[i].name));
	}
	return n;
}

/* A read at address 0, where nothing could be brought into memory for it, shows whether QEMU's memory may be read. */
static int try_to_read(pid_t pid, struct err *e)
{
	uint8_t bytes[16];
	struct iovec local = {bytes, sizeof(bytes)}, remote = {NULL, sizeof(bytes)};

	if (fault_point("src-no-process-vm"))
		errno = EPERM;
	else if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
		return 0;
	return err_sys(e, errno, "QEMU's memory cannot be read from outside");
}

int ram_readable_blocks(const struct ram *r, struct seed_block out[SEED_BLOCKS_MAX], unsigned *count, struct err *e)
{
	struct ram_block_place *told;
	size_t n;
	int code = ram_blocks_ask(r->src->qmp, r->src->guest.pid, &told, &n, e);

	*count = 0;
	if (code)
		return code;
	*count = seed_blocks(told, ram_blocks_placed(told, n), out);
	free(told);
	return *count ? try_to_read(r->src->guest.pid, e) : 0;
}

int ram_seed(struct ram *r, char **notice, struct err *e)
{
	struct seed_block blocks[SEED_BLOCKS_MAX];
	struct send_shared *shared = &r->data->shared;
	struct err why;
	unsigned n;
	int code;

	*notice = NULL;
	if (!r->seeds_taken || r->src->opt->carry.no_dedup)
		return 0;
	code = ram_readable_blocks(r, blocks, &n, &why);
	if (code && !qmp_alive(r->src->qmp)) {
		*e = why;
		return code;
	}
	if (code) {
		*notice = xasprintf("%s: what is in memory and on disk travels twice", why.msg);
		return 0;
	}
	if (!n)
		return 0;
	shared->seeds = seeds_new(r->src->guest.pid, &shared->key, blocks, n);
	shared->ram = seeds_tables(shared->seeds);
	__atomic_store_n(&shared->ram_blocks, n, __ATOMIC_RELEASE);
	return 0;
}

static int recheck_start(struct ram *r, struct err *e)
{
	const struct ram_block_place *missing;
	struct ram_block_place *told;
	size_t n;
	int code = ram_blocks_ask(r->src->qmp, r->src->guest.pid, &told, &n, e);

	if (code)
		return code;
	missing = ram_blocks_missing(told, n);
	n = ram_blocks_placed(told, n);
	if (missing || !n)
		code = err_set(e, ENOTSUP, "this QEMU does not tell where it has the guest's memory");
	code = code ?: try_to_read(r->src->guest.pid, e) ?: recheck_new(&r->data->shared.recheck, r->src->guest.pid, told, n, e);
	if (!code)
		ram_measure_recheck(r);
	free(told);
	return code;
}

/* TCG is known to lose writes, and KVM not to. */
static bool wants_recheck(const struct ram *r)
{
	enum recheck_wish asked = r->src->opt->carry.recheck;

	/* the guest's memory does not travel, or it was stopped before QEMU looked at it for the first time */
	if (!r->src->machine.accel || !r->src->traits.carries_memory || r->src->run.stopped)
		return false;
	return asked == RECHECK_ON || (asked == RECHECK_AUTO && !strcmp(r->src->machine.accel, "tcg"));
}

int ram_recheck(struct ram *r, char **notice, struct err *e)
{
	struct err why = {.msg = "QEMU's stream goes there as it is (opaque)"};
	int code = r->mode == RAM_MODE_PAGES ? 0 : -ENOTSUP;

	*notice = NULL;
	if (!wants_recheck(r)) {
		r->unchecked = r->src->machine.accel && !strcmp(r->src->machine.accel, "tcg") && r->src->traits.carries_memory &&
			       !r->src->run.stopped;
		return 0;
	}
	code = code ?: recheck_start(r, &why);
	r->unchecked = code && !strcmp(r->src->machine.accel, "tcg");
	if (code && !qmp_alive(r->src->qmp)) {
		*e = why;
		return code;
	}
	if (code && r->loses_writes) {
		ram_mode_refuse(e);
		return err_prefix(e, "%s", why.msg);
	}
	if (code)
		*notice = xasprintf("%s: what QEMU leaves out of what the guest has written is not found%s", why.msg,
				    strcmp(r->src->machine.accel, "tcg") ? "" : ", and without KVM it now and then leaves out a page");
	return 0;
}

bool ram_is_known_whole(const struct ram *r)
{
	return !r->unchecked || (r->src->run.paused && !r->src->run.ran);
}

unsigned ram_recheck_threads(const struct ram *r)
{
	return MIN(r->src->opt->carry.channels, own_processors());
}

double ram_recheck_ms(const struct ram *r)
{
	bool will = r->capture ? r->data->shared.recheck != NULL : wants_recheck(r);

	return will ? recheck_takes_ms(r->recheck_ns, r->src->guest.ram_bytes, ram_recheck_threads(r)) : 0;
}

void ram_measure_recheck(struct ram *r)
{
	const struct send_shared *s = &r->data->shared;

	if (s->recheck)
		r->recheck_ns = recheck_sample_ns(s->recheck, &s->key);
}
