/* recover.c: an attempt whose agent died: taken up by the next, from its journal. */
#include "arriving-transfer.h"
#include "exit-code.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define SETTLE_MS     8000  /* a live agent that does not let go of its journal has a source (outage.c) */
#define BUSY_PAUSE_MS 200   /* longer than whoever waits takes to look (outage.c) */
#define STOPPED_MS    10000 /* an agent that is stopped for so long is as good as dead to its guest */
#define LOOK_MS	      2500

/* Our process, for a journal: only root could find it by the files that it has open. */
json_t *transfer_agent(void)
{
	AUTO_FREE char *boot = boot_id();
	uint64_t start_time = 0;

	process_start_time(getpid(), &start_time);
	return json_pack("{s:i,s:I,s:s*}", "pid", (int)getpid(), "start_time", (json_int_t)start_time, "boot_id", boot);
}

static int transfer_restore(struct transfer *t, const char *journal_path, struct err *e)
{
	int r = attempt_open(&t->a, journal_path, e);
	struct err ignored;

	if (!r)
		attempt_note(&t->a, "agent", transfer_agent(), &ignored);
	if (!r)
		r = recipe_choose(t, json_text(journal_begin(t->a.journal), "how"), json_text(journal_begin(t->a.journal), "owner"), e);
	if (r)
		return r;
	target_restore(&t->target);
	if (t->target.libvirt.uuid)
		domain_restore(&t->domain);
	disks_restore(&t->disks);
	if (!t->a.over || journal_last_state(t->a.journal) == HO_DST_DONE)
		target_find_qemu_again(&t->target, t->a.over);
	r = handoff_restore(&t->a.handoff, HO_DESTINATION, journal_last_state(t->a.journal), t->recipe->can_run(t));
	if (r)
		return err_set(e, EBADMSG, "the journal %s is in no state of a destination", journal_path);
	return attempt_step(&t->a, EV_RECOVER, HO_NONE, e);
}

/* The agent that has that journal is stopped (SIGSTOP): its pid. 0: it is not, or cannot be seen. */
static pid_t stopped_agent(const char *journal_path)
{
	struct journal *j;
	struct err ignored;
	const json_t *agent;
	pid_t pid = 0;

	if (journal_look(&j, journal_path, &ignored))
		return 0;
	agent = journal_last_note(j, "agent") ?: json_object_get(journal_begin(j), "agent");
	if (is_this_boot(json_text(agent, "boot_id")))
		pid = (pid_t)json_integer_value(json_object_get(agent, "pid"));
	if (!qemu_is_alive(pid, (uint64_t)json_integer_value(json_object_get(agent, "start_time"))) || !process_is_stopped(pid))
		pid = 0;
	journal_close(j);
	return pid;
}

/* Kills a stopped agent: it may die at any instruction, as its journal records its progress. */
static void end_agent(pid_t pid, const char *journal_path)
{
	AUTO_CLOSE int fd = pidfd_open(pid, 0);

	if (fd < 0 || stopped_agent(journal_path) != pid || pidfd_send_signal(fd, SIGKILL, NULL, 0))
		return;
	log_error("the agent of this move (process %d) was stopped (SIGSTOP) for %d s, and is ended", (int)pid, STOPPED_MS / 1000);
}

int transfer_restore_from_others(struct transfer *t, const char *journal_path, unsigned wait_ms, struct err *e)
{
	uint64_t until = now_ns() + wait_ms * 1000000ULL, looked_ns = now_ns(), runs_ns = now_ns();
	struct err ignored;
	pid_t stopped;
	int wish, r;

	while ((r = transfer_restore(t, journal_path, e)) == -EBUSY && now_ns() < until) {
		wish = journal_want(journal_path);
		poll(NULL, 0, BUSY_PAUSE_MS);
		loop_step(t->a.loop, 0, &ignored);
		if (wish >= 0)
			close(wish);
		if (now_ns() - looked_ns < LOOK_MS * 1000000ULL)
			continue;
		looked_ns = now_ns();
		stopped = stopped_agent(journal_path);
		if (!stopped)
			runs_ns = now_ns();
		else if (now_ns() - runs_ns > STOPPED_MS * 1000000ULL)
			end_agent(stopped, journal_path);
	}
	return r;
}

/* The program or file that starts the guest from its disks here; malloc'ed. no_script: its words if no script is known. */
static char *what_starts_it(const struct transfer *t, const char *no_script)
{
	const char *script = json_string_value(json_object_get(t->startup.settled, "start_script"));

	if (target_is_in_place(&t->target))
		return xstrdup("what started its QEMU before");
	if (t->recipe->owner)
		return xasprintf("libvirt here (virsh start %s)", t->target.name);
	return xstrdup(script ?: no_script);
}

