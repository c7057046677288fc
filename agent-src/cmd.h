/* cmd.h: one function per subcommand; each takes its own argv (argv[0]: the subcommand) and returns the exit code. */
#ifndef VMFERRY_CMD_H
#define VMFERRY_CMD_H

enum exit_code {
	EXIT_DESTINATION = 0,
	EXIT_SOURCE = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_LEFTOVERS = 4,
	EXIT_PAUSED = 5,
	EXIT_UNDECIDED = 6,
	EXIT_PEER_LOST = 7,
	EXIT_NOWHERE = 8,
};

int cmd_list(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_switch(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_journal(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_guard(int argc, char **argv);

#endif
