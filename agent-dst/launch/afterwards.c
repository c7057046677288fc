/* afterwards.c: see afterwards.h. */
#include "afterwards.h"
#include "durable-file.h"
#include "json-text.h"
#include "fault.h"
#include "log.h"
#include "open-regular.h"
#include "shell-quote.h"
#include "start-script.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_MAX     99
#define UNIT_TEXT_MAX 16384
#define MOUNTS_MAX    8192
#define SCRIPT_MAX    MIB

/* ---- the plan ---- */

static char *script_path(const char *dir, const char *plain, unsigned n)
{
	return n == 1 ? xasprintf("%s/%s.sh", dir, plain) : xasprintf("%s/%s-%u.sh", dir, plain, n);
}

/* ---- the script that a move before this one has left ---- */

static bool ends_a_path(char c)
{
	return !c || strchr(" ,'\"\\\n", c);
}

static bool names_path(const char *text, const char *path)
{
	const char *p = text;
	size_t n = strlen(path);

	while (n && (p = strstr(p, path)) && !ends_a_path(p[n]))
		p++;
	return n && p;
}

static bool names_a_disk(const char *text, const json_t *disks)
{
	json_t *path;
	size_t i;

	json_array_foreach((json_t *)disks, i, path)
		if (json_is_string(path) && names_path(text, json_string_value(path)))
			return true;
	return false;
}

/* A script that vmferry wrote, of nobody's who could not write there anyhow, not edited, of a guest on one of these disks. */
static bool is_former(const char *path, const json_t *disks)
{
	AUTO_CLOSE int fd = disks ? open_regular(path) : -1;
	AUTO_FREE char *text = NULL;
	struct stat st, name;
	size_t n;

	if (fd < 0 || fstat(fd, &st) || lstat(path, &name) || !S_ISREG(name.st_mode))
		return false;
	if (st.st_uid && st.st_uid != geteuid())
		return false;
	if (read_regular(fd, SCRIPT_MAX, &text, &n) || memchr(text, 0, n))
		return false;
	return start_script_origin(text) == SCRIPT_OURS && names_a_disk(text, disks);
}

void afterwards_replace(json_t *plan, json_t *disks)
{
	json_object_set(plan, "disks", disks);
	for (unsigned n = 1; n <= NAMES_MAX; n++) {
		AUTO_FREE char *script = script_path(json_text(plan, "dir"), json_text(plan, "plain"), n);
		struct stat st;

		if (lstat(script, &st) && errno == ENOENT)
			return;
		if (!is_former(script, disks))
			continue;
		json_object_set_new(plan, "script", json_string(script));
		return;
	}
}

