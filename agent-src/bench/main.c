/* main.c: vmferry-bench, which `vmferry bench` runs, and `vmferry report` of what that wrote. */
#include "cmd-bench.h"
#include "exit-code.h"
#include "html-bench.h"
#include "process.h"
#include "report-command.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (process_open_standard())
		return EXIT_REFUSED;
	process_keep_to_itself(); /* keys pass through */
	if (argc > 1 && !strcmp(argv[1], "bench"))
		return bench_command(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "report"))
		return report_command(argc - 1, argv + 1, html_bench_page);
	fputs("vmferry-bench: vmferry runs this program: vmferry bench --help, vmferry report --help\n", stderr);
	return EXIT_USAGE;
}
