/* qmp-advice.h: what to start a guest with that has no QMP monitor vmferry can reach. Pure. */
#ifndef VMFERRY_QMP_ADVICE_H
#define VMFERRY_QMP_ADVICE_H

#include <stddef.h>

/* Options for a shell, malloc'ed: -qmp, and what keeps the console that the line has without it, as QEMU makes no monitor of its own beside one. */
char *qmp_advice(const char *name, char *const *argv, size_t argc);

#endif
