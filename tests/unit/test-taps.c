/* test-taps.c: whether QEMU could open a tap that is there as its line says. In a network namespace of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/taps.h"
#include "qemu-args.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 65534 /* nobody */

static struct err e;
static bool has_network;

/* 0, or as TUNSETIFF says. */
static int open_tap(const char *name, short flags, bool stays)
{
	struct ifreq r = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
	AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r))
		return -errno;
	return stays && ioctl(fd, TUNSETPERSIST, 1) ? -errno : 0;
}

static int own_tap(const char *name, int user)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return fd < 0 || ioctl(fd, TUNSETIFF, &r) || ioctl(fd, TUNSETOWNER, user) ? -errno : 0;
}

static int check(const char *tap, const char *queues)
{
	AUTO_FREE char *option = xasprintf("tap,id=n,ifname=%s,script=no,downscript=no%s", tap, queues);
	char *words[] = {"qemu-system-x86_64", "-netdev", option, "-device", "virtio-net-pci,netdev=n"};
	struct args_options o = {.cwd = "/"};
	struct args_result line;
	int r;

	assert_int_equal(qemu_args_rewrite(&line, words, ARRAY_LEN(words), &o, &e), 0);
	assert_int_equal(line.nic_count, 1);
	r = taps_check_queues(&line, &line.nics[0], &e);
	args_result_fini(&line);
	return r;
}

static void a_tap_has_the_queues_that_qemu_opens(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) || open_tap("one", 0, true) || open_tap("many", IFF_MULTI_QUEUE, true)) {
		printf("skipped: no right to make a tap in a network namespace\n");
		skip();
	}
	has_network = true;
	assert_int_equal(open_tap("one", IFF_MULTI_QUEUE, false), -EINVAL); /* opened as QEMU would */
	assert_int_equal(open_tap("many", 0, false), -EINVAL);
	assert_int_equal(check("one", ""), 0);
	assert_int_equal(check("one", ",queues=1"), 0);
	assert_int_equal(check("many", ",queues=2"), 0);
	assert_int_equal(check("none", ",queues=2"), 0); /* QEMU makes it */
	assert_int_equal(check("one", ",queues=2"), -EINVAL);
	assert_non_null(strstr(e.msg, "ip tuntap add one mode tap multi_queue"));
	assert_int_equal(check("many", ""), -EINVAL);
	assert_non_null(strstr(e.msg, "ip tuntap add many mode tap)"));
}

/* Whether QEMU can have what that back end names. */
static int check_free_of(const char *backend)
{
	AUTO_FREE char *option = xasprintf("tap,id=n,%s", backend);
	char *words[] = {"qemu-system-x86_64", "-netdev", option, "-device", "virtio-net-pci,netdev=n"};
	struct args_options o = {.cwd = "/"};
	struct args_result line;
	int r;

	assert_int_equal(qemu_args_rewrite(&line, words, ARRAY_LEN(words), &o, &e), 0);
	assert_int_equal(line.nic_count, 1);
	r = taps_check_free(&line.nics[0], NULL, &e);
	args_result_fini(&line);
	return r;
}

static int check_free(const char *tap)
{
	AUTO_FREE char *backend = xasprintf("ifname=%s,script=no,downscript=no", tap);

	return check_free_of(backend);
}

static void the_name_is_that_of_a_tap(void **state)
{
	(void)state;
	if (!has_network)
		skip();
	assert_int_equal(check_free("one"), 0);
	assert_int_equal(check_free("none"), 0);
	assert_int_equal(check_free("lo"), -EEXIST); /* QEMU: could not configure /dev/net/tun (lo): Invalid argument */
	assert_non_null(strstr(e.msg, "lo is a network interface at the destination, and no tap"));
	assert_int_equal(check_free_of("br=lo,helper=/usr/lib/qemu/qemu-bridge-helper"), 0); /* a bridge, whose helper makes a tap */
}

/* The device may be opened by anybody afterwards, as udev has it on most hosts; the kernel asks whose the tap is. */
static int let_users_open_taps(void)
{
	static const char node[] = "/tmp/test-taps.tun";
	int r = mknod(node, S_IFCHR | 0666, makedev(10, 200)) || chmod(node, 0666) || mount(node, "/dev/net/tun", NULL, MS_BIND, NULL);

	unlink(node);
	return r;
}

/* The result of check_free() for a user without rights. -ENOTSUP: this host does not let the test be one. */
static int check_as_user(const char *tap)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int r = setgroups(0, NULL) || setgid(USER) || setuid(USER) || access("/dev/net/tun", R_OK | W_OK) ? -ENOTSUP
														  : check_free(tap);

		_exit(-r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static void a_user_opens_what_is_its_own(void **state)
{
	(void)state;
	if (!has_network || let_users_open_taps() || open_tap("own", 0, true) || own_tap("own", USER) || open_tap("others", 0, true) ||
	    own_tap("others", USER + 1) || check_as_user("own") == -ENOTSUP) {
		printf("skipped: no right to make a tap in a network namespace\n");
		skip();
	}
	assert_int_equal(check_as_user("own"), 0);
	assert_int_equal(check_as_user("one"), 0); /* it has no owner */
	assert_int_equal(check_as_user("others"), -EPERM);
	assert_int_equal(check_as_user("none"), -EPERM);
	assert_int_equal(check_free("others"), 0); /* root may */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_tap_has_the_queues_that_qemu_opens),
					   cmocka_unit_test(the_name_is_that_of_a_tap), cmocka_unit_test(a_user_opens_what_is_its_own)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
