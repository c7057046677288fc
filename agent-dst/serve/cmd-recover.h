/* cmd-recover.h: vmferry-dst recover: what a person does at the destination when its source is gone. */
#ifndef VMFERRY_DST_CMD_RECOVER_H
#define VMFERRY_DST_CMD_RECOVER_H

/* argv[0]: "recover". Returns the exit code. */
int cmd_recover_here(int argc, char **argv);

#endif
