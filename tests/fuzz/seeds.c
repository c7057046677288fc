/*
 * seeds.c: main() of a fuzzer that runs what its arguments name once, as libFuzzer does, and tries nothing new. Without clang, sanitizers and waiting it
 * tells whether the target has fallen behind what it calls: tests/e2e/project/fuzzers-take-their-seeds.sh.
 */
#include "seed.h"

#include <errno.h>

#define BYTES_MAX (1u << 20)

static int run_file(const char *path)
{
	static uint8_t bytes[BYTES_MAX];
	AUTO_FREE uint8_t *input = NULL; /* a copy of the exact length, for valgrind and AddressSanitizer */
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0;

	if (!f || ferror(f) || fclose(f)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	input = xmalloc(n + 1);
	memcpy(input, bytes, n);
	LLVMFuzzerTestOneInput(input, n);
	return 0;
}

int main(int argc, char **argv)
{
	int i, r = LLVMFuzzerInitialize(&argc, &argv);

	for (i = 1; i < argc && !r; i++)
		r = run_file(argv[i]);
	return r;
}
