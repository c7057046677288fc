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
	double zero;			 /* part of them that is zeros */
	double packed[CODEC_EFFORTS];	 /* what is left of a byte of the rest; that of EFFORT_NONE is 1. 0: not known */
	double pack_ns[CODEC_EFFORTS];	 /* CPU time for a byte */
	double unpack_ns[CODEC_EFFORTS]; /* at the destination */
};

struct model_input {
	struct model_contents ram, disks;
	double seeded; /* part of what of memory is not zero that is on a disk, too; 0: nothing of it travels once */
	double link_bps, dirty_bps;
	enum codec_mode mode;	   /* --codec */
	unsigned channels;	   /* threads that compress */
	double read_ns;		   /* the measure: CPU time of reading a byte from QEMU and hashing it; 0: not known */
	double place_ns;	   /* of placing a byte there, which is new, and hashing it; 0: not known */
	double starts_s;	   /* what it takes to start the QEMUs that a move starts there; 0: not known */
	double store_bps;	   /* how fast a byte of a disk gets onto stable storage there; 0: not known, or no matter */
	double processors, others; /* here, and how many threads of others are busy on them */
	double processors_there;
	bool one_machine; /* these are the same */
	bool encrypted;
};

enum model_limit { LIMITED_BY_LINK, LIMITED_BY_PROCESSORS, LIMITED_BY_STORAGE };

struct model_result {
	double carried;	   /* bytes of contents: no zeros, and what is in memory and on a disk once */
	double again;	   /* of them: memory that the guest writes while it is carried */
	double wire_bytes; /* that travel */
	double seconds;
	double ram_bps; /* how fast memory is carried, while it is: what dirty_bps competes with */
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
