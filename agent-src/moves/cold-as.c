/*
 * cold-as.c: a guest that is shut down changes hands (--as): one of libvirt's becomes a plain one, or the other way round. It is the same machine, as near as
 * the other can have it, and it boots.
 */
#include "identity.h"
#include "libvirt-plain.h"
#include "paths.h"
#include "plain-libvirt.h"
#include "transfer.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

/* ---- of libvirt's, to a plain one ---- */

int cold_decide_as(struct transfer *t, struct err *e)
{
	struct libvirt_guest *l = &t->around.definition.guest;
	AUTO_FREE char *dir = t->opt->disk_dir && l->domain.name ? path_with_name(t->opt->disk_dir, l->domain.name) : NULL;

	if (t->opt->cold.as != AS_PLAIN)
		return 0;
	if (!t->recipe->owner)
		return err_set(
			e, EINVAL,
			"--as plain is for a guest of libvirt's, and libvirt here defines no guest %s: one that is not libvirt's arrives as a plain one "
			"without that",
			t->opt->vm);
	if (!libvirt_plain_line(&l->plain, l->xml, &l->def, dir, e))
		return 0;
	t->src.guest.name = xstrdup(l->domain.name);
	return err_prefix(e, "guest %s of libvirt", l->domain.name);
}

/* ---- a plain one, to one of libvirt's ---- */

/* Emulator for libvirt's definition; the destination replaces it by its own. Malloc'ed. */
static char *emulator_of(const struct guest *g)
{
	const char *base = path_base(g->exe);

	if (!strcmp(base, "kvm")) /* a name that some distributions have for it */
		return xstrdup("/usr/bin/qemu-system-x86_64");
	return *g->exe == '/' ? xstrdup(g->exe) : xasprintf("/usr/bin/%s", base);
}

static char *bridge_of(const char *tap)
{
	AUTO_FREE char *link = strchr(tap, '/') ? NULL : xasprintf("/sys/class/net/%s/master", tap);
	AUTO_FREE char *bridge = link ? xasprintf("%s/bridge", link) : NULL;
	char *to = bridge && !access(bridge, F_OK) ? realpath(link, NULL) : NULL, *name = to ? xstrdup(basename(to)) : NULL;

	free(to);
	return name;
}

/* The files of its line, in which formats they are, and the socket of its TPM. */
static int look_at_line(struct libvirt_guest *l, const struct guest *g, struct plain_image *images, size_t *count, struct err *e)
{
	struct args_result line;
	int r = guest_look_at_line(g, true, &line, e);

	if (r)
		return r;
	for (size_t i = 0; i < line.file_count; i++)
		if (line.files[i].role == ARGS_TPM && !l->tpm_socket)
			l->tpm_socket = xstrdup(line.files[i].path);
	args_result_fini(&line);
	for (size_t i = 0; i < g->disk_count; i++)
		if (g->disks[i].file)
			images[(*count)++] = (struct plain_image){g->disks[i].file, g->disks[i].format};
	return 0;
}

static int make_definition(struct transfer *t, struct plain_libvirt *made, struct err *e)
{
	const struct guest *g = &t->src.guest;
	struct libvirt_guest *l = &t->around.definition.guest;
	AUTO_FREE struct plain_image *images = xcalloc(g->disk_count + 1, sizeof(*images));
	AUTO_FREE char *emulator = emulator_of(g);
	char uuid[UUID_CHARS + 1];
	struct plain_guest plain = {.argv = g->line.expanded,
				    .argc = g->line.expanded_count,
				    .name = g->name,
				    .cwd = g->cwd,
				    .emulator = emulator,
				    .machine = t->opt->machine,
				    .uuid = uuid,
				    .images = images,
				    .nets = t->opt->map_net.at,
				    .net_count = t->opt->map_net.count,
				    .tpm2 = g->tpm.tpm2 || !g->tpm.socket,
				    .bridge_of = bridge_of};

	identity_uuid(uuid);
	*made = (struct plain_libvirt){.xml = NULL};
	return look_at_line(l, g, images, &plain.image_count, e) ?: plain_libvirt_make(made, &plain, e);
}

/* Takes the new definition as if libvirt had defined the guest here. libvirt has not, so nothing is to be undefined. */
int cold_become(struct transfer *t, struct err *e)
{
	struct libvirt_guest *l = &t->around.definition.guest;
	struct plain_libvirt made;
	int r;

	if (t->opt->cold.as != AS_LIBVIRT || t->recipe->owner)
		return 0;
	r = make_definition(t, &made, e) ?: libvirt_definition_read(&l->def, made.xml, strlen(made.xml), e);
	if (!r) {
		l->xml = xstrdup(made.xml);
		l->domain.name = xstrdup(l->def.name);
		l->is_plain_here = true;
		l->autostart = t->opt->starter.install_unit;
		r = source_become_libvirts(&t->src, l, e);
	}
	for (size_t i = 0; i < made.note_count && !r; i++)
		guest_note(&t->src.guest, "as one of libvirt's: %s", made.notes[i]);
	plain_libvirt_fini(&made);
	return r ? err_prefix(e, "guest %s", t->src.guest.name) : 0;
}
