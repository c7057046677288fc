/* exit-code.h: where the guest is, as both programs' exit codes say it (the man pages' EXIT STATUS). */
#ifndef VMFERRY_EXIT_CODE_H
#define VMFERRY_EXIT_CODE_H

enum exit_code {
	EXIT_DESTINATION = 0,
	EXIT_SOURCE = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_LEFTOVERS = 4, /* the same as EXIT_SOURCE, but something of the move is left */
	EXIT_PAUSED = 5,
	EXIT_UNDECIDED = 6,
	EXIT_PEER_LOST = 7, /* the guest is at the destination as far as is known */
	EXIT_NOWHERE = 8,
};

#endif
