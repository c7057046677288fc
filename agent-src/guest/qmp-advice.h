/* qmp-advice.h: what to start a guest with that has no QMP monitor vmferry can reach. Pure. */
#ifndef VMFERRY_QMP_ADVICE_H
#define VMFERRY_QMP_ADVICE_H

#include <stddef.h>

#define QMP_WORDS_MAX 4
/* Words of -qmp, and of options that keep the line's console, as QEMU makes no monitor of its own beside -qmp; each malloc'ed. Returns
 * their number. The guest's name becomes one component of a path. */
size_t qmp_words(const char *name, char *const *argv, size_t argc, char *out[QMP_WORDS_MAX]);
/* Returns the words of qmp_words(), quoted for a shell; malloc'ed. */
char *qmp_advice(const char *name, char *const *argv, size_t argc);

#endif
