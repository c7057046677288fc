/* estimate-model.c: see estimate-model.h. */
#include "estimate-model.h"
#include "util.h"

/* Thresholds of codec-choice.c. ..._BPS: an effort is worth trying on a slower link. ..._LEAVES: part of the lower effort's rate that it
 * must reach. */
#define HARD_BPS    40e6
#define ZSTD_BPS    130e6
#define ZSTD_LEAVES 0.5 /* less than there: it compares with how fast bytes left while all was only beginning */
#define HARD_LEAVES 0.84
/* Share of the time that the link must be busy with zstd; else zstd is given up. codec-choice.c has less than 0.4, but a measured move
 * took a third more of the processors than this model says. */
#define BUSY_PART  0.8
#define TRIED_PART 0.5 /* share of the bytes that is carried with an effort that is tried, given up and tried again */
/* share of the bytes that LZ4 carries where zstd keeps processors as busy as the link: it comes first, and now and then */
#define LESS_PART 0.3

#define READ_NS 0.25 /* default if not measured: 0.27 s per GiB */
#define FIXED_S 0.35 /* start of QEMU there, last round, waiting: 0.2 to 0.6 */
#define OTHER_S 0.25 /* other fixed time, without QEMU's start */
/* Contents leave hardly compressed for so long at first: an effort is chosen by what has left (seen: 0.15 to 0.38). */
#define CHOOSES_S 0.25

/* Costs per byte, in measures (see above). */
#define MEMORY_FROM_QEMU 2.5 /* QEMU sends it, the capture reads and hashes it */
#define DISK_FROM_QEMU	 4.0 /* QEMU's NBD server, the reader, hashes and lookups */
#define READER		 1.5 /* both memory and disks, in one thread */
#define SEND		 1.5 /* bytes that travel */
#define RECEIVE		 0.8
#define PLACE		 4.0 /* written where it belongs, and hashed */
#define ENCRYPT		 1.2 /* TLS, at either end */

/* Phases follow one another: disks, then memory. */
struct phase {
	const struct model_contents *of;
	double from_qemu; /* bytes that are read */
	double measures;  /* measures to read one of these bytes */
	double carried;	  /* bytes of contents */
	double also;	  /* bytes that are placed there besides: pages, with a disk's content */
};

/* Split of the carried bytes: `part` of them with the effort, the others with the one below it. */
struct effort_mix {
	enum codec_effort effort;
	double part;
};

static double mixed(const double of[CODEC_EFFORTS], struct effort_mix m)
{
	return m.part * of[m.effort] + (m.part < 1 ? (1 - m.part) * of[m.effort - 1] : 0);
}

static double measure(const struct model_input *in)
{
	return in->read_ns > 0 ? in->read_ns : READ_NS;
}

/* Memory is new there. What the kernel keeps a file's blocks in is so, too, but single pages, which were not seen to be dear. */
static double placing_ns(const struct model_input *in, const struct phase *p)
{
	double block = PLACE * measure(in), page = in->place_ns > 0 ? in->place_ns : block;

	return p->carried * (p->of == &in->disks ? block : page) + p->also * page;
}

/* Threads that are as busy as the move allows: senders or receivers, and what feeds them. */
static double busy_threads(const struct model_input *in)
{
	return (in->one_machine ? 2 : 1) * (in->channels + 1.0);
}

/* Processors that we can get: those that others leave, but no less than our share of all. */
static double to_be_had(const struct model_input *in)
{
	double n = MAX(in->processors, 1), others = MAX(in->others, 0), ours = busy_threads(in);

	return MAX(n - others, MIN(n, n * ours / (ours + others)));
}

static double link_s(const struct model_input *in, const struct phase *p, struct effort_mix m)
{
	return p->carried * mixed(p->of->packed, m) / in->link_bps;
}

