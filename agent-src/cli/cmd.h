/* cmd.h: one function per subcommand; each takes its own argv (argv[0]: the subcommand) and returns the exit code. */
#ifndef VMFERRY_CMD_H
#define VMFERRY_CMD_H

#include "exit-code.h"

int cmd_list(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
/* vmferry migrate for a recorded command: adds no defaults. */
int migrate_again(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_jobs(int argc, char **argv);
int cmd_switch(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_revert(int argc, char **argv);
int cmd_keep(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_journal(int argc, char **argv);
int cmd_history(int argc, char **argv);
int cmd_may_start(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_storage(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_replica(int argc, char **argv);
int cmd_guard(int argc, char **argv);

#endif
