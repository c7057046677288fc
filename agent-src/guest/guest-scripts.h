/*
 * guest-scripts.h: the scripts on this host that would start a guest from its images here: NAME.sh, which vmferry leaves, and those of others. They are
 * looked for beside its disks, its monitors, its sockets and its pidfile, and where a unit says. None is run or changed.
 */
#ifndef VMFERRY_GUEST_SCRIPTS_H
#define VMFERRY_GUEST_SCRIPTS_H

#include "disk-line.h"
#include "qemu-discover.h"

struct guest_script {
	char *path;  /* real */
	bool plain;  /* the text has only plain words (script-read.h), which name an image; otherwise it mentions QEMU and an image */
	bool ours;   /* vmferry wrote the script, and as far as can be told no one has edited it */
	bool linked; /* the script has another, unknown name (hard link) */
};

struct guest_scripts {
	struct guest_script *list;
	size_t count;
};

/* Finds scripts that name one of the images (real paths), in the order of the search. guest_scripts_fini() always. */
void guest_scripts_find(struct guest_scripts *out, const struct guest *g, const char *const *images, size_t count);
void guest_scripts_fini(struct guest_scripts *s);
/* True if the text of that file, a script or a unit, runs QEMU on one of the images. */
bool guest_script_starts(const char *path, const char *const *images, size_t count);
/* True if this text, of that path, does: a unit's, which is no script. */
bool guest_script_text_starts(const char *path, const char *text, const char *const *images, size_t count);
/* Removes the i-th from the list. */
void guest_scripts_drop(struct guest_scripts *s, size_t i);
/* Real paths of images from which the guest could be started here again: disks that it writes to, as they are now and as QEMU was
 * started with them. args_free_strings() */
size_t guest_images(const struct guest *g, char ***out);
/* True if the script's line names the image, even if no file has that name now. Errors as disk_line_change(), which only looks here. */
int guest_script_names(const struct guest *script, const char *image, struct disk_line_options *o, struct err *e);
/* True if text contains the name as a whole, not as part of another name. */
bool text_has_name(const char *text, const char *name);
/* True if the text names QEMU, or that program (its last name; NULL: none), as what is run: not as a directory of a path, nor as /dev/kvm. */
bool text_runs_qemu(const char *text, const char *program);
/* Callback for disk_line_change() on a script's line; ctx: a script_image. */
struct script_image {
	const struct guest *script;
	const char *path; /* path of the image */
};
bool guest_script_is_image(void *ctx, const char *path);

#endif
