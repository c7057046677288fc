/*
 * played-libvirtd-home.h: a libvirtd that a thread plays where agents look for this user's, for unit tests of those who ask it again and again. It has one guest,
 * "web", and knows whether that is defined, runs or stands. Its QEMU is a process that only waits, and that the guest's pid file names.
 *
 *   home_open(), home_close()          it is there; it and its directory are gone. Root becomes nobody, as root's libvirtd is the machine's
 *   home_starts_qemu()                 the guest has a QEMU, `home.qemu`
 *   home_goes_away(), home_is_back()   nobody listens; somebody does again
 *   home.refuses                       calls of a procedure that end with that error number, so many times
 *   home_main(argc)                    first of all in main()
 */
#ifndef VMFERRY_PLAYED_LIBVIRTD_HOME_H
#define VMFERRY_PLAYED_LIBVIRTD_HOME_H

#include "played-libvirtd-thread.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOME_UUID	 "dead0102-0304-0506-0708-090a0b0c0d0e"
#define HOME_CONNECTIONS 8
#define HOME_PROCEDURES	 512
#define HOME_NOBODY	 65534
#define HOME_FOR_GOOD	 1000000
/* virErrorNumber, of what these tests refuse */
enum { HOME_INTERNAL = 1, HOME_NO_DOMAIN = 42, HOME_NO_NETWORK = 43, HOME_INVALID = 55, HOME_BUSY = 68 };

static struct {
	char dir[64];
	int listener;
	pthread_t thread;
	struct pollfd fds[HOME_CONNECTIONS + 1];
	unsigned calls[HOME_PROCEDURES];
	pid_t qemu;
	bool is_there, is_defined;
	bool lags; /* libvirt has not seen yet that its QEMU has ended */
	enum lv_state state;
	const char *xml;       /* definition of its guest; NULL: an empty one */
	const char *monitor;   /* QEMU's answer to each command; NULL: an echo */
	unsigned reason;       /* reason of that state; 0: 1, by its user */
	unsigned long version; /* version of libvirt; 0: the oldest that is accepted */
	struct {
		int32_t procedure;
		int number; /* 0: it hangs up */
		unsigned times;
	} refuses;
	void (*called)(int32_t procedure); /* before the answer; NULL: nothing more happens then */
} home;

/* ---- its answers ---- */

static void home_refuse(int number, struct lv_writer *body, uint32_t *status)
{
	body->n = 0;
	lv_write_u32(body, (uint32_t)number);
	lv_write_u32(body, 10);
	lv_write_optional(body, "no");
	*status = LV_ERROR;
}

static bool home_qemu_lives(void)
{
	return home.qemu && !waitpid(home.qemu, NULL, WNOHANG) && !kill(home.qemu, 0);
}

static void home_domain(struct lv_writer *body)
{
	body->n = 0;
	lv_write_string(body, guest.name);
	lv_write_uuid(body, played_uuid);
	lv_write_u32(body, home_qemu_lives() ? 1 : (uint32_t)-1);
}

static void home_number(struct lv_writer *body, uint32_t number)
{
	body->n = 0;
	lv_write_u32(body, number);
}

/* The guest that is not defined is gone with its QEMU, as in libvirt. */
static void home_does(int32_t procedure, struct lv_writer *body, uint32_t *status)
{
	home.is_there = home.is_defined || (home.is_there && (home.lags || home_qemu_lives()));
	switch (procedure) {
	case LV_DOMAIN_LOOKUP_UUID:
		if (home.is_there)
			home_domain(body);
		else
			home_refuse(HOME_NO_DOMAIN, body, status);
		break;
	case LV_DOMAIN_IS_PERSISTENT:
		home_number(body, home.is_defined);
		break;
	case LV_DOMAIN_GET_XML:
		body->n = 0;
		lv_write_string(body, home.xml ? home.xml : "<domain/>");
		break;
	case LV_DOMAIN_GET_AUTOSTART:
	case LV_HAS_CURRENT_SNAPSHOT:
		home_number(body, 0);
		break;
	case LV_LIST_ALL_SNAPSHOTS: /* no array, and a count of 0 */
		home_number(body, 0);
		lv_write_u32(body, 0);
		break;
	case LV_DOMAIN_UNDEFINE_FLAGS:
		home.is_defined = false;
		break;
	case LV_DOMAIN_DEFINE_XML_FLAGS:
		home.is_there = home.is_defined = true;
		break;
	case LV_DOMAIN_GET_STATE:
		home_number(body, home.state);
		lv_write_u32(body, home.reason ? home.reason : 1);
		break;
	case LV_GET_LIB_VERSION:
		body->n = 0;
		lv_write_u64(body, home.version ?: PLAYED_VERSION);
		break;
	case LV_DOMAIN_RESUME:
		home.state = LV_RUNNING;
		break;
	case LV_DOMAIN_FINISH3:
		home_domain(body);
		lv_write_opaque(body, NULL, 0);
		break;
	case PLAYED_QEMU + LV_MONITOR_COMMAND:
		if (home.monitor) {
			body->n = 0;
			lv_write_string(body, home.monitor);
		}
		break;
	default:
		break;
	}
}

