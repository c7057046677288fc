/* host-state.c: see host-state.h. */
#include "host-state.h"
#include "host-load.h"
#include "process.h"
#include "room.h"

json_t *host_state(void)
{
	json_t *state = json_pack("{s:i,s:f}", "processors", (int)own_processors(), "load", host_load_average());
	uint64_t total = memory_total(), available = memory_available();

	if (total && available) {
		json_object_set_new(state, "memory_total", json_integer((json_int_t)total));
		json_object_set_new(state, "memory_available", json_integer((json_int_t)available));
	}
	return state;
}

json_t *host_volume(const char *dir, uint64_t need)
{
	struct room room;

	if (room_get(dir, &room))
		return NULL;
	return json_pack("{s:s,s:I,s:I,s:I}", "dir", dir, "need", (json_int_t)need, "free", (json_int_t)room.disk, "total",
			 (json_int_t)room.disk_total);
}
