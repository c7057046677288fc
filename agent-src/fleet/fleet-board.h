/* fleet-board.h: several guests under way, for people and for programs: a line each while they go, and a summary that says where each is. */
#ifndef VMFERRY_FLEET_BOARD_H
#define VMFERRY_FLEET_BOARD_H

#include "fleet.h"

struct fleet_board {
	bool json;  /* print each command's events to standard output, with "vm" and "destination" added */
	bool block; /* a terminal with a block of lines that is rewritten */
	int lines;  /* lines of that block */
	uint64_t drawn_ns;
	bool halt_is_said;
};

void board_init(struct fleet_board *b, bool json);
/* Callbacks for struct fleet; ctx: the board. */
void board_changed(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event);
void board_tick(void *ctx, struct fleet *f);
/* Erases the block. */
void board_clear(struct fleet_board *b);

/* Writes how all moves ended to standard output (--json: {"event": "summary", "exit_code": …, "guests": [{"vm": …, "destination": …,
 * "exit_code": …, …}]}); for people it ends with the commands that bring back the guests that have gone. back_to: this host's name as seen
 * from there; NULL: there is no way back. */
void board_summary(struct fleet_board *b, const struct fleet *f, const char *back_to);

#endif
