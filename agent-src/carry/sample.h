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

/* Of memory, or of all disks. */
struct sample_of {
	uint64_t bytes;		  /* that there are: of memory those in use */
	uint64_t looked_at, zero; /* bytes that were; of these zeros */
	uint64_t tried;		  /* bytes that were compressed; with each effort: what was left of them, and the CPU time */
	uint64_t packed[CODEC_EFFORTS], pack_ns[CODEC_EFFORTS];
	uint64_t unpacked[CODEC_EFFORTS], unpack_ns[CODEC_EFFORTS]; /* bytes that were unpacked again, and the CPU time */
	/* private */
	unsigned tries;
	uint64_t tries_until_ns;
};

struct sampler;
/* Compresses with what is up to most. */
struct sampler *sampler_new(enum codec_effort most);
/* NULL ok. */
void sampler_free(struct sampler *s);

/* -EPERM, -EACCES, -ENOENT: it may not be read, or is not there; then it is as if it had not been called. */
int sample_memory(struct sampler *s, pid_t pid, const struct seed_block *blocks, unsigned count, struct err *e);

/* A disk's file, whatever the format: blocks of a qcow2 image lie in it as they are, whole pages of them, and its tables hardly count.
 * (Compressed clusters are as small there as another codec would make them.) */
struct sample_file {
	const char *path;
	uint64_t allocated; /* bytes */
	bool readable;	    /* what is in the file is what the guest sees; else it is taken to be as that of the others */
};
/* Once, after memory. What cannot be read is left out. */
void sample_disks(struct sampler *s, const struct sample_file *files, unsigned count);

/* Once, after the disks: compresses some of memory; of a move with seeds (seeds.h) that which is not on a disk, and travels. */
void sample_what_travels(struct sampler *s, bool seeds);

const struct sample_of *sampled_memory(const struct sampler *s);
const struct sample_of *sampled_disks(const struct sampler *s);
/* The part of memory's pages that are no zeros whose content is on a disk, too: 0 to 1, and its standard error. */
double sampled_seeds(const struct sampler *s, double *error);
/* CPU time of reading a byte, of memory if that was looked at, and hashing it; 0: not known. */
double sampled_read_ns(const struct sampler *s);
/* How many threads of others ran or wanted to, on this machine, at an average meanwhile. */
double sampled_others(const struct sampler *s);

#endif
