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

#define RULES_MAX      256 /* lines that say something */
#define RULE_WORDS_MAX 64

enum rule_kind { RULE_GROUP, RULE_APART, RULE_TOGETHER, RULE_STAY };

struct fleet_rule {
	enum rule_kind kind;
	char *words[RULE_WORDS_MAX]; /* a stay's second is its reason, "" if none is given */
	size_t count;
};

struct fleet_rules {
	struct fleet_rule *list;
	size_t count;
};

/* Begins zeroed. Adds what the file says; errors say file and line; others could have written it: -EPERM. */
int rules_read(struct fleet_rules *r, struct err *e);
/* The same of a text, which is changed; name: for errors. */
int rules_parse(struct fleet_rules *r, char *text, const char *name, struct err *e);
/* "db1,db2", of an option; not of a stay. */
int rules_add(struct fleet_rules *r, enum rule_kind kind, const char *names, struct err *e);
/* "root@host-b,@rack2", with groups' hosts in their place, each once; malloc'ed strings and a NULL, of which *count. -ENOENT: there is no such group. */
int rules_hosts(const struct fleet_rules *r, const char *text, char ***hosts, size_t *count, struct err *e);
/* Why a guest stays; NULL: no rule says that. */
const char *rules_stay(const struct fleet_rules *r, const char *guest);
bool rule_names(const struct fleet_rule *rule, const char *guest);
void rules_fini(struct fleet_rules *r);

#endif
