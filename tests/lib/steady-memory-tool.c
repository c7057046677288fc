/*
 * steady-memory-tool.c: keeps the machine's free memory as dear as it is, for tests that measure.
 *
 *   steady-memory-tool     says "steady", then waits for the end of its standard input
 *
 * Where a virtual machine's host takes back what is free (free page reporting), a page that is used again costs what the host needs to find another:
 * two to four times as much as one that was freed a second ago, so that the same copy takes 1 or 2 s. Only large blocks are taken back. So this one
 * touches half of what is to be had and keeps one page in 64 of it: what is free then lies in pieces that are too small.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_PAGES 64

static size_t available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t kib = 0;
	char line[128];

	while (f && !kib && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %zu kB", &kib);
	if (f)
		fclose(f);
	return kib * 1024;
}

int main(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), piece = PIECE_PAGES * page, len = available() / 2 / piece * piece, i;
	char *p = len ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
	char ignored[64];

	if (p == MAP_FAILED || madvise(p, len, MADV_NOHUGEPAGE)) {
		fprintf(stderr, "half of the memory that is available: %s\n", strerror(errno));
		return 1;
	}
	for (i = 0; i < len; i += page)
		p[i] = 1;
	for (i = 0; i < len; i += piece)
		madvise(p + i + page, piece - page, MADV_DONTNEED);
	puts("steady");
	fflush(stdout);
	while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0)
		;
	return 0;
}
