/* unit-text.h: names and texts of systemd units, and what systemctl prints of them. Pure. The caller frees what is returned. */
#ifndef VMFERRY_UNIT_TEXT_H
#define VMFERRY_UNIT_TEXT_H

#include <stdbool.h>

/* A guest's name as part of a file's or a unit's name: letters, digits and . _ - stay, all else becomes _; never empty,
 * never with a dot or a dash in front, at most 100 bytes. */
char *unit_plain_name(const char *guest);
/* An argument of ExecStart=: in double quotes, with nothing that systemd expands (systemd.service(5), "Command lines"). */
char *unit_quote(const char *argument);
/* A path of RequiresMountsFor= (systemd.unit(5)); NULL: it has quotes, backslashes or control characters, which not every systemd reads. */
char *unit_path(const char *path);
/* The value of a property in the output of `systemctl show -p …`; "" when it is not there. */
char *unit_property(const char *shown, const char *key);

/* May systemd start the service again by itself when its process is killed? Restart= as shown. */
bool unit_restarts(const char *restart);
/* ActiveState=: true if systemd starts or stops that unit, or waits to start it again (auto-restart). */
bool unit_is_changing(const char *active_state);
/* May something start it that is not a person (the boot, another unit)? UnitFileState as shown. */
bool unit_is_wanted(const char *unit_file_state);
/* A service in which people and other programs run whatever they like: a shell in it says nothing about the service. */
bool unit_is_generic(const char *unit);
/* True for a generic service whose job is to start others, at boot or when they have ended. */
bool unit_starts_others(const char *unit);

#endif
