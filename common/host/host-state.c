/* host-state.c: see host-state.h. */
#include "host-state.h"
#include "host-load.h"
#include "process.h"
#include "room.h"
#include "util.h"

#include <sys/stat.h>

/* Containers and hosts that share a kernel have process namespaces of their own. */
char *host_instance(void)
{
	AUTO_FREE char *boot = boot_id();
	struct stat st;

	return xasprintf("%s/%llx", boot ?: "?", stat("/proc/self/ns/pid", &st) ? 0ULL : (unsigned long long)st.st_ino);
}

json_t *host_state(void)
{
	json_t *state = json_pack("{s:i,s:f}", "processors", (int)own_processors(), "load", host_load_average());
	uint64_t total = memory_total(), available = memory_available();

	AUTO_FREE char *instance = host_instance();

	json_object_set_new(state, "instance", json_string(instance));
	if (total && available) {
		json_object_set_new(state, "memory_total", json_integer((json_int_t)total));
		json_object_set_new(state, "memory_available", json_integer((json_int_t)available));
	}
	return state;
}

json_t *host_volume(const char *dir, uint64_t need)
{
	struct room room;
	struct stat st;

	if (room_get(dir, &room) || stat(dir, &st))
		return NULL;
	return json_pack("{s:s,s:I,s:I,s:I,s:I}", "dir", dir, "device", (json_int_t)st.st_dev, "need", (json_int_t)need, "free",
			 (json_int_t)room.disk, "total", (json_int_t)room.disk_total);
}
