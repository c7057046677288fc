/*
 * estimate-model.h: from what was measured and sampled to how much a move carries, and how long that takes. Pure.
 *
 * First the disks, with those pages that lie on them, then the rest of memory, and again what of it the guest writes meanwhile. Either goes
 * as fast as the slowest of these carries it: the link, the processors here, those at the destination (or all together, if that is this
 * machine), the threads that read. How much is compressed is what codec-choice.h settles on.
 *
 * What processors do for a byte beside compressing it is told in measures of what it takes here to read a byte from QEMU and to hash it, as
 * that is most of what they do: take bytes from one process to another, and look at them. The numbers are of moves that were measured: CPU time
 * by stage (`cpu_s` of a result, docs/report.md), QEMU's beside it, over that measure.
 */
#ifndef VMFERRY_ESTIMATE_MODEL_H
#define VMFERRY_ESTIMATE_MODEL_H

#include "codec.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_GROWTH_MAX 10.0

/* Memory, or all disks. */
struct model_contents {
	double bytes;
	double zero;			 /* share of zeros */
	double packed[CODEC_EFFORTS];	 /* output per byte of the rest; 1 for EFFORT_NONE. 0: not known */
	double pack_ns[CODEC_EFFORTS];	 /* CPU time per byte */
	double unpack_ns[CODEC_EFFORTS]; /* CPU time per byte at the destination */
};

struct model_input {
	struct model_contents ram, disks;
	double seeded; /* share of non-zero memory that is also on a disk; 0: contents are not shared */
	double link_bps, dirty_bps;
	enum codec_mode mode;	   /* --codec */
	unsigned channels;	   /* threads that compress */
	double read_ns;		   /* the measure: CPU time to read a byte from QEMU and hash it; 0: not known */
	double place_ns;	   /* CPU time to place a new byte there and hash it; 0: not known */
	double starts_s;	   /* time to start the QEMUs that a move starts there; 0: not known */
	double store_bps;	   /* rate of stable storage there, for disks; 0: not known, or irrelevant */
	double processors, others; /* here; other busy threads on them */
	double processors_there;
	bool one_machine; /* both hosts are one machine */
	bool encrypted;
};

enum model_limit { LIMITED_BY_LINK, LIMITED_BY_PROCESSORS, LIMITED_BY_STORAGE };

struct model_result {
	double carried;	   /* bytes of contents: no zeros, and what is in memory and on a disk only once */
	double again;	   /* bytes of memory, among these, that the guest writes during the copy */
	double wire_bytes; /* bytes on the wire */
	double seconds;
	double ram_bps; /* rate at which memory is carried: dirty_bps competes with it */
	enum model_limit limited_by;
};

/* Only bytes and link_bps of *in must be known. */
void model_estimate(const struct model_input *in, struct model_result *out);
/* Least and most bytes that may travel. If processors are the limit, the automatic codec has been seen to settle on either side of the
 * balance: anything from zstd's size to the full size. Otherwise both are out->wire_bytes. */
void model_wire_range(const struct model_input *in, double *least, double *most);
/* Highest effort that could be chosen on a link with this rate. */
enum codec_effort model_highest_effort(enum codec_mode mode, double link_bps);

#endif
