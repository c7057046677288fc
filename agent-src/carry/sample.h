/*
 * sample.h: looks at some of what a guest has in memory and on its disks, to tell what a move would make of all of it: how much is zeros,
 * how it compresses and at what cost, and how much of memory lies on a disk as well (seeds.h). Nothing is changed, and nothing is brought into
 * the guest's memory for it. A few tenths of a second of one thread.
 *
 * Memory is looked at in short runs all over it, disks in pieces of what one DATA has. How many of memory's pages are on a disk follows
 * from how many of those that were looked at are in pieces that were: the larger both are, the rarer that is, so it comes with its error.
 */
#ifndef VMFERRY_SAMPLE_H
#define VMFERRY_SAMPLE_H

#include "codec.h"
#include "codec-choice.h"
#include "seeds.h"

/* Sample of memory, or of all disks. */
struct sample_of {
	uint64_t bytes;		  /* total; of memory, what is in use */
	uint64_t looked_at, zero; /* bytes looked at; of these, zeros */
	uint64_t tried;		  /* bytes compressed; below, per effort: output bytes, and CPU time */
	uint64_t packed[CODEC_EFFORTS], pack_ns[CODEC_EFFORTS];
	uint64_t unpacked[CODEC_EFFORTS], unpack_ns[CODEC_EFFORTS]; /* bytes unpacked again, and CPU time */
	/* private */
	unsigned tries;
	uint64_t tries_until_ns;
};

struct sampler;
/* Compresses with efforts up to most. */
struct sampler *sampler_new(enum codec_effort most);
/* NULL ok. */
void sampler_free(struct sampler *s);

/* -EPERM, -EACCES, -ENOENT: memory cannot be read, or is gone; the sampler is unchanged then. */
int sample_memory(struct sampler *s, pid_t pid, const struct seed_block *blocks, unsigned count, struct err *e);

/* A disk's file, of any format: blocks in a qcow2 image are whole pages, unchanged, and its tables hardly count. (Its compressed
 * clusters are as small as another codec would make them.) */
struct sample_file {
	const char *path;
	uint64_t allocated; /* bytes */
	bool readable;	    /* the file's contents are what the guest sees; else they are assumed to be like the others' */
};
/* Samples the disks; call once, after memory. Unreadable parts are left out. */
void sample_disks(struct sampler *s, const struct sample_file *files, unsigned count);

/* Compresses some of memory; call once, after the disks. seeds: only memory that is not on a disk (seeds.h), as only that travels. */
void sample_what_travels(struct sampler *s, bool seeds);

const struct sample_of *sampled_memory(const struct sampler *s);
const struct sample_of *sampled_disks(const struct sampler *s);
/* Share of memory's non-zero pages whose content is also on a disk: 0 to 1, and its standard error. */
double sampled_seeds(const struct sampler *s, double *error);
/* CPU time to read a byte (of memory, if that was sampled) and hash it; 0: not known. */
double sampled_read_ns(const struct sampler *s);
/* Average number of other threads that ran or were runnable on this machine meanwhile. */
double sampled_others(const struct sampler *s);

#endif
