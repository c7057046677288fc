/* fleet-command.h: commands about several guests: their options, and what is found out before the first of them moves. */
#ifndef VMFERRY_FLEET_COMMAND_H
#define VMFERRY_FLEET_COMMAND_H

#include "fleet-board.h"
#include "options.h"
#include "place.h"

enum fleet_purpose { FLEET_MIGRATE, FLEET_DRAIN, FLEET_PLAN };

struct fleet_options {
	const char *to;
	struct option_list keep, apart, together;
	unsigned allow; /* bit mask of fleet_allow_words */
	int wish;	/* enum place_wish */
	uint64_t keep_memory;
	bool check_all, with_off;
	struct option_list off; /* starters of guests that are shut down */
};

struct fleet_command {
	struct move_options o; /* must be first: fleet_move_tables() sets it, and f */
	struct fleet_options f;
	char **words; /* options of a move as given; ends with NULL; NULL: none */
	size_t word_count;
	struct fleet_rules rules;
	char **hosts, **guests; /* end with NULL */
	size_t host_count, guest_count;
	struct off_guest {
		const char *word; /* pointer into guests, as a running guest may have the same name */
		bool is_libvirts; /* word is libvirt's name; else the guest's starter */
	} * offs;		  /* guests that are shut down, and move cold */
	size_t off_count;
	char *program; /* ours */
	struct gone_guest {
		char *guest;
		const char *dest;
	} * gone; /* moved by an earlier run of the same command */
	size_t gone_count;
	struct settled_guests {
		struct settled_guest {
			char *guest;
			char *dest, *instance; /* the host's name then, and its host_instance(); NULL: not known */
		} * list;
		size_t count;
	} settled;	 /* guests that have left this host, or may have, by the names that rules use */
	bool told;	 /* the user was told which guests stay */
	bool incomplete; /* drain: some guests that run here are unknown or cannot be moved */
};

/* Option tables for a move, and for several. */
const struct option_table *fleet_move_tables(void);
/* True if a command line of vmferry migrate names several guests or hosts. */
bool fleet_is_meant(int argc, char **argv, const struct command_usage *usage);
/* vmferry migrate for several guests. Returns the exit code. */
int fleet_migrate(int argc, char **argv);

/* ---- between the files ---- */

/* fleet-gone.c. Finds guests that earlier commands have moved to one of the hosts, as rules apply to these, too: into c->settled. */
int fleet_find_settled(struct fleet_command *c, struct err *e);
void fleet_add_settled(struct settled_guests *s, const char *guest, const char *dest, const char *instance);
/* Reads a guest's newest note. *gone: a new object if the guest has left, else NULL. -errno: not known. */
int fleet_read_gone(const struct fleet_command *c, const char *guest, json_t **gone, struct err *e);
/* True if the rule restricts where guests go. */
bool fleet_rule_binds(const struct fleet_rule *rule);
/* Removes guests that have moved to one of the hosts already. */
void fleet_set_aside_gone(struct fleet_command *c);
/* fleet-names.c. Checks that names in options and words are of guests here. -EINVAL: a name in an option is unknown, *e suggests others;
 * -ENOENT: a guest to move is unknown; another -errno: not known. */
int fleet_check_names(const struct fleet_command *c, struct err *e);
/* True, with *e set, if the destination is not a host but the name of a guest here. */
bool fleet_is_guest_as_host(const char *where, struct err *e);
/* fleet-guests.c. Adds all guests that run here and are not in the list yet. */
int fleet_find_running(struct fleet_command *c, struct err *e);
/* Adds guests that are shut down: libvirt's with --with-off, and those of --off. False: libvirt's are not known, which is reported. */
bool fleet_find_off(struct fleet_command *c);
/* Entry of a guest that is shut down; NULL: it runs. */
const struct off_guest *fleet_off(const struct fleet_command *c, const char *word);
void fleet_add_guest(struct fleet_command *c, const char *name);

/* Every host's answer about every guest, and the resulting placement. */
struct fleet_choice {
	struct place place;
	struct place_guest *guests;
	struct place_host *hosts;
	struct place_offer *offers;
	size_t *ranks;
	struct place_rating *ratings;
	char *here;		/* host_instance() */
	const char **instances; /* host_instance() of each host; NULL: not known */
	char **doubles;		/* reason why each host is another one's second name; NULL: it is not */
	struct place_settled *settled;
	struct fleet *looks; /* owners of the texts in the offers; one per kind of move tried */
	size_t look_count;
};

/* Asks all hosts about all guests by vmferry check, and places the guests. -ECANCELED: a signal. */
int fleet_choose(struct fleet_choice *c, const struct fleet_command *cmd, struct err *e);
/* Prints the choice as text, or as one event per guest. */
void fleet_print_choice(const struct fleet_choice *c, const struct fleet_command *cmd);
/* False: some guest is refused by each host, whatever the rules are and what else goes there. */
bool fleet_all_have_offers(const struct fleet_choice *c);
/* Reason why no host takes that guest: "no host takes it: root@host-b: …", malloc'ed. */
char *fleet_why_nowhere(const struct fleet_choice *c, size_t guest);
void fleet_choice_fini(struct fleet_choice *c);

#endif
