/* guest-of-libvirt.c: see guest-of-libvirt.h. */
#include "guest-of-libvirt.h"
#include "libvirt-rpc.h"
#include "lv-process.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBVIRT_MS 2000

bool guest_is_run_by_libvirt(const struct guest *g)
{
	AUTO_FREE char *name = lv_name_of_process(g->pid);

	return name;
}

void guest_take_if_libvirts(struct guest *g)
{
	char *name = lv_name_of_process(g->pid);

	if (!name)
		return;
	FREE_ALL(g->name, g->owner_hint, g->cwd);
	g->name = name;
	g->owner_hint = xstrdup("libvirt");
	g->cwd = xstrdup("/");
	g->foreign = false;
}

/* A user's own libvirt ends by itself when no guest of it runs, and is started by virsh. */
static char *word_of_one_away(const char *vm)
{
	AUTO_FREE char *config = lv_config_dir();
	AUTO_FREE char *file = xasprintf("%s/qemu/%s.xml", config, vm);

	return xstrdup(strchr(vm, '/') || access(file, F_OK) ? ""
		       : geteuid()
			       ? ". libvirt has a guest of that name, and does not run: start it (virsh -c qemu:///session list)"
			       : ". libvirt has a guest of that name, and does not run: start it (systemctl start libvirtd, or virtqemud)");
}

char *guest_libvirts_word(const char *vm)
{
	struct lv_domain d;
	struct err ignored;
	struct lv *v;
	char *word = NULL;
	int r = lv_open(&v, LIBVIRT_MS, &ignored);

	if (r)
		return r == -ENOENT ? word_of_one_away(vm) : xstrdup("");
	if (!lv_lookup(v, vm, &d, &ignored)) {
		word = xasprintf(
			". libvirt has a guest of that name, which is shut down: it is moved with --how cold, and what else is to be "
			"done with it is virsh's");
		lv_domain_fini(&d);
	}
	lv_close(v);
	return word ?: xstrdup("");
}
