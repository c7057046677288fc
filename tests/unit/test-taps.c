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
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

static struct err e;

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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_tap_has_the_queues_that_qemu_opens)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
