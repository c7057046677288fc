/* attempt-id.h: the 128 random bits that name an attempt to move a guest, in both journals and in every message of the hand-off. Pure but for new. */
#ifndef VMFERRY_ATTEMPT_ID_H
#define VMFERRY_ATTEMPT_ID_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTEMPT_ID_LEN 16

int attempt_id_new(uint8_t id[ATTEMPT_ID_LEN], struct err *e);
/* 32 hex digits and a zero. Returns buf. */
const char *attempt_id_format(const uint8_t id[ATTEMPT_ID_LEN], char buf[2 * ATTEMPT_ID_LEN + 1]);
/* A name beside path that only this attempt has; malloc'ed. */
char *attempt_id_name(const uint8_t id[ATTEMPT_ID_LEN], const char *path);
/* 32 hex digits, and nothing behind them. */
bool attempt_id_parse(const char *s, uint8_t id[ATTEMPT_ID_LEN]);

#endif
