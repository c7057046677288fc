/*
 * fleet-rules.h: what a person has said of guests that go together: /etc/vmferry/fleet ($VMFERRY_FLEET names another; empty: none is read), and the same
 * in options.
 *
 *     group rack2 root@host-b root@host-c      --to @rack2 means these
 *     apart db1 db2                            never at the same host
 *     together app1 cache1                     at the same host
 *     stay vm9 its licence is of this host     a drain leaves it here
 */
#ifndef VMFERRY_FLEET_RULES_H
#define VMFERRY_FLEET_RULES_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define RULES_MAX      256 /* lines that are not empty */
#define RULE_WORDS_MAX 64

enum rule_kind { RULE_GROUP, RULE_APART, RULE_TOGETHER, RULE_STAY };

struct fleet_rule {
	enum rule_kind kind;
	char *words[RULE_WORDS_MAX]; /* stay: the second word is the reason, or "" */
	size_t count;
};

struct fleet_rules {
	struct fleet_rule *list;
	size_t count;
};

/* Adds the file's rules to *r, zeroed at first; errors name file and line. -EPERM: others could have written the file. */
int rules_read(struct fleet_rules *r, struct err *e);
/* Does the same as rules_read() with a text, which is changed; name: for errors. */
int rules_parse(struct fleet_rules *r, char *text, const char *name, struct err *e);
/* Adds a rule from an option's "db1,db2"; not for stay. */
int rules_add(struct fleet_rules *r, enum rule_kind kind, const char *names, struct err *e);
/* Takes rules of guests that are together as one where they share a guest. -EINVAL: guests are to be apart, too. */
int rules_settle(struct fleet_rules *r, struct err *e);
/* Expands "root@host-b,@rack2": replaces groups by their hosts, each host once; *count malloc'ed strings and a NULL. -ENOENT: no such
 * group. */
int rules_hosts(const struct fleet_rules *r, const char *text, char ***hosts, size_t *count, struct err *e);
/* Reason why a guest stays; NULL: no such rule. */
const char *rules_stay(const struct fleet_rules *r, const char *guest);
bool rule_names(const struct fleet_rule *rule, const char *guest);
void rules_fini(struct fleet_rules *r);

#endif