static int settled(const struct transfer *t, struct err *e)
{
	AUTO_FREE char *starts = NULL;
	json_t *kept;
	size_t i;

	switch (t->a.handoff.state) {
	case HO_DST_STARTED:
	case HO_DST_DONE:
		if (t->a.handoff.qemu_alive)
			return EXIT_DESTINATION;
		if (t->a.handoff.state == HO_DST_STARTED && target_is_revertible(&t->target)) {
			err_set(e, ESRCH,
				"it ran here, and its QEMU has ended since; its source holds it, and may have it back: vmferry revert, or "
				"vmferry keep, there");
			return EXIT_UNDECIDED;
		}
		starts = what_starts_it(t, "the script NAME.sh beside its disks");
		err_set(e, ESRCH, "it ran %s, and that has ended since: %s starts it again",
			target_is_in_place(&t->target) ? "in its new QEMU" : "here in its QEMU", starts);
		return EXIT_UNDECIDED;
	case HO_DST_ABORTED:
		json_array_foreach(t->a.kept, i, kept)
			log_error("%s", json_string_value(kept));
		if (json_array_size(t->a.kept) && !json_array_size(t->a.leftovers)) {
			err_set(e, EBUSY, "it is not here; what has arrived of its disks is kept, as listed above");
			return EXIT_LEFTOVERS;
		}
		if (!json_array_size(t->a.leftovers))
			return EXIT_SOURCE;
		err_set(e, EBUSY, "it is not here; what of its move could not be removed is listed above");
		return EXIT_LEFTOVERS;
	case HO_DST_PREPARED:
		err_set(e, EAGAIN,
			"complete, and waits for its source to let go of it (vmferry recover there). If the source is gone for good: "
			"--peer-is-fenced");
		return EXIT_UNDECIDED;
	case HO_DST_NOVM:
		starts = what_starts_it(t, "their QEMU's command line");
		if (t->a.con.finished)
			err_set(e, ESRCH,
				"its QEMU here has ended, and its memory is lost. Its disks here are complete, and are "
				"kept: %s starts it from them",
				starts);
		else
			err_set(e, EAGAIN,
				"its QEMU here has ended, and its memory is lost; the source has it (vmferry recover "
				"there). If the source is gone for good: --peer-is-fenced, and its disks here, which are complete, stay");
		return EXIT_UNDECIDED;
	case HO_NONE:
	case HO_SRC_BEGUN:
	case HO_SRC_COMMITTED:
	case HO_SRC_REVERTING:
	case HO_SRC_RELEASED:
	case HO_SRC_ABORTED:
	case HO_DST_BEGUN:
	case HO_DST_START:
		break;
	}
	if (t->a.handoff.qemu_alive)
		err_set(e, EREMOTEIO,
			"its QEMU here (process %d) was told to run the guest, which stands now: if it has run, let it go on (QMP cont at %s), and "
			"recover again",
			(int)t->target.qemu.pid, t->target.qmp_path ?: "its monitor");
	else
		err_set(e, EREMOTEIO, "its QEMU here ended when it was about to run the guest: vmferry cannot tell whether the guest ran");
	return EXIT_UNDECIDED;
}

int move_settle(const struct move_config *cfg, const char *journal_path, bool fenced, struct err *e)
{
	struct transfer *t;
	int r = transfer_new(&t, cfg, e);

	if (r)
		return EXIT_UNDECIDED;
	t->target.drop_partial = fenced; /* no source will come back to go on from it */
	r = transfer_restore_from_others(t, journal_path, fenced ? SETTLE_MS : 0, e);
	if (!r && fenced && t->a.handoff.state == HO_DST_PREPARED)
		r = disks_may_be_vouched_for(&t->disks, e);
	/* START and STARTED in one go, then DONE */
	/* the guest's disks here may be the last copy */
	for (unsigned i = 0; i < 2 && !r && fenced && t->a.handoff.state != HO_DST_NOVM && !t->a.con.finished; i++)
		r = attempt_step(&t->a, EV_PEER_FENCED, HO_NONE, e);
	if (!r && fenced && t->a.handoff.state == HO_DST_NOVM && !t->a.dead)
		r = cutover_keep_disks(t, e);
	r = r ? EXIT_UNDECIDED : settled(t, e);
	transfer_free(t);
	return r;
}

bool move_recover_all(const struct move_config *cfg)
{
	struct transfer *t;
	bool busy = false;
	char **paths;
	size_t count, i;
	struct err e;
	int r;

	if (journal_list(cfg->state_dir, &paths, &count, &e)) {
		log_error("%s", e.msg);
		return false;
	}
	for (i = 0; i < count; i++) {
		if (!journal_path_is(paths[i], false) || transfer_new(&t, cfg, &e))
			continue;
		r = transfer_restore(t, paths[i], &e);
		busy = busy || r == -EBUSY;
		if (r && r != -EBUSY)
			log_error("%s: %s", paths[i], e.msg);
		transfer_free(t);
	}
	journal_list_free(paths, count);
	return busy;
}
