/*
 * test-libvirt-plain-live.c: the command line of a libvirt guest's QEMU as that of a plain guest that goes on with its memory: what stays, what is another's, what is
 * told, and what is refused, as it cannot be had or is not to be believed.
 */
#include "libvirt-plain.h"
#include "qemu-args.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 64
#define HEAD                                                                                                                               \
	"<domain type='qemu'><name>a,b</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid><memory>65536</memory>"                      \
	"<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><kernel>/k</kernel></os><devices>"                                         \
	"<emulator>/usr/bin/qemu-system-x86_64</emulator>"                                                                                 \
	"<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/a.qcow2'/><target dev='vda' bus='virtio'/></disk>"         \
	"%s</devices></domain>"
#define NIC(type, source) "<interface type='" type "'><mac address='52:54:00:12:34:56'/>" source "<model type='virtio'/></interface>"
#define CARD(backend)                                                                                                                      \
	"-netdev\n" backend                                                                                                                \
	"\n-device\n{\"driver\":\"virtio-net-pci\",\"netdev\":\"hostnet0\",\"id\":\"net0\",\"mac\":\"52:54:00:12:34:56\"}\n"
#define DISK                                                                                                                               \
	"-blockdev\n{\"driver\":\"file\",\"filename\":\"/d/a.qcow2\",\"node-name\":\"libvirt-1-storage\"}\n"                               \
	"-blockdev\n{\"node-name\":\"libvirt-1-format\",\"driver\":\"qcow2\",\"file\":\"libvirt-1-storage\",\"backing\":null}\n"           \
	"-device\n{\"driver\":\"virtio-blk-pci\",\"bus\":\"pci.5\",\"addr\":\"0x0\",\"drive\":\"libvirt-1-format\",\"id\":\"virtio-disk0\"}\n"

struct one {
	const char *line, *devices, *net, *dir;
	const char *so; /* the converted line with its notes, or the refusal */
	const char * not ;
	bool whole;
};

static size_t split(char *text, char **argv)
{
	size_t n = 0;
	char *word;

	while ((word = strsep(&text, "\n")) && n < WORDS_MAX)
		if (*word)
			argv[n++] = word;
	return n;
}

/* A line that vmferry itself could not move on would be of no use. */
static void must_be_movable(const struct libvirt_plain *p)
{
	struct args_options o = {.cwd = "/", .tpm = true};
	struct args_result result;
	struct err e;

	if (qemu_args_rewrite(&result, p->argv, p->argc, &o, &e) < 0)
		fail_msg("vmferry would not move it: %s", e.msg);
	args_result_fini(&result);
}

static void compose(FILE *out, const struct one *o)
{
	AUTO_FREE char *xml = xasprintf(HEAD, o->devices ?: ""), *text = xasprintf("/real/qemu\n%s", o->line);
	char *argv[WORDS_MAX];
	const char *nets[] = {"hostnet0=bridge:said-before", o->net}; /* the last word counts */
	struct plain_live live = {argv, split(text, argv), nets, o->net ? 2 : 0, o->dir, o->whole};
	struct libvirt_definition d;
	struct libvirt_plain p;
	struct err e;
	size_t i;

	assert_int_equal(libvirt_definition_read(&d, xml, strlen(xml), &e), 0);
	if (libvirt_plain_live_line(&p, xml, &d, &live, &e)) {
		assert_null(p.argv);
		fprintf(out, "refused: %s\n", e.msg);
	} else {
		must_be_movable(&p);
		for (i = 0; i < p.note_count; i++)
			fprintf(out, "note: %s\n", p.notes[i]);
		for (i = 0; i < p.argc; i++)
			fprintf(out, "%s%s", *p.argv[i] == '-' || !i ? i ? "\n" : "" : " ", p.argv[i]);
		fprintf(out, "\n");
	}
	libvirt_plain_fini(&p);
	libvirt_definition_fini(&d);
}

static void all_cases(const struct one *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		AUTO_FREE char *is = NULL;
		size_t n;
		FILE *out = open_memstream(&is, &n);

		compose(out, &cases[i]);
		fclose(out);
		if (!strstr(is, cases[i].so) || (cases[i].not &&strstr(is, cases[i].not )))
			fail_msg("not '%s', or '%s':\n%s", cases[i].so, cases[i].not ?: "", is);
	}
}

#define NODE(name, more) "-blockdev\n{\"node-name\":\"" name "\"," more "}\n"
#define STORED(name)	 NODE(name, "\"driver\":\"file\",\"filename\":\"/d/a.qcow2\"")

