/*
 * place.h: which guest goes to which host. A host is rated by what would be shortest there afterwards: of its memory, its processors and the room for
 * disks, the smallest share that is left. That names a reason that a person can check, which a sum of weights cannot. Pure.
 */
#ifndef VMFERRY_PLACE_H
#define VMFERRY_PLACE_H

#include "fleet-rules.h"

#include <stdint.h>

#define PLACE_VOLUMES_MAX 16
#define PLACE_STARS	  5

enum place_wish { PLACE_EVEN, PLACE_FAST, PLACE_FULL }; /* most left; least time; least left that is above PLACE_FULL_LEAST */
#define PLACE_FULL_LEAST 0.1

/* A file system of a host, by a directory on it. */
struct place_volume {
	char *dir;
	uint64_t device;	    /* the same number: the same file system */
	uint64_t free, total, need; /* bytes; need: of the guest that the offer is about */
};

/* A host's memory, processors and room; 0 of a total: it does not say. They are as its last answer was, and what is placed there is kept beside them. */
struct place_host {
	const char *name;
	uint64_t memory_total, memory_free;
	double processors, load; /* load: processors that are in use */
	uint64_t memory_taken;	 /* by guests that were placed there; the same below */
	double processors_taken;
	struct place_volume taken[PLACE_VOLUMES_MAX]; /* need is what was taken */
	size_t taken_count;
};

struct place_guest {
	const char *name;
	uint64_t memory;
	double processors; /* that it uses where it is */
};

/* A guest at a host, as a check has found. */
struct place_offer {
	bool possible;
	const char *reason; /* why not; borrowed */
	const char *how;    /* the kind of move; NULL: as the options say */
	double total_s;
	uint64_t bytes;
	struct place_volume volumes[PLACE_VOLUMES_MAX];
	size_t volume_count;
};

struct place_rating {
	bool possible;
	double left; /* the smallest share; 0 where the host does not say */
	double next; /* the one above it: between two hosts that are as short of something */
	char *words; /* "memory 38 %", or why it is not possible; malloc'ed */
	unsigned stars;
};

/* A guest that is at a host already, or may be, and is not placed any more. */
struct place_settled {
	const char *guest;
	size_t host;
};

struct place {
	const struct place_guest *guests;
	struct place_host *hosts;
	const struct place_offer *offers; /* guest * host_count + host */
	size_t guest_count, host_count;
	const struct fleet_rules *rules;     /* NULL: none */
	const struct place_settled *settled; /* rules hold beside them, too */
	size_t settled_count;
	enum place_wish wish;
	uint64_t keep_memory; /* stays free at each host */
};

/* The rating of an offer beside what was placed at that host. */
struct place_rating place_rate(const struct place *p, size_t guest, size_t host);
/*
 * Chooses for all, the guests of most memory first. ranks: guest_count * host_count; of each guest its possible hosts, the best first, then host_count.
 * ratings: the same size, by host, as they were when its guest was placed; their words are freed with place_free_ratings().
 */
void place_all(struct place *p, size_t *ranks, struct place_rating *ratings);
void place_free_ratings(struct place_rating *ratings, size_t count);

#endif
