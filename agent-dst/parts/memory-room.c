/* memory-room.c: see memory-room.h. */
#include "memory-room.h"
#include "promised.h"
#include "qemu-opts.h"
#include "room.h"
#include "same-file.h"
#include "space.h"
#include "util.h"

#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#define MEMORY_OF_QEMU (128 * MIB) /* memory of a guest whose line has no -m */

/* Bytes that -mem-path is for: -m, in MiB if nothing else is said. */
static uint64_t first_memory(const struct args_result *args)
{
	uint64_t bytes = MEMORY_OF_QEMU;
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(args->argv, args->argc, &i, &opt)) {
		struct kv_list l;
		const char *said;

		if (strcmp(opt.name, "m") || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		said = kv_get(&l, "size", "size") ?: "";
		if (!parse_bytes(said, &bytes) && text_is_digits(said))
			bytes *= MIB;
		kv_fini(&l);
	}
	return bytes;
}

static bool is_memory(const struct args_file *f)
{
	return args_role_is_memory(f->role) && f->to;
}

static uint64_t bytes_of(const struct args_result *args, const struct args_file *f)
{
	for (size_t i = 0; i < args->file_count && !f->bytes; i++)
		if (is_memory(&args->files[i]) && &args->files[i] != f)
			return 0; /* the line does not say which of them has how much */
	return f->bytes ?: first_memory(args);
}

/* The directory, and a name in it: a directory is given where QEMU makes a file in it. Malloc'ed. */
static char *name_in_dir(const struct args_file *f)
{
	return path_is_directory(f->to) ? xasprintf("%s/-", f->to) : xstrdup(f->to);
}

/* Bytes that are to be taken there yet: of a file that is there already the rest. */
static uint64_t bytes_to_come(const struct args_result *args, const struct args_file *f, const char *name)
{
	uint64_t bytes = bytes_of(args, f), has;
	struct stat st;

	has = !stat(name, &st) && S_ISREG(st.st_mode) ? (uint64_t)st.st_blocks * 512 : 0;
	return bytes - MIN(bytes, has);
}

static void add_needs(const struct target *t, struct space *s)
{
	struct err ignored;

	for (size_t i = 0; i < t->args.file_count; i++) {
		const struct args_file *f = &t->args.files[i];
		AUTO_FREE char *name = is_memory(f) ? name_in_dir(f) : NULL;
		AUTO_FREE char *copy = xstrdup(name);

		if (name)
			/* a missing directory is reported elsewhere */
			space_add(s, dirname(copy), bytes_to_come(&t->args, f, name), &ignored);
	}
}

/* statfs tells nothing about huge pages unless their mount has a size; QEMU is asked about those. */
static bool tells(const struct volume *v, struct room *room)
{
	return !room_get(v->dir, room) && room->disk_total;
}

void memory_room_examine(struct target *t)
{
	struct space s = {.count = 0};
	struct room room;
	struct err e;

	add_needs(t, &s);
	for (size_t i = 0; i < s.count; i++) {
		const struct volume *v = &s.volumes[i];
		char a[24], b[24];

		if (!tells(v, &room) || v->need <= room.disk)
			continue;
		err_set(&e, ENOSPC, "the files behind the guest's memory need %s, and %s at the destination has only %s free%s",
			format_bytes(a, v->need), v->dir, format_bytes(b, room.disk),
			room.disk_is_memory ? ": let it be larger (mount -o remount,size=… there)" : "");
		target_obstacle(t, &e);
	}
	space_fini(&s);
}

void memory_room_promise(const struct target *t, json_t *files)
{
	for (size_t i = 0; i < t->args.file_count; i++) {
		const struct args_file *f = &t->args.files[i];
		AUTO_FREE char *name = is_memory(f) ? name_in_dir(f) : NULL;

		if (name)
			promised_add_file(files, name, bytes_of(&t->args, f));
	}
}

void memory_room_beside(struct target *t, const json_t *others)
{
	struct space s = {.count = 0};
	struct room room;
	struct err e;

	add_needs(t, &s);
	for (size_t i = 0; i < s.count; i++)
		if (tells(&s.volumes[i], &room) && promised_check_room(others, s.volumes[i].dir, "the files behind the guest's memory",
								       s.volumes[i].need, room.disk, PROMISED_AT_DESTINATION, &e))
			target_obstacle(t, &e);
	space_fini(&s);
}