static double processors_s(const struct model_input *in, const struct phase *p, struct effort_mix m)
{
	double wire = p->carried * mixed(p->of->packed, m), tls = in->encrypted ? ENCRYPT : 0, pack = mixed(p->of->pack_ns, m);
	double ns = measure(in), here_each = to_be_had(in), there_each = MAX(in->processors_there, 1);
	double sends = p->carried * pack + wire * (SEND + tls) * ns, reads = p->from_qemu * p->measures * ns;
	double receives = p->carried * mixed(p->of->unpack_ns, m) + wire * (RECEIVE + tls) * ns + placing_ns(in, p);
	double here = (sends + reads) / here_each, there = receives / there_each;
	double threads = MAX(sends / MAX(in->channels, 1U), p->from_qemu * READER * ns);

	return MAX(in->one_machine ? here + receives / here_each : MAX(here, there), threads) / 1e9;
}

static double phase_s(const struct model_input *in, const struct phase *p, struct effort_mix m)
{
	return MAX(link_s(in, p, m), processors_s(in, p, m));
}

/* ---- which effort ---- */

enum codec_effort model_highest_effort(enum codec_mode mode, double link_bps)
{
	if (mode != CODEC_MODE_AUTO)
		return codec_first_effort(mode);
	return link_bps < HARD_BPS ? EFFORT_ZSTD_HARD : EFFORT_ZSTD;
}

/* Bytes a second that leave. Others who are busy were not seen to change what is chosen: they come and go. Nor was how dear memory is there:
 * it is waited for, but no slow link. */
static double leaves_bps(const struct model_input *in, const struct phase *p, enum codec_effort effort)
{
	struct effort_mix m = {effort, 1};
	struct model_input alone = *in;

	alone.others = alone.place_ns = 0;
	return p->carried * p->of->packed[effort] / phase_s(&alone, p, m);
}

static bool is_worth(const struct model_input *in, const struct phase *p, enum codec_effort effort, double below_bps, double part)
{
	double before, now, takes = 0;

	if (p->of->packed[effort] <= 0)
		return false;
	before = leaves_bps(in, p, (enum codec_effort)(effort - 1));
	now = leaves_bps(in, p, effort);
	for (unsigned less = EFFORT_NONE; less < effort; less++) /* most leaves as it is where processors are short */
		takes = MAX(takes, leaves_bps(in, p, (enum codec_effort)less));
	return takes < below_bps && now > before * part;
}

/* True if the link, not the processors, is what the copy waits for most of the time. */
static bool is_busy(const struct model_input *in, const struct phase *p, struct effort_mix m)
{
	return link_s(in, p, m) >= BUSY_PART * processors_s(in, p, m);
}

/* LZ4 for as many bytes as keeps the link and the processors equally busy. */
static struct effort_mix some_lz4(const struct model_input *in, const struct phase *p)
{
	struct effort_mix all = {EFFORT_LZ4, 1}, none = {EFFORT_NONE, 1};
	double slack_all = processors_s(in, p, all) - link_s(in, p, all), slack_none = processors_s(in, p, none) - link_s(in, p, none);

	if (slack_all <= 0)
		return all;
	if (slack_none >= 0)
		return none;
	return (struct effort_mix){EFFORT_LZ4, slack_none / (slack_none - slack_all)};
}

static struct effort_mix choose(const struct model_input *in, const struct phase *p)
{
	enum codec_effort most = model_highest_effort(in->mode, in->link_bps);
	struct effort_mix zstd = {EFFORT_ZSTD, 1};

	while (most > EFFORT_NONE && p->of->packed[most] <= 0)
		most--;
	if (in->mode != CODEC_MODE_AUTO || most < EFFORT_LZ4 || p->carried <= 0)
		return (struct effort_mix){most, 1};
	if (!is_busy(in, p, zstd) || !is_worth(in, p, EFFORT_ZSTD, ZSTD_BPS, ZSTD_LEAVES))
		return some_lz4(in, p);
	if (is_worth(in, p, EFFORT_ZSTD_HARD, HARD_BPS, HARD_LEAVES))
		return (struct effort_mix){EFFORT_ZSTD_HARD, TRIED_PART};
	zstd.part = MAX(1 - LESS_PART * processors_s(in, p, zstd) / link_s(in, p, zstd), TRIED_PART);
	return zstd;
}

/* ---- the whole ---- */

