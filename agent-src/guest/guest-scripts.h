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
	bool plain;  /* it has nothing but plain words (script-read.h), and they name an image; otherwise its text mentions one, and QEMU */
	bool ours;   /* vmferry wrote it, and as far as can be told nobody has edited it */
	bool linked; /* it has another name, which nobody knows */
};

struct guest_scripts {
	struct guest_script *list;
	size_t count;
};

/* Those that name one of the images (real paths), in the order in which they are found. guest_scripts_fini() always. */
void guest_scripts_find(struct guest_scripts *out, const struct guest *g, const char *const *images, size_t count);
void guest_scripts_fini(struct guest_scripts *s);
/* Leaves out the i-th. */
void guest_scripts_drop(struct guest_scripts *s, size_t i);
/* The real paths of images from which the guest could be started here again: its disks that it writes to, as they are now and as its QEMU was started with
 * them. args_free_strings() */
size_t guest_images(const struct guest *g, char ***out);
/* Does the script's line name the image, also while nothing has that name? As disk_line_change(), which only looks. */
int guest_script_names(const struct guest *script, const char *image, struct disk_line_options *o, struct err *e);
/* Is it there as a whole, and not as a part of another name? */
bool text_has_name(const char *text, const char *name);
/* For disk_line_change() of a script's line; ctx: a script_image. */
struct script_image {
	const struct guest *script;
	const char *path; /* of the image */
};
bool guest_script_is_image(void *ctx, const char *path);

#endif
