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

enum place_wish { PLACE_EVEN, PLACE_FAST, PLACE_FULL }; /* most room left; shortest time; least room left above PLACE_FULL_LEAST */
#define PLACE_FULL_LEAST 0.1

/* A file system of a host, by a directory on it. */
struct place_volume {
	char *dir;
	uint64_t device;	    /* equal for the same file system */
	uint64_t free, total, need; /* bytes; need: of the offer's guest */
};

/* Memory, processors and room of a host, from its last answer; a total of 0: not known. What is placed there is counted separately. */
struct place_host {
	const char *name;
	uint64_t memory_total, memory_free;
	double processors, load; /* load: processors in use */
	uint64_t memory_taken;	 /* memory of guests placed there */
	double processors_taken;
	struct place_volume taken[PLACE_VOLUMES_MAX]; /* need: bytes taken */
	size_t taken_count;
};

struct place_guest {
	const char *name;
	uint64_t memory;
	double processors; /* processors that the guest uses now */
};

/* Result of checking a guest at a host. */
struct place_offer {
	bool possible;
	const char *reason; /* why it is not possible; borrowed */
	const char *how;    /* kind of move; NULL: from the options */
	double total_s;
	uint64_t bytes;
	struct place_volume volumes[PLACE_VOLUMES_MAX];
	size_t volume_count;
};

struct place_rating {
	bool possible;
	double left; /* smallest share left; 0 if not known */
	double next; /* next larger share, to compare hosts with equal smallest shares */
	char *words; /* "memory 38 %", or why it is not possible; malloc'ed */
	unsigned stars;
};

/* A guest that is or may be at a host already, and is not placed again. */
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
	const struct place_settled *settled; /* rules apply to these, too */
	size_t settled_count;
	enum place_wish wish;
	uint64_t keep_memory; /* memory to stay free at each host */
};

/* Rates an offer, considering what was placed at that host. */
struct place_rating place_rate(const struct place *p, size_t guest, size_t host);
/* Places all guests, those with most memory first. ranks: guest_count * host_count; per guest its possible hosts, best first, then
 * host_count. ratings: same size, by host, as of when the guest was placed; free their words with place_free_ratings(). */
void place_all(struct place *p, size_t *ranks, struct place_rating *ratings);
void place_free_ratings(struct place_rating *ratings, size_t count);

#endif
