/* point-files.c: what a guest that runs from a point of its replica may write to besides its disks: nothing that another guest has, and, of a trial, nothing that would stay. See point-run.h. */
#include "memory-file.h"
#include "point-run.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static bool is_trial(const struct run *r)
{
	return !strcmp(r->kind, "test");
}

/* A disk that is in no point, as no device has it, would be whatever has its name here. */
static int check_is_of_point(const struct run *r, const struct args_file *f, struct err *e)
{
	bool found = (f->role != ARGS_DISK && f->role != ARGS_PFLASH_VARS) || f->read_only || !f->to;

	for (size_t i = 0; point_disk(r->point, i) && !found; i++) {
		AUTO_FREE char *overlay = run_overlay(r, i);

		found = !strcmp(f->to, overlay);
	}
	return found ? 0
		     : err_set(e, ENOTSUP,
			       "the guest's command line names %s (-%s), to which it may write, and which is in no point of its replica",
			       f->to, f->option);
}

/* A run in the guest's place would have the trial's memory, also once the trial's QEMU has ended. */
static int check_memory(const struct run *r, const struct args_file *f, const char *path, struct err *e)
{
	pid_t pid = memory_file_user(f, path);
	AUTO_FREE char *who = process_text(pid);

	if (pid)
		return err_set(e, EBUSY,
			       "the guest's memory is to be in the file %s (-%s), which %s has open here: two guests would have one memory",
			       path, f->option, who);
	return is_trial(r) && memory_file_is_shared(f, path)
		       ? err_set(e, ENOTSUP,
				 "the guest's memory is in the file %s (-%s), which a guest that takes over would have, too: give it a "
				 "directory, as /dev/shm, or share=off, at its primary, and make another point",
				 path, f->option)
		       : 0;
}

/* Contents of an overlay are thrown away after a trial, those of a directory are not. */
static int check_directory(const struct run *r, const struct args_file *f, const char *path, struct err *e)
{
	return is_trial(r) && f->role == ARGS_DIRECTORY && !f->read_only
		       ? err_set(e, ENOTSUP,
				 "the guest may write to the directory %s (-%s), and what a trial writes there would stay: "
				 "readonly=on at its primary, and another point, or no trial of this guest",
				 path, f->option)
		       : 0;
}

int run_check_files(const struct run *r, struct err *e)
{
	int k = 0;

	for (size_t i = 0; i < r->args.file_count && !k; i++) {
		const struct args_file *f = &r->args.files[i];
		const char *path = f->to ?: f->path;

		k = check_is_of_point(r, f, e);
		if (path)
			k = k ?: check_memory(r, f, path, e) ?: check_directory(r, f, path, e);
	}
	return k;
}
