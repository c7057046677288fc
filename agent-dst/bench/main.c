/* main.c: vmferry-bench-dst, which `vmferry bench HOST` sends to that host and runs there. */
#include "bench-host.h"
#include "exit-code.h"
#include "process.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (process_open_standard())
		return EXIT_REFUSED;
	if (argc == 2 && !strcmp(argv[1], "--host"))
		return bench_host();
	if (argc == 3 && !strcmp(argv[1], "--reach"))
		return bench_reach(argv[2]);
	fputs("vmferry-bench-dst: vmferry bench HOST sends this program there and runs it\n", stderr);
	return EXIT_USAGE;
}
