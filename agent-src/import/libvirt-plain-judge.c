/*
 * libvirt-plain-judge.c: may the line of a guest of libvirt's that runs be believed? Its QEMU is mostly another user's, and the line that user's word: it is judged as a
 * stranger's line is (line-trust.h), and the files that it names are those of the definition.
 */
#include "libvirt-plain-private.h"
#include "line-trust.h"
#include "qemu-args.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

#define SWTPM_SOCKETS "/run/libvirt/qemu/swtpm/"

static bool is_of_definition(const struct libvirt_definition *d, const char *path)
{
	size_t i, k;

	for (i = 0; i < d->disk_count; i++) {
		if (text_equal(d->disks[i].path, path))
			return true;
		for (k = 0; k < d->disks[i].backing_count; k++)
			if (text_equal(d->disks[i].backing[k], path))
				return true;
	}
	return text_equal(d->firmware.loader, path) || text_equal(d->firmware.nvram, path) || text_equal(d->boot.kernel, path) ||
	       text_equal(d->boot.initrd, path) || text_equal(d->boot.dtb, path);
}

static bool is_expected(const struct libvirt_definition *d, const struct args_file *f)
{
	static const char *const devices[] = {"/dev/urandom", "/dev/random", "/dev/hwrng", NULL};

	if (f->role == ARGS_LISTEN) /* the line's sockets are ours by now */
		return true;
	if (f->role == ARGS_TPM)
		return d->tpm.is_there && d->tpm.is_emulator && text_starts_with(f->path, SWTPM_SOCKETS) && !strstr(f->path, "/../");
	if (f->role == ARGS_HOST_DEVICE && word_index(devices, f->path) >= 0)
		return true;
	return args_role_is_content(f->role) && is_of_definition(d, f->path);
}

static int check_files(const struct libvirt_definition *d, const struct args_result *line, struct err *e)
{
	for (size_t i = 0; i < line->file_count; i++)
		if (!is_expected(d, &line->files[i]))
			return err_set(
				e, ENOTSUP,
				"its QEMU names %s (-%s), which its definition does not: such a guest cannot become a plain one (--as plain) as "
				"it runs: move it shut down (--how cold)",
				line->files[i].path, line->files[i].option);
	return 0;
}

static int check_words(const struct line_words *w, struct err *e)
{
	const char *first = w->host_count ? w->host[0] : w->port_count ? w->ports[0] : NULL;

	return first ? err_set(e, ENOTSUP,
			       "its QEMU has %.*s, which a plain guest (--as plain) cannot have as it runs: move it shut down (--how cold)",
			       (int)strcspn(first, ":"), first)
		     : 0;
}

int plain_judge_line(const struct libvirt_plain *p, const struct libvirt_definition *d, struct err *e)
{
	struct args_options o = {.cwd = "/", .tpm = true};
	struct args_result line;
	struct line_words words;
	struct err why;
	int r = qemu_args_rewrite(&line, p->argv, p->argc, &o, &why);

	if (r)
		return err_set(e, ENOTSUP, "it cannot become a plain guest (--as plain) as it runs, but shut down (--how cold): %s",
			       why.msg);
	r = check_files(d, &line, e);
	if (!r && !(r = line_judge(&words, &line, true, e))) {
		r = check_words(&words, e);
		line_words_fini(&words);
	}
	args_result_fini(&line);
	return r;
}
