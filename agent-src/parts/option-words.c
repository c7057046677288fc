/* option-words.c: see option-words.h. --help, docs/vmferry.1.scd and scripts/vmferry.bash have them, too. */
#include "option-words.h"
#include "options.h"

#include <stddef.h>

const char *const chain_words[] = {[CHAIN_COPY] = "copy", [CHAIN_TOP] = "top", [CHAIN_FLATTEN] = "flatten", NULL};
const char *const drop_words[] = {"snapshots", "bitmaps", "data-file", NULL}; /* DISK_ACCEPT_*, a bit each */
const char *const how_words[] =
	{[HOW_LIVE] = "live", [HOW_QUICK] = "quick", [HOW_WARM] = "warm", [HOW_COLD] = "cold", [HOW_DISKS] = "disks", NULL};
const char *const media_words[] = {[MEDIA_AUTO] = "auto", [MEDIA_COPY] = "copy", [MEDIA_PATH] = "path", [MEDIA_EJECT] = "eject", NULL};
const char *const on_stall_words[] =
	{[ON_STALL_WAIT] = "wait", [ON_STALL_THROTTLE] = "throttle", [ON_STALL_STOP] = "stop", [ON_STALL_CANCEL] = "cancel", NULL};
const char *const dedup_words[] = {"on", "off", NULL};
const char *const recheck_words[] = {[RECHECK_AUTO] = "auto", [RECHECK_ON] = "on", [RECHECK_OFF] = "off", NULL};
const char *const ram_mode_words[] = {[RAM_WISH_AUTO] = "auto", [RAM_WISH_PAGES] = "pages", [RAM_WISH_OPAQUE] = "opaque", NULL};
const char *const unit_words[] = {"disable", "keep", NULL}; /* keep_unit */