/* The draft takes the place of the script at path. At every moment the old script or the new one is there. */
static int take_its_place(const char *draft, const char *path, struct err *e)
{
	AUTO_FREE char *second = xasprintf("%s.new", draft);

	if (unlink(second) && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", second);
	if (link(draft, second) || rename(second, path))
		return err_sys(e, errno, "cannot replace %s; its text is in %s", path, draft);
	return 0;
}

/* NAME.sh.moved-ID, NAME-2.sh.moved-ID */
static bool is_former_name(const char *name, const char *plain)
{
	static const char end[] = ".sh.moved-";
	const char *p = name + strlen(plain);

	if (!text_starts_with(name, plain))
		return false;
	if (*p == '-')
		p += 1 + strspn(p + 1, "0123456789");
	return text_starts_with(p, end) && strlen(p + strlen(end)) == 8 && strspn(p + strlen(end), "0123456789abcdef") == 8;
}

/* Scripts that lost their names when the guest left this host earlier are removed. */
static void remove_former(const json_t *plan)
{
	const char *dir = json_text(plan, "dir"), *plain = json_text(plan, "plain");
	DIR *list = json_object_get(plan, "disks") ? opendir(dir) : NULL;
	struct dirent *x;

	while (list && (x = readdir(list))) {
		AUTO_FREE char *path = is_former_name(x->d_name, plain) ? xasprintf("%s/%s", dir, x->d_name) : NULL;

		if (path && is_former(path, json_object_get(plan, "disks")) && unlink(path))
			log_info("cannot remove %s", path);
	}
	if (list)
		closedir(list);
}

static int plan_unit(json_t *plan, const char *plain, struct err *e)
{
	bool user = geteuid() != 0;
	AUTO_FREE char *unit = xasprintf("vmferry-%s.service", plain);
	AUTO_FREE char *dir = systemd_unit_dir(user, false);
	AUTO_FREE char *file = xasprintf("%s/%s", dir, unit);
	const char *ask[] = {"show", "-p", "LoadState", "--", unit, NULL};
	AUTO_FREE char *shown = NULL;
	AUTO_FREE char *state = NULL;
	struct stat st;

	if (!systemd_runs())
		return err_set(e, ENOTSUP, "--install-unit: the destination does not run systemd");
	if (systemctl(user, ask, &shown, e))
		return err_prefix(e, "--install-unit: systemd at the destination");
	state = unit_property(shown, "LoadState");
	if (strcmp(state, "not-found") || !lstat(file, &st))
		return err_set(e, EEXIST,
			       "--install-unit: there is a unit %s at the destination already; remove it first, or move without "
			       "--install-unit",
			       unit);
	if (!dir_is_writable(dir))
		return err_set(e, EPERM, "--install-unit: %s at the destination cannot be written", dir);
	json_object_set_new(plan, "unit", json_string(unit));
	json_object_set_new(plan, "unit_file", json_string(file));
	json_object_set_new(plan, "user", json_boolean(user));
	return 0;
}

int afterwards_plan(json_t **out, const char *guest, const char *dir, const char *attempt, bool install_unit, struct err *e)
{
	AUTO_FREE char *plain = unit_plain_name(guest);
	AUTO_FREE char *draft = xasprintf("%s/.%s.sh.vmferry-%.8s", dir, plain, attempt);
	char *script = NULL;
	json_t *plan;
	struct stat st;
	int r;

	for (unsigned n = 1; n <= NAMES_MAX; n++) {
		free(script);
		script = script_path(dir, plain, n);
		if (lstat(script, &st))
			break;
	}
	plan = json_pack("{s:s,s:s,s:s,s:s,s:s}", "guest", guest, "dir", dir, "plain", plain, "script", script, "draft", draft);
	free(script);
	if (!plan)
		return err_set(e, EILSEQ, "the directory %s has a name that is not UTF-8 text", dir);
	r = install_unit ? plan_unit(plan, plain, e) : 0;
	if (r)
		json_decref(plan);
	else
		*out = plan;
	return r;
}

void afterwards_need(json_t *plan, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	AUTO_FREE char *dir = unit_path(dirname(copy));
	const char *before = json_text(plan, "mounts") ?: "";
	AUTO_FREE char *all = dir ? xasprintf("%s %s", before, dir) : NULL;

	if (json_text(plan, "unit") && all && !strstr(before, dir) && strlen(all) < MOUNTS_MAX)
		json_object_set_new(plan, "mounts", json_string(all));
}

/* ---- prepare ---- */

int afterwards_prepare(struct journal *j, json_t *plan, const char *text, struct err *e)
{
	const char *draft = json_text(plan, "draft");
	json_auto_t *detail = json_pack("{s:s}", "path", draft);
	int r = journal_note(j, "afterwards", plan, e) ?: journal_own(j, "file", detail, e);

	if (!r)
		r = write_new_file(draft, 0600, text, e); /* the command line may hold secrets */
	return r;
}

/* ---- settling ---- */

/* The first name that nobody has. A draft that has its name already got it from an agent that died here. */
static int name_draft(const json_t *plan, char **path, struct err *e)
{
	const char *draft = json_text(plan, "draft"), *dir = json_text(plan, "dir"), *plain = json_text(plan, "plain");

	for (unsigned n = 1; n <= NAMES_MAX; n++) {
		char *try = script_path(dir, plain, n);

		if (!link(draft, try) || (errno == EEXIST && are_one_file(draft, try)) ||
		    (errno == EEXIST && is_former(try, json_object_get(plan, "disks")) && !take_its_place(draft, try, e))) {
			*path = try;
			return sync_parent_dir(try, e);
		}
		if (errno != EEXIST) {
			err_sys(e, errno, "cannot create %s; its text is in %s", try, draft);
			free(try);
			return -e->code;
		}
		free(try);
	}
	return err_set(e, EEXIST, "all names from %s/%s.sh on are taken; its text is in %s", dir, plain, draft);
}

static int settle_script(struct journal *j, const json_t *plan, struct err *e)
{
	const char *draft = json_text(plan, "draft");
	AUTO_FREE char *path = NULL;
	json_auto_t *note = NULL, *detail = NULL;
	struct err ignored;
	int r;

	if (access(draft, F_OK))
		return journal_last_note(j, "start-script") ? 0 : err_set(e, ENOENT, "%s is gone", draft);
	if (chmod(draft, 0700))
		return err_sys(e, errno, "cannot change the mode of %s", draft);
	r = name_draft(plan, &path, e);
	if (r)
		return r;
	fault_point("dst-script-named");
	note = json_pack("{s:s}", "path", path);
	detail = json_pack("{s:s}", "path", draft);
	r = journal_note(j, "start-script", note, e);
	if (!r && !unlink(draft))
		journal_disown(j, "file", detail, &ignored);
	if (!r)
		remove_former(plan);
	return r;
}

/* A user's manager mounts nothing. */
static char *unit_waits_for(const json_t *plan)
{
	const char *mounts = json_text(plan, "mounts");

	return json_is_true(json_object_get(plan, "user"))
		       ? xstrdup("")
		       : xasprintf("Wants=network-online.target\nAfter=network-online.target local-fs.target remote-fs.target\n%s%s%s",
				   mounts ? "RequiresMountsFor=" : "", mounts ? mounts + 1 : "", mounts ? "\n" : "");
}

char *afterwards_unit_text(const json_t *plan, const char *script)
{
	AUTO_FREE char *guest = shell_comment(json_text(plan, "guest"));
	AUTO_FREE char *quoted = unit_quote(script);
	AUTO_FREE char *plain = unit_plain_name(json_text(plan, "guest"));
	AUTO_FREE char *waits = unit_waits_for(plan);

	return xasprintf("# Made by vmferry, which moved the guest %s to this host and started it outside of this unit: it takes over at\n"
			 "# the next boot. Do not start it while the guest runs.\n"
			 "[Unit]\n"
			 "Description=QEMU guest %s\n"
			 "Before=" GUESTS_TARGET "\n"
			 "%s"
			 "\n"
			 "[Service]\n"
			 "Type=exec\n"
			 "ExecStart=/bin/sh %s\n"
			 "\n"
			 "[Install]\n"
			 "WantedBy=%s\n",
			 guest, plain, waits, quoted, json_is_true(json_object_get(plan, "user")) ? "default.target" : "multi-user.target");
}

/* True if the file has the whole text. A part of it, left by an agent that died here, is removed. */
static bool is_written(const char *path, const char *text)
{
	char buf[UNIT_TEXT_MAX];
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (n < 0 || (size_t)n > strlen(text) || memcmp(buf, text, (size_t)n))
		return false;
	if ((size_t)n < strlen(text))
		unlink(path);
	return (size_t)n == strlen(text);
}

static int settle_unit(const json_t *plan, const char *script, struct err *e)
{
	const char *file = json_text(plan, "unit_file"), *unit = json_text(plan, "unit");
	const char *reload[] = {"daemon-reload", NULL}, *enable[] = {"enable", "--", unit, NULL};
	bool user = json_is_true(json_object_get(plan, "user"));
	AUTO_FREE char *text = afterwards_unit_text(plan, script);
	AUTO_FREE char *dir = systemd_unit_dir(user, false);
	int r = make_dirs(dir, e);

	if (!r && !is_written(file, text))
		r = write_new_file(file, 0644, text, e);
	r = r ?: systemctl(user, reload, NULL, e) ?: systemctl(user, enable, NULL, e);
	return r ? err_prefix(e, "unit %s", unit) : 0;
}

static char *what_after_reboot(const json_t *plan, bool unit)
{
	if (!unit)
		return xstrdup("after a reboot there nothing starts the guest by itself: run its script");
	return xasprintf("unit %s starts the guest when its host boots%s", json_text(plan, "unit"),
			 json_is_true(json_object_get(plan, "user"))
				 ? ", if its user may have services then (loginctl enable-linger), otherwise when that user logs in"
				 : "");
}

json_t *afterwards_settle(struct journal *j, const char *doubt)
{
	const json_t *note = journal_last_note(j, "afterwards");
	AUTO_FREE char *sentence = NULL;
	AUTO_FREE char *script = NULL;
	json_t *plan, *told;
	struct err e;
	bool unit = false;
	int r;

	if (!note)
		return NULL;
	plan = json_deep_copy(note); /* later notes may move it */
	told = json_object();
	r = settle_script(j, plan, &e);
	if (!r) {
		script = xstrdup(json_text(journal_last_note(j, "start-script"), "path"));
		json_object_set_new(told, "start_script", json_string(script));
	}
	if (!r && json_text(plan, "unit") && doubt) {
		r = err_set(&e, EBUSY, "unit %s is not enabled: %s before you start it by %s", json_text(plan, "unit"), doubt, script);
	} else if (!r && json_text(plan, "unit")) {
		r = settle_unit(plan, script, &e);
		unit = !r;
	}
	if (unit)
		json_object_set_new(told, "unit", json_string(json_text(plan, "unit")));
	if (script) {
		sentence = doubt ? xasprintf("%s before you start it by that", doubt) : what_after_reboot(plan, unit);
		json_object_set_new(told, "after_reboot", json_string(sentence));
	}
	if (r) {
		log_error("%s", e.msg);
		json_object_set_new(told, "after_error", json_string(e.msg));
	}
	json_decref(plan);
	return told;
}
