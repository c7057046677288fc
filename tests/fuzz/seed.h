/*
 * seed.h: what a fuzzer begins with. With VMFERRY_FUZZ_SEEDS=DIR it writes its seeds there, a file each, and ends.
 */
#ifndef VMFERRY_FUZZ_SEED_H
#define VMFERRY_FUZZ_SEED_H

#include "util.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define require(cond)                                                                                                                      \
	do {                                                                                                                               \
		if (!(cond))                                                                                                               \
			abort();                                                                                                           \
	} while (0)

static inline void seed_write(const char *name, const void *p, size_t n)
{
	AUTO_FREE char *path = xasprintf("%s/%s", getenv("VMFERRY_FUZZ_SEEDS"), name);
	FILE *f = fopen(path, "we");

	require(f && fwrite(p, 1, n, f) == n && !fclose(f));
}

/* In LLVMFuzzerInitialize(). */
static inline void seeds_if_asked(void (*write_all)(void))
{
	if (!getenv("VMFERRY_FUZZ_SEEDS"))
		return;
	write_all();
	exit(0);
}

/* The whole of it, of a fuzzer that has one seed, an array of char, and nothing to begin with. */
#define ONE_SEED(text)                                                                                                                     \
	static void write_the_seed(void)                                                                                                   \
	{                                                                                                                                  \
		seed_write("seed", text, sizeof(text) - 1);                                                                                \
	}                                                                                                                                  \
                                                                                                                                           \
	int LLVMFuzzerInitialize(int *argc, char ***argv)                                                                                  \
	{                                                                                                                                  \
		(void)argc, (void)argv;                                                                                                    \
		seeds_if_asked(write_the_seed);                                                                                            \
		return 0;                                                                                                                  \
	}

#endif