static void disks_that_become_whole_have_no_bases(void **state)
{
	static const struct one cases[] = {
		{.line = DISK, .so = "\"file\":\"libvirt-1-storage\"}\n-device", .whole = true},
		/* an image that the guest writes: its base, and the base's own, are left out */
		{.line = STORED("s3") NODE("f3", "\"read-only\":true,\"driver\":\"raw\",\"file\":\"s3\"") STORED("s2")
			 NODE("f2", "\"read-only\":true,\"driver\":\"qcow2\",\"file\":\"s2\",\"backing\":\"f3\"") STORED("s1")
				 NODE("f1", "\"read-only\":false,\"driver\":\"qcow2\",\"file\":\"s1\",\"backing\":\"f2\"") "-msg\nx\n",
		 .so = "qemu-system-x86_64\n-blockdev {\"node-name\":\"s1\",\"driver\":\"file\",\"filename\":\"/d/a.qcow2\"}\n"
		       "-blockdev {\"node-name\":\"f1\",\"read-only\":false,\"driver\":\"qcow2\",\"file\":\"s1\"}\n-msg",
		 .whole = true},
		/* an image that the guest only reads stays as it is */
		{.line = STORED("s2") NODE("f2", "\"read-only\":true,\"driver\":\"raw\",\"file\":\"s2\"") STORED("s1")
			 NODE("f1", "\"read-only\":true,\"driver\":\"qcow2\",\"file\":\"s1\",\"backing\":\"f2\"") "-msg\nx\n",
		 .so = "\"backing\":\"f2\"}\n-msg",
		 .whole = true},
		/* a raw one without a node of its format; one that is based on such a one */
		{.line = "-blockdev\n{\"driver\":\"file\",\"filename\":\"/d/a.qcow2\",\"discard\":\"unmap\",\"node-name\":\"s1\"}\n-msg\nx\n",
		 .so = "x86_64\n-blockdev {\"driver\":\"file\",\"filename\":\"/d/a.qcow2\",\"discard\":\"unmap\",\"node-name\":\"s1-file\"}\n"
		       "-blockdev {\"driver\":\"raw\",\"node-name\":\"s1\",\"file\":\"s1-file\",\"discard\":\"unmap\"}\n-msg",
		 .whole = true},
		{.line = STORED("s3") STORED("s2") NODE("f2", "\"driver\":\"qcow2\",\"file\":\"s2\",\"backing\":\"s3\"") "-msg\nx\n",
		 .so = "-blockdev {\"node-name\":\"f2\",\"driver\":\"qcow2\",\"file\":\"s2\"}\n-msg",
		 .not = "s3",
		 .whole = true},
		/* an image based on itself */
		{.line = NODE("f1", "\"driver\":\"qcow2\",\"file\":\"f1\",\"backing\":\"f1\"") "-msg\nx\n",
		 .so = "x86_64\n-msg",
		 .whole = true},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void what_the_stream_is_about_stays(void **state)
{
	static const struct one cases[] = {
		{.line = DISK,
		 .so = "/usr/bin/qemu-system-x86_64\n"
		       "-blockdev {\"driver\":\"file\",\"filename\":\"/d/a.qcow2\",\"node-name\":\"libvirt-1-storage\"}\n"
		       "-blockdev {\"node-name\":\"libvirt-1-format\",\"driver\":\"qcow2\",\"file\":\"libvirt-1-storage\",\"backing\":null}\n"
		       "-device {\"driver\":\"virtio-blk-pci\",\"bus\":\"pci.5\",\"addr\":\"0x0\",\"drive\":\"libvirt-1-format\",\"id\":\"virtio-disk0\"}\n"},
		{.line = "-name\nguest=a,,b,debug-threads=on\n-machine\npc-q35-7.2,usb=off,memory-backend=pc.ram\n-cpu\nqemu64,+aes\n"
			 "-kernel\n/k\n-append\nroot=/dev/vda\n",
		 .so = "-name guest=a,,b,debug-threads=on\n-machine pc-q35-7.2,usb=off,memory-backend=pc.ram\n-cpu qemu64,+aes\n-kernel /k\n-append "
		       "root=/dev/vda\n"},
		{.line = "-object\n{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864}\n",
		 .so = "-object {\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864}\n",
		 .not = "note:"},
		{.line = "-object\n{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":\"/dev/hugepages/x\",\"prealloc\":true,"
			 "\"size\":67108864,\"host-nodes\":[0],\"policy\":\"bind\"}\n",
		 .so = "note: its memory is not of huge pages, or in a file, there\nnote: its memory has no place of its own in the host's (NUMA nodes, "
		       "allocated beforehand) there\n/usr/bin/qemu-system-x86_64\n"
		       "-object {\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864}\n"},
		{.line = "-machine\npc-q35-4.0,usb=off\n-object\n{\"qom-type\":\"memory-backend-file\",\"id\":\"ram-node0\",\"mem-path\":\"/dev/hugepages/x\","
			 "\"size\":67108864}\n",
		 .so = "refused: libvirt runs it with -object"},
		{.line = "-machine\npc-q35-4.1,usb=off\n-object\n{\"qom-type\":\"memory-backend-file\",\"id\":\"ram-node0\",\"mem-path\":\"/dev/hugepages/x\","
			 "\"size\":67108864}\n",
		 .so = "-object {\"qom-type\":\"memory-backend-ram\",\"id\":\"ram-node0\""},
		{.line = "-object\n{\"qom-type\":\"rng-random\",\"id\":\"objrng0\",\"filename\":\"/dev/urandom\"}\n", .so = "/dev/urandom"},
		{.line = "", .dir = "/vm", .so = "-qmp unix:/vm/a_b.qmp,server=on"},
		{.line = "-rtc\nbase=localtime,driftfix=slew\n", .so = "-rtc base=localtime,driftfix=slew\n", .not = "note:"},
		{.line = "-rtc\nbase=2026-11-29T10:00:00,driftfix=slew\n", .so = "-rtc base=utc,driftfix=slew\n"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void what_is_libvirts_own_goes(void **state)
{
	static const struct one cases[] = {
		{.line = "-S\n-object\n{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\",\"file\":\"/var/lib/x\"}\n"
			 "-chardev\nsocket,id=charmonitor,fd=26,server=on,wait=off\n-mon\nchardev=charmonitor,id=monitor,mode=control\n"
			 "-no-shutdown\n-incoming\ndefer\n-L\n/q\n",
		 .so = "/usr/bin/qemu-system-x86_64\n-display none\n-qmp unix:/d/a_b.qmp,server=on,wait=off\n"},
		{.line = "-chardev\nsocket,id=charmonitor,fd=21,server=on,wait=off\n"
			 "-object\n{\"qom-type\":\"monitor-qmp\",\"id\":\"monitor\",\"chardev\":\"charmonitor\"}\n",
		 .so = "/usr/bin/qemu-system-x86_64\n-display none\n-qmp unix:/d/a_b.qmp,server=on,wait=off\n",
		 .not = "charmonitor"},
		{.line = "-sandbox\non,spawn=deny\n", .so = "note: QEMU may run programs there", .not = "-sandbox on"},
		{.line = "-vnc\n127.0.0.1:0,audiodev=audio1\n-audiodev\n{\"id\":\"audio1\",\"driver\":\"none\"}\n",
		 .so = "-audiodev none,id=audio1\n-vnc unix:/d/a_b.vnc\n",
		 .not = "note:"},
		{.line = "-spice\nport=5900,addr=127.0.0.1,disable-ticketing=on\n-audiodev\n{\"id\":\"audio1\",\"driver\":\"spice\"}\n",
		 .so = "note: its screen is reached by VNC there, and not by SPICE\nnote: the guest's sound is not played there (spice here)\n"},
		{.line = "-vnc\n0.0.0.0:0,password=on\n",
		 .so = "note: its screen is a socket there that only QEMU's user reaches: the password"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void what_it_is_connected_to_is_a_socket(void **state)
{
	static const struct one cases[] = {
		{.line = "-add-fd\nset=0,fd=22,opaque=serial0-source\n-chardev\nfile,id=charserial0,path=/dev/fdset/0,append=on\n"
			 "-device\n{\"driver\":\"isa-serial\",\"chardev\":\"charserial0\",\"id\":\"serial0\",\"index\":0}\n",
		 .so = "note: serial, which libvirt connects to a file here, is a socket there\n/usr/bin/qemu-system-x86_64\n"
		       "-chardev socket,id=charserial0,path=/d/a_b.serial,server=on,wait=off\n-device {\"driver\":\"isa-serial\"",
		 .not = "fdset"},
		{.line = "-chardev\npty,id=charserial1\n-device\n{\"driver\":\"isa-serial\",\"chardev\":\"charserial1\",\"id\":\"serial1\"}\n",
		 .so = "-chardev socket,id=charserial1,path=/d/a_b.serial2,server=on,wait=off\n",
		 .not = "note:"},
		{.line = "-chardev\nsocket,id=charchannel0,fd=24,server=on,wait=off\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charchannel0\",\"id\":\"channel0\",\"name\":\"org.qemu.guest_agent.0\"}\n",
		 .so = "-chardev socket,id=charchannel0,path=/d/a_b.agent,server=on,wait=off\n"},
		{.line = "-chardev\nsocket,id=charchannel0,fd=24,server=on,wait=off\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charchannel0\",\"id\":\"channel0\",\"name\":\"org.qemu.guest_agent.0\"}\n"
			 "-chardev\nsocket,id=charchannel1,fd=25,server=on,wait=off\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charchannel1\",\"id\":\"channel1\",\"name\":\"org.qemu.guest_agent.0\"}\n"
			 "-chardev\nsocket,id=charqmp,fd=26,server=on,wait=off\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charqmp\",\"id\":\"channel2\",\"name\":\"qmp\"}\n",
		 .so = "path=/d/a_b.charchannel1,"},
		{.line = "-chardev\nsocket,id=charqmp,fd=26,server=on,wait=off\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charqmp\",\"id\":\"channel2\",\"name\":\"qmp\"}\n",
		 .so = "path=/d/a_b.charqmp,"},
		{.line = "-chardev\nspicevmc,id=charchannel1,name=vdagent\n"
			 "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"charchannel1\",\"id\":\"channel1\",\"name\":\"com.redhat.spice.0\"}\n",
		 .so = "-chardev socket,id=charchannel1,path=/d/a_b.channel1,server=on,wait=off\n"},
		{.line = "-chardev\nsocket,id=chrtpm,path=/run/libvirt/qemu/swtpm/1-a-swtpm.sock\n-tpmdev\nemulator,id=tpm-tpm0,chardev=chrtpm\n",
		 .devices = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
		 .so = "-chardev socket,id=chrtpm,path=/run/libvirt/qemu/swtpm/1-a-swtpm.sock\n-tpmdev emulator,id=tpm-tpm0,chardev=chrtpm\n"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

static void network_cards_go_where_they_can_be(void **state)
{
#define TAP  "{\"type\":\"tap\",\"fd\":\"28\",\"vhost\":true,\"vhostfd\":\"30\",\"id\":\"hostnet0\"}"
#define TAPS "{\"type\":\"tap\",\"fds\":\"28:29\",\"id\":\"hostnet0\"}"
	static const struct one cases[] = {
		{.line = CARD("{\"type\":\"user\",\"id\":\"hostnet0\"}"),
		 .devices = NIC("user", ""),
		 .so = "-netdev {\"type\":\"user\",\"id\":\"hostnet0\"}\n"},
		{.line = CARD(TAP),
		 .devices = NIC("bridge", "<source bridge='br7'/>"),
		 .so = "note: network card 52:54:00:12:34:56 is served by QEMU itself there, and not by the kernel (vhost)\n/usr/bin/qemu-system-x86_64\n"
		       "-netdev bridge,id=hostnet0,br=br7\n"},
		{.line = CARD(TAP),
		 .devices = NIC("network", "<source network='default' bridge='virbr0'/>"),
		 .so = "refused: network card 52:54:00:12:34:56 is on network default here, to which only libvirt attaches it: say to which bridge or tap it "
		       "goes, --map-net 52:54:00:12:34:56=bridge:BRIDGE"},
		{.line = CARD(TAP),
		 .devices = NIC("network", "<source network='default'/>"),
		 .net = "52:54:00:12:34:56=bridge:br1",
		 .so = "-netdev tap,id=hostnet0,ifname=hostnet0,script=no,downscript=no,vhost=on\n"},
		{.line = CARD(TAP),
		 .devices = NIC("network", "<source network='default'/>"),
		 .net = "hostnet0=as-is",
		 .so = "refused: network card"},
		{.line = CARD(TAP),
		 .devices = NIC("direct", "<source dev='eth0'/>"),
		 .so = "refused: network card 52:54:00:12:34:56 is on direct eth0"},
		{.line = CARD(TAPS),
		 .devices = NIC("bridge", "<source bridge='br7'/>"),
		 .so = "refused: network card 52:54:00:12:34:56 has several queues"},
		{.line = CARD(TAPS),
		 .devices = NIC("bridge", "<source bridge='br7'/>"),
		 .net = "net0=tap:t0",
		 .so = "-netdev tap,id=hostnet0,ifname=hostnet0,script=no,downscript=no,queues=2\n"},
		{.line = CARD("{\"type\":\"stream\",\"addr\":{\"type\":\"unix\",\"path\":\"/run/passt\"},\"id\":\"hostnet0\"}"),
		 .devices = NIC("user", "<backend type='passt'/>"),
		 .so = "refused: network card"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

/* QEMU is mostly another user's, and its line what that says. */
static void what_the_definition_does_not_name_is_refused(void **state)
{
	static const struct one cases[] = {
		{.line = "-kernel\n/etc/shadow\n", .so = "refused: its QEMU names /etc/shadow (-kernel), which its definition does not"},
		{.line = "-initrd\n/etc/shadow\n", .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-blockdev\n{\"driver\":\"file\",\"filename\":\"/etc/shadow\",\"node-name\":\"x\"}\n",
		 .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-blockdev\n{\"driver\":\"file\",\"filename\":\"/dev/fdset/1\",\"node-name\":\"x\"}\n",
		 .so = "refused: it cannot become a plain guest (--as plain) as it runs, but shut down (--how cold)"},
		{.line = "-device\n{\"driver\":\"loader\",\"file\":\"/etc/shadow\"}\n", .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-device\n{\"driver\":\"e1000\",\"romfile\":\"/etc/shadow\"}\n", .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-smbios\nfile=/etc/shadow\n", .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-machine\npc-q35-7.2,dumpdtb=/etc/shadow\n", .so = "refused: its QEMU has -machine"},
		{.line = "-object\n{\"qom-type\":\"rng-random\",\"id\":\"r\",\"filename\":\"/etc/shadow\"}\n",
		 .so = "refused: its QEMU names /etc/shadow"},
		{.line = "-device\n{\"driver\":\"vhost-vsock-pci\",\"id\":\"vsock0\",\"guest-cid\":3,\"vhostfd\":\"27\"}\n",
		 .so = "refused: it cannot become a plain guest"},
		{.line = "-device\n{\"driver\":\"usb-host\",\"id\":\"h\"}\n", .so = "refused: it cannot become a plain guest"},
		{.line = "-chardev\nsocket,id=chrtpm,path=/other\n-tpmdev\nemulator,id=tpm-tpm0,chardev=chrtpm\n",
		 .devices = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
		 .so = "refused: its QEMU names /other (-chardev)"},
		{.line = "-object\n{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"x\"}\n",
		 .so = "refused: libvirt runs it with -object {\"qom-type\":\"secret\""},
		{.line = "-object\n{\"qom-type\":\"input-linux\",\"id\":\"i\"}\n", .so = "refused: libvirt runs it with -object"},
		{.line = "-chardev\nsocket,id=c,path=/x\n-object\n{\"qom-type\":\"rng-egd\",\"id\":\"r\",\"chardev\":\"c\"}\n",
		 .so = "refused: libvirt runs it with -chardev socket,id=c,path=/x, which a plain guest (--as plain) cannot have as it runs: move it shut "
		       "down (--how cold)"},
		{.line = "-fsdev\nlocal,id=f,path=/etc\n", .so = "refused: libvirt runs it with -fsdev"},
		{.line = "-qmp\ntcp:0.0.0.0:1\n", .so = "refused: libvirt runs it with -qmp"},
		{.line = "-D\n/etc/x\n", .so = "refused: libvirt runs it with -D"},
		{.line = "-device\n{\"driver\"\n", .so = "refused: libvirt runs it with -device"},
		{.line = DISK, .devices = "<hostdev mode='subsystem' type='usb'/>", .so = "a device of its host (<hostdev>)"},
	};

	(void)state;
	all_cases(cases, ARRAY_LEN(cases));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_that_become_whole_have_no_bases),
		cmocka_unit_test(what_the_stream_is_about_stays),
		cmocka_unit_test(what_is_libvirts_own_goes),
		cmocka_unit_test(what_it_is_connected_to_is_a_socket),
		cmocka_unit_test(network_cards_go_where_they_can_be),
		cmocka_unit_test(what_the_definition_does_not_name_is_refused),
	};

	return cmocka_run_group_tests_name("libvirt-plain-live", tests, NULL, NULL);
}
