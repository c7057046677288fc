/* space.c: see space.h. */
#include "space.h"
#include "room.h"
#include "util.h"

#include <errno.h>
#include <sys/stat.h>

#define FILES_TOO 16 /* sockets, logs, a script: made beside those that are counted */

int space_add(struct space *s, const char *dir, uint64_t bytes, struct err *e)
{
	struct stat st;
	size_t i;

	if (stat(dir, &st))
		return err_sys(e, errno, "cannot look at %s", dir);
	for (i = 0; i < s->count && s->volumes[i].device != st.st_dev; i++)
		;
	if (i == s->count) {
		s->volumes = xrealloc(s->volumes, (i + 1) * sizeof(*s->volumes));
		s->volumes[s->count++] = (struct volume){.device = st.st_dev, .dir = xstrdup(dir)};
	}
	s->volumes[i].need += bytes;
	s->volumes[i].files++;
	return 0;
}

int space_check_volume(const struct volume *v, const char *what, struct err *e)
{
	char need[24], have[24];
	struct room room;
	int r = room_get(v->dir, &room);

	if (r)
		return err_sys(e, -r, "cannot look at %s", v->dir);
	if (room.files < v->files + FILES_TOO)
		return err_set(e, ENOSPC, "%s need files in %s, whose file system can take only %llu more (its inodes are in use: df -i)",
			       what, v->dir, (unsigned long long)room.files);
	if (v->need <= room.disk)
		return 0;
	return err_set(e, ENOSPC, "%s need %s but %s has only %s free", what, format_bytes(need, v->need), v->dir,
		       format_bytes(have, room.disk));
}

int space_check(const struct space *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < s->count && !r; i++)
		r = space_check_volume(&s->volumes[i], "the disks", e);
	return r;
}

void space_fini(struct space *s)
{
	while (s->count)
		free(s->volumes[--s->count].dir);
	free(s->volumes);
	s->volumes = NULL;
}

int space_check_dir(const char *dir, uint64_t bytes, const char *what, struct err *e)
{
	struct volume v = {.dir = (char *)dir, .need = bytes};

	return space_check_volume(&v, what, e);
}