static double add_phase(const struct model_input *in, const struct phase *p, struct model_result *out, double *bound_s)
{
	struct effort_mix m = choose(in, p);
	double seconds = phase_s(in, p, m);

	out->carried += p->carried;
	out->wire_bytes += p->carried * mixed(p->of->packed, m);
	out->seconds += seconds;
	if (processors_s(in, p, m) > link_s(in, p, m))
		*bound_s += seconds;
	return seconds;
}

/* Factor by which memory grows: what the guest writes while memory is carried is carried, too. */
static double growth(double dirty_bps, double ram_bps)
{
	return dirty_bps < (1 - 1 / MODEL_GROWTH_MAX) * ram_bps ? 1 / (1 - dirty_bps / ram_bps) : MODEL_GROWTH_MAX;
}

static double fixed_s(const struct model_input *in)
{
	return in->starts_s > 0 ? OTHER_S + in->starts_s : FIXED_S;
}

/* Adds what leaves before an effort is chosen. A link that is faster than the processors loses nothing by it. */
static void begin_uncompressed(const struct model_input *in, const struct phase *p, struct model_result *r)
{
	struct effort_mix m = choose(in, p);
	double bytes = MIN(CHOOSES_S * in->link_bps, p->carried * mixed(p->of->packed, m)), more = bytes * (1 - mixed(p->of->packed, m));

	if (in->mode != CODEC_MODE_AUTO || m.effort <= EFFORT_LZ4 || link_s(in, p, m) < processors_s(in, p, m))
		return;
	r->wire_bytes += more;
	r->seconds += more / in->link_bps;
}

/* Storage at the destination goes on writing while other things travel, and must have finished at the end. */
static void wait_for_storage(const struct model_input *in, double bytes, struct model_result *r)
{
	double seconds = in->store_bps > 0 ? fixed_s(in) + bytes / in->store_bps : 0;

	if (seconds <= r->seconds)
		return;
	r->seconds = seconds;
	r->limited_by = LIMITED_BY_STORAGE;
}

void model_estimate(const struct model_input *in, struct model_result *out)
{
	double there_is = in->ram.bytes * (1 - in->ram.zero), once = there_is * (1 - in->seeded), by_processors = 0, more;
	struct phase disks = {&in->disks, in->disks.bytes, DISK_FROM_QEMU, in->disks.bytes * (1 - in->disks.zero), there_is - once};
	struct phase ram = {&in->ram, there_is, MEMORY_FROM_QEMU, once, 0};
	struct phase all = {&in->ram, there_is, MEMORY_FROM_QEMU, there_is, 0};
	struct model_result *r = out;

	*r = (struct model_result){.seconds = fixed_s(in)};
	if (in->seeded > 0) /* the memory is read for seeds first, in one thread */
		r->seconds += there_is * measure(in) / 1e9;
	if (in->disks.bytes > 0)
		add_phase(in, &disks, r, &by_processors);
	r->ram_bps = there_is > 0 ? there_is / MAX(phase_s(in, &all, choose(in, &all)), 1e-9) : in->link_bps;
	more = add_phase(in, &ram, r, &by_processors) * in->dirty_bps;
	if (more > 0) {
		struct phase again = {&in->ram, 0, MEMORY_FROM_QEMU, 0, 0};

		/* the bytes written while that is carried are carried once more, and so on */
		again.carried = again.from_qemu = r->again = more * growth(in->dirty_bps, r->ram_bps);
		add_phase(in, &again, r, &by_processors);
	}
	begin_uncompressed(in, disks.carried > ram.carried ? &disks : &ram, r);
	if (by_processors > (r->seconds - fixed_s(in)) / 2)
		r->limited_by = LIMITED_BY_PROCESSORS;
	wait_for_storage(in, disks.carried, r);
}

void model_wire_range(const struct model_input *in, double *least, double *most)
{
	struct model_input other = *in;
	struct model_result r;

	model_estimate(in, &r);
	*least = *most = r.wire_bytes;
	if (in->mode != CODEC_MODE_AUTO || r.limited_by == LIMITED_BY_LINK)
		return;
	other.mode = CODEC_MODE_ZSTD;
	model_estimate(&other, &r);
	*least = MIN(*least, r.wire_bytes);
	other.mode = CODEC_MODE_NONE;
	model_estimate(&other, &r);
	*most = MAX(*most, r.wire_bytes);
}