static void home_answers(int32_t procedure, struct lv_writer *body, uint32_t *status)
{
	if (procedure < HOME_PROCEDURES)
		home.calls[procedure]++;
	if (home.called)
		home.called(procedure);
	if (procedure != home.refuses.procedure || !home.refuses.times) {
		home_does(procedure, body, status);
		return;
	}
	home.refuses.times--;
	if (home.refuses.number)
		home_refuse(home.refuses.number, body, status);
	else
		shutdown(libvirtd.fd, SHUT_RDWR);
}

/* ---- its connections ---- */

static void home_take(void)
{
	int i, fd = accept4(home.listener, NULL, NULL, SOCK_CLOEXEC);

	for (i = 1; i <= HOME_CONNECTIONS && home.fds[i].fd >= 0; i++)
		;
	if (i > HOME_CONNECTIONS)
		close(fd);
	else
		home.fds[i].fd = fd;
}

static void *home_serve(void *arg)
{
	int i;

	for (i = 0; i <= HOME_CONNECTIONS; i++)
		home.fds[i] = (struct pollfd){i ? -1 : home.listener, POLLIN, 0};
	while (poll(home.fds, HOME_CONNECTIONS + 1, -1) > 0 && !(home.fds[0].revents & ~POLLIN)) {
		if (home.fds[0].revents)
			home_take();
		for (i = 1; i <= HOME_CONNECTIONS; i++) {
			libvirtd.fd = home.fds[i].fd;
			if (home.fds[i].fd >= 0 && home.fds[i].revents && !take_call()) {
				close(home.fds[i].fd);
				home.fds[i].fd = -1;
			}
		}
	}
	for (i = 1; i <= HOME_CONNECTIONS; i++)
		if (home.fds[i].fd >= 0)
			close(home.fds[i].fd);
	return arg;
}

static inline void home_is_back(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/libvirt/virtqemud-sock", home.dir);
	home.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(home.listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(home.listener, HOME_CONNECTIONS), 0);
	assert_int_equal(pthread_create(&home.thread, NULL, home_serve, NULL), 0);
}

static inline void home_goes_away(void)
{
	AUTO_FREE char *socket = xasprintf("%s/libvirt/virtqemud-sock", home.dir);

	shutdown(home.listener, SHUT_RDWR);
	pthread_join(home.thread, NULL);
	close(home.listener);
	unlink(socket);
	assert_false(libvirtd.strange);
}

/* ---- its guest ---- */

static inline pid_t home_start_process(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/proc/self/exe", "qemu", "-uuid", HOME_UUID, (char *)NULL);
		_exit(1);
	}
	return pid;
}

static inline bool home_names(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	char text[64] = "";
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	return n > 5 && !strcmp(text, "qemu");
}

static inline void home_note_pid(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("%s/libvirt/qemu/run/web.pid", home.dir);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fprintf(f, "%d", (int)pid);
	fclose(f);
}

static inline void home_starts_qemu(void)
{
	home.qemu = home_start_process();
	while (!home_names(home.qemu))
		poll(NULL, 0, 1);
	home_note_pid(home.qemu);
	home.is_there = true;
	home.state = LV_PAUSED;
}

static inline void home_ends_qemu(void)
{
	if (home.qemu) {
		kill(home.qemu, SIGKILL);
		waitpid(home.qemu, NULL, 0);
	}
	home.qemu = 0;
}

/* ---- all of it ---- */

static inline void home_main(int argc)
{
	while (argc > 1)
		pause();
	if (!geteuid() &&
	    (setgroups(0, NULL) || setresgid(HOME_NOBODY, HOME_NOBODY, HOME_NOBODY) || setresuid(HOME_NOBODY, HOME_NOBODY, HOME_NOBODY)))
		exit(1);
}

static inline int home_open(void)
{
	static const char *const parts[] = {"libvirt", "libvirt/qemu", "libvirt/qemu/run", "state"};
	size_t i;

	memset(&home, 0, sizeof(home));
	strcpy(home.dir, "/tmp/test-libvirtd-XXXXXX");
	if (!mkdtemp(home.dir) || setenv("XDG_RUNTIME_DIR", home.dir, 1))
		return -1;
	for (i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", home.dir, parts[i]);

		if (mkdir(path, 0700))
			return -1;
	}
	plan = no_plan();
	plan.answer = home_answers;
	home_is_back();
	return 0;
}

static inline int home_close(void)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", home.dir);

	home_ends_qemu();
	home_goes_away();
	return system(rm);
}

#endif
