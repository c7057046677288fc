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
	unsigned allow; /* a bit each of fleet_allow_words */
	int wish;	/* enum place_wish */
	uint64_t keep_memory;
	bool check_all, with_off;
	struct option_list off; /* what starts guests that are shut down */
};

struct fleet_command {
	struct move_options o; /* first: fleet_move_tables() are about it, and about f */
	struct fleet_options f;
	char **words; /* of the options of a move, as they were said; ends with NULL; NULL: none */
	size_t word_count;
	struct fleet_rules rules;
	char **hosts, **guests; /* end with NULL */
	size_t host_count, guest_count;
	struct off_guest {
		const char *word; /* among the guests: that very string, as one that runs may be called so, too */
		bool is_libvirts; /* by its name; otherwise what starts it */
	} * offs;		  /* guests that are shut down, which have no other word than that they go cold */
	size_t off_count;
	char *program; /* ours */
	struct gone_guest {
		char *guest;
		const char *dest;
	} * gone; /* that the same command, given before, has taken there */
	size_t gone_count;
	struct settled_guests {
		struct settled_guest {
			char *guest;
			char *dest, *instance; /* the host, as it was called then, and as host_instance() there; NULL: it has not said */
		} * list;
		size_t count;
	} settled;	 /* by the names that rules have, those that have gone from here, or may have */
	bool told;	 /* which guests stay */
	bool incomplete; /* a drain that does not know, or cannot take, all that runs here */
};

/* The options of a move, and those of several. */
const struct option_table *fleet_move_tables(void);
/* A command line of vmferry migrate is about several guests or hosts. */
bool fleet_is_meant(int argc, char **argv, const struct command_usage *usage);
/* migrate of several. The exit code. */
int fleet_migrate(int argc, char **argv);

/* ---- between the files ---- */

/* fleet-gone.c. Rules hold beside guests that an earlier command has taken to one of the hosts, too: into c->settled. */
int fleet_find_settled(struct fleet_command *c, struct err *e);
void fleet_add_settled(struct settled_guests *s, const char *guest, const char *dest, const char *instance);
/* The newest note of a guest. *gone: that it has gone, a new object; NULL: it has not. -errno: that cannot be told. */
int fleet_read_gone(const struct fleet_command *c, const char *guest, json_t **gone, struct err *e);
/* The rule is about where guests go. */
bool fleet_rule_binds(const struct fleet_rule *rule);
/* Guests that have gone to one of the hosts are no candidates any more. */
void fleet_set_aside_gone(struct fleet_command *c);
/* fleet-names.c. Names that options and words have of guests are those of guests here. -EINVAL: one of an option is not, and what may have been meant; -ENOENT: one
 * of a guest that is to go; another -errno: it cannot be told. */
int fleet_check_names(const struct fleet_command *c, struct err *e);
/* The destination is no host, and a guest here is called so; *e says so then. */
bool fleet_is_guest_as_host(const char *where, struct err *e);
/* fleet-guests.c. Adds all that run here, and are there by none of these words yet. */
int fleet_find_running(struct fleet_command *c, struct err *e);
/* Guests that are shut down: libvirt's, if --with-off is said, and --off's. False: libvirt's are not known, which is said. */
bool fleet_find_off(struct fleet_command *c);
/* NULL: the guest of that word runs. */
const struct off_guest *fleet_off(const struct fleet_command *c, const char *word);
void fleet_add_guest(struct fleet_command *c, const char *name);

/* Answers of every host about every guest, and where each would go. */
struct fleet_choice {
	struct place place;
	struct place_guest *guests;
	struct place_host *hosts;
	struct place_offer *offers;
	size_t *ranks;
	struct place_rating *ratings;
	char *here;		/* host_instance() */
	const char **instances; /* a host each, as host_instance() there; NULL: it has not said */
	char **doubles;		/* likewise: why it is no host of its own, but another's second name; NULL: it is */
	struct place_settled *settled;
	struct fleet *looks; /* which own the texts in the offers; one for each kind of move that was tried */
	size_t look_count;
};

/* Asks all hosts about all guests by vmferry check, and places them. -ECANCELED: a signal ended it. */
int fleet_choose(struct fleet_choice *c, const struct fleet_command *cmd, struct err *e);
/* For people, or an event a guest. */
void fleet_print_choice(const struct fleet_choice *c, const struct fleet_command *cmd);
/* Why no host takes that guest: "no host takes it: root@host-b: …", malloc'ed. */
char *fleet_why_nowhere(const struct fleet_choice *c, size_t guest);
void fleet_choice_fini(struct fleet_choice *c);

#endif
