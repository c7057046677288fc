/* migrate-help.h: what vmferry migrate --help and vmferry check --help print. */
#ifndef VMFERRY_MIGRATE_HELP_H
#define VMFERRY_MIGRATE_HELP_H

extern const char migrate_usage[], check_usage[];

#endif
