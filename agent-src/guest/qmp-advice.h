/* qmp-advice.h: what to start a guest with that has no QMP monitor vmferry can reach. Pure. */
#ifndef VMFERRY_QMP_ADVICE_H
#define VMFERRY_QMP_ADVICE_H

#include <stddef.h>

#define QMP_WORDS_MAX 4
/* Those words, each malloc'ed; returns how many. The name of a guest becomes one component of a path. */
size_t qmp_words(const char *name, char *const *argv, size_t argc, char *out[QMP_WORDS_MAX]);
/* Options for a shell, malloc'ed: -qmp, and what keeps the console that the line has without it, as QEMU makes no monitor of its own beside one. */
char *qmp_advice(const char *name, char *const *argv, size_t argc);

#endif
