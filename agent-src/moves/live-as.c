/*
 * live-as.c: a guest of libvirt's that runs becomes a plain one, and runs on (--as plain). Here everything is as in its move to a libvirt: its job is held, its
 * definition set aside, and it is forgotten when the guest was given up. There nothing is libvirt's: a QEMU by the line of the one here waits for what that sends.
 */
#include "libvirt-plain.h"
#include "replica-sync.h"
#include "transfer.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The process's command line as the kernel has it, word by word; malloc'ed. */
static char **line_of(pid_t pid, size_t *count)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	AUTO_FREE char *word = NULL;
	char **argv = xcalloc(1, sizeof(*argv));
	FILE *f = fopen(path, "re");
	size_t room = 0;

	*count = 0;
	while (f && getdelim(&word, &room, 0, f) > 0) {
		argv = xrealloc(argv, (*count + 2) * sizeof(*argv));
		argv[(*count)++] = xstrdup(word);
		argv[*count] = NULL;
	}
	if (f)
		fclose(f);
	return argv;
}

/* The replica's host needs no libvirt, and runs the guest without one from each of its points. */
static bool is_to_become_plain(const struct transfer *t)
{
	return t->opt->cold.as == AS_PLAIN || (t->opt->replica && t->opt->replica->planned);
}

int live_become_plain(struct transfer *t, struct err *e)
{
	struct libvirt_guest *l = &t->around.definition.guest;
	struct plain_live live = {.nets = t->opt->map_net.at,
				  .net_count = t->opt->map_net.count,
				  .dir = transfer_disk_dir(t),
				  .whole = t->opt->replica};
	char **argv;
	int r;

	if (!is_to_become_plain(t))
		return 0;
	argv = line_of(t->src.guest.pid, &live.argc);
	live.argv = argv;
	r = live.argc ? libvirt_plain_live_line(&l->plain, l->live_xml, &l->def, &live, e)
		      : err_set(e, ESRCH, "its QEMU (process %d) has ended", (int)t->src.guest.pid);
	args_free_strings(argv, live.argc);
	if (r)
		return err_prefix(e, "guest %s of libvirt%s", l->domain.name,
				  t->opt->replica ? ", as a plain one at its replica's host" : "");
	libvirt_describe_plain(l, &t->src.guest);
	t->src.libvirt.goes_plain = true;
	return 0;
}

int live_check_as(const struct transfer *t, struct err *e)
{
	return t->opt->cold.as != AS_PLAIN || t->src.libvirt.goes_plain
		       ? 0
		       : err_set(e, EINVAL,
				 "--as plain is for a guest of libvirt's, and %s is none: it arrives as a plain one without that",
				 t->src.guest.name);
}
