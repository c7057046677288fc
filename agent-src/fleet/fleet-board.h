/* fleet-board.h: several guests under way, for people and for programs: a line each while they go, and a summary that says where each is. */
#ifndef VMFERRY_FLEET_BOARD_H
#define VMFERRY_FLEET_BOARD_H

#include "fleet.h"

struct fleet_board {
	bool json;  /* events on standard output, as each command gives them, with "vm" and "destination" */
	bool block; /* a terminal that can be written over */
	int lines;  /* of the block that stands there */
	uint64_t drawn_ns;
	bool halt_is_said;
};

void board_init(struct fleet_board *b, bool json);
/* For struct fleet; ctx: the board. */
void board_changed(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event);
void board_tick(void *ctx, struct fleet *f);
/* Takes the block away. */
void board_clear(struct fleet_board *b);

/* "migrated in 9.2 s, stood still 84 ms", "stays here: refused: …", malloc'ed and printable. */
char *fleet_outcome(const struct fleet_task *t, const char *command);
/* The event that ends --json: {"event": "summary", "exit_code": …, "guests": [{"vm": …, "destination": …, "exit_code": …, …}]}. */
json_t *fleet_summary(const struct fleet *f);
/* The same, to standard output; for people it ends with the commands that bring back those that have gone. back_to: this host, as it would be named
 * there; NULL: there is no way back. */
void board_summary(struct fleet_board *b, const struct fleet *f, const char *back_to);

#endif
