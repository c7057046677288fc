/* cmd-bench.h: `vmferry bench`. For main.c. */
#ifndef VMFERRY_CMD_BENCH_H
#define VMFERRY_CMD_BENCH_H

/* Returns the exit code. */
int bench_command(int argc, char **argv);

#endif
