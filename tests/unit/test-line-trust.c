/* test-line-trust.c: what a stranger's command line may name of this host, in whichever of QEMU's spellings. */
#include "line-trust.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char here[] = "/srv/vm/a.qcow2";

static int judge(struct line_words *w, const char *const *words, size_t count, bool trusted, struct err *e)
{
	const struct args_map map = {.from = "/there/a.raw", .to = here, .format = "raw"};
	const struct args_options o =
		{.cwd = "/there", .disks = &map, .disk_count = 1, .socket_dir = "/srv/vm", .no_state = true, .at_rest = true};
	struct args_result line;
	size_t i;
	int r = qemu_args_rewrite(&line, (char *const *)(uintptr_t)words, count, &o, e);

	*w = (struct line_words){.ports = NULL};
	if (r)
		return r;
	/* the importer refuses contents that are not the bundle's */
	for (i = 0; i < line.file_count && !r; i++)
		if (args_role_is_content(line.files[i].role) && (!line.files[i].to || strcmp(line.files[i].to, here)))
			r = err_set(e, 1, "it names %s", line.files[i].path);
	if (!r)
		r = line_judge(w, &line, trusted, e);
	args_result_fini(&line);
	return r;
}

/* Judges a line with one option. */
static int judge_one(struct line_words *w, const char *option, const char *value, bool trusted, struct err *e)
{
	const char *const words[] = {"qemu-system-x86_64", option, value};

	return judge(w, words, value ? 3 : 2, trusted, e);
}

static const struct option {
	const char *option, *value;
} leading_out[] = {
	{"-global", "e1000.romfile=/etc/passwd"},
	{"-global", "driver=e1000,property=romfile,value=/etc/passwd"},
	{"-global", "property=romfile,value=/etc/passwd,driver=e1000"},
	{"-global", "ipmi-bmc-sim.frudatafile=/etc/passwd"},
	{"-global", "usb-mtp.rootdir=/etc"},
	{"-global", "usb-mtp.rootdir=etc"},
	{"-global", "driver=usb-mtp,property=rootdir,value=etc"},
	{"-device", "e1000,romfile=/etc/passwd"},
	{"-device", "e1000,romfile=etc"},
	{"-device", "romfile=/etc/passwd,driver=e1000"},
	{"-device", "{\"driver\":\"e1000\",\"romfile\":\"/etc/passwd\"}"},
	{"-device", "usb-mtp,rootdir=/etc"},
	{"-device", "usb-mtp,rootdir=etc"},
	{"-device", "usb-mtp,rootdir=."},
	{"-device", "{\"driver\":\"usb-mtp\",\"rootdir\":\"/etc\"}"},
	{"-device", "{'driver':'usb-mtp','rootdir':'/etc'}"},
	{"-device", "u2f-emulated,dir=/etc"},
	{"-device", "canokey,file=/etc/passwd"},
	{"-device", "not-yet-known,whatever=/etc/passwd"},
	{"-device", "not-yet-known,a.b.0=/etc/passwd"},
	{"-device", "loader,file=/etc/passwd"},
	{"-bios", "/etc/passwd"},
	{"-bios", "etc"},
	{"-option-rom", "etc"},
	{"-option-rom", "romfile=etc"},
	{"-k", "/etc/passwd"},
	{"-k", "etc"},
	{"-machine", "shim=/etc/passwd"},
	{"-machine", "q35,firmware=etc"},
	{"-machine", "virt,dumpdtb=/etc/x"},
	{"-M", "q35,shim=/etc/passwd"},
	{"-shim", "/etc/passwd"},
	{"-plugin", "/etc/passwd"},
	{"-plugin", "file=/etc/passwd"},
	{"-plugin", "etc"},
	{"-semihosting", NULL},
	{"-semihosting-config", "enable=on,target=native"},
	{"-an-option-of-next-year", "x"},
	{"-object", "not-yet-known,id=a,filename=/etc/passwd"},
	{"-object", "{\"qom-type\":\"not-yet-known\",\"id\":\"a\",\"f\":\"/etc/passwd\"}"},
	{"-blockdev", "driver=blkdebug,node-name=b,config=/etc/passwd,image=x"},
	{"-blockdev", "{\"driver\":\"blkdebug\",\"node-name\":\"b\",\"config\":\"/etc/passwd\",\"image\":\"x\"}"},
	{"-blockdev", "{\"driver\":\"raw\",\"node-name\":\"b\",\"file\":{\"driver\":\"blkdebug\",\"config\":\"/etc/x\"}}"},
	{"-blockdev", "driver=vvfat,node-name=v,dir=/etc"},
	{"-blockdev", "driver=file,node-name=f,filename=/etc/passwd"},
	{"-blockdev", "driver=raw,node-name=r,file.driver=file,file.filename=/etc/passwd"},
	{"-blockdev", "driver=nbd,node-name=n,server.type=inet,server.host=10.0.0.1,server.port=1"},
	{"-drive", "file=/etc/passwd,format=raw"},
	{"-drive", "file=fat:etc,format=raw"},
	{"-drive", "file=json:{\"driver\":\"raw\"\\,\"file\":{\"driver\":\"file\"\\,\"filename\":\"/etc/passwd\"}}"},
	{"-drive",
	 "file=json:{\"driver\":\"blkdebug\",,\"config\":\"etc\",,\"image\":{\"driver\":\"file\",,\"filename\":\"/there/a.raw\"}}"},
	{"-drive", "file.driver=blkdebug,file.config=/etc/passwd,file.image.filename=/there/a.raw"},
	{"-drive", "driver=raw,file.driver=vvfat,file.dir=etc"},
	{"-drive", "file=blkdebug:/etc/passwd:/there/a.raw"},
	{"-drive", "file=http://10.0.0.1/x,media=cdrom"},
	/* an image within another, or within a part of a file */
	{"-drive",
	 "if=none,media=cdrom,driver=qcow2,file.driver=raw,file.offset=1048576,file.file.driver=file,file.file.filename=/there/a.raw"},
	{"-drive", "if=none,media=cdrom,file.driver=raw,file.offset=1048576,file.file.filename=/there/a.raw"},
	{"-drive", "if=none,media=cdrom,file.file.filename=/there/a.raw"},
	{"-drive", "if=none,format=qcow2,file.driver=qcow2,file.file.driver=file,file.file.filename=/there/a.raw"},
	{"-drive", "if=none,driver=throttle,throttle-group=g,file.driver=qcow2,file.file.driver=raw,file.file.file.filename=/there/a.raw"},
	{"-drive", "driver=raw,backing.driver=qcow2,backing.file.driver=raw,backing.file.file.filename=/there/a.raw"},
	{"-drive", "driver=raw,file.driver=raw,file.offset=512,file.file.filename=/there/a.raw"},
	{"-drive", "format=qcow2,file=/there/a.raw,file.driver=raw"},
	{"-drive",
	 "file=json:{\"driver\":\"qcow2\",,\"file\":{\"driver\":\"raw\",,\"offset\":512,,\"file\":{\"driver\":\"file\",,\"filename\":"
	 "\"/there/a.raw\"}}}"},
	{"-drive",
	 "format=qcow2,file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":\"throttle\",,\"file\":{\"driver\":\"file\",,\"filename\":"
	 "\"/there/a.raw\"}}}"},
	{"-blockdev", "driver=qcow2,node-name=q,file=nobody"},
	{"-blockdev",
	 "{\"driver\":\"qcow2\",\"node-name\":\"q\",\"file\":{\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"file\",\"filename\":"
	 "\"/there/a.raw\"}}}"},
	{"-blockdev", "driver=raw,node-name=q,data-file.driver=qcow2"},
	{"-cdrom", "fat:etc"},
	{"-cdrom", "http://10.0.0.1/x"},
	{"-hda", "fat:etc"},
	{"-hda", "nbd:10.0.0.1:10809"},
	{"-chardev", "not-yet-known,id=c,file=/etc/passwd"},
	{"-chardev", "file,id=c,path=/srv/x,input-path=/etc/passwd"},
	{"-serial", "what:/etc/passwd"},
	{"-netdev", "user,id=n,other=/etc"},
	{"-netdev", "user,id=n,other=etc"},
	{"-netdev", "passt,id=n,path=bash,quiet=off,param=-c,param=touch x"},
	{"-netdev", "{\"type\":\"passt\",\"id\":\"n\",\"path\":\"bash\",\"param\":[{\"str\":\"-c\"},{\"str\":\"touch x\"}]}"},
	{"-netdev", "{\"type\":\"passt\",\"id\":\"n\",\"param\":[{\"str\":\"--pcap\"}]}"},
	{"-netdev", "passt,id=n,path"},
	{"-netdev", "user,id=n,type=passt,path=bash"},
	{"-nic", "passt,path=bash"},
	{"-netdev", "of-next-year,id=n"},
	{"-netdev", "of-next-year,id=n,run=bash"},
	{"-netdev", "tap,id=n,run=bash"},
	{"-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:1-cmd:bash"},
	{"-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:1-file:x"},
	{"-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:1-tcp:127.0.0.1:1,,logfile=x"},
	{"-fsdev", "local,id=f,path=/srv,other=/etc"},
	{"-smbios", "type=11,path=/etc/passwd"},
	{"-smbios", "file=/etc/passwd"},
	{"-fw_cfg", "name=opt/x,file=/etc/passwd"},
	{"-fw_cfg", "opt/x,file=/etc/passwd"},
	{"-acpitable", "data=/there/a.raw:/etc/passwd"},
	{"-initrd", "/there/a.raw a,/etc/passwd b"},
	{"-boot", "splash=/etc/passwd"},
	{"-trace", "events=/etc/passwd"},
	{"-audiodev", "none,id=a,in.dev=/etc/passwd"},
	{"-spice", "port=1,not-yet-known=/etc"},
	{"-vnc", ":1,not-yet-known=/etc"},
	{"-accel", "kvm,device=/etc/passwd"},
	/* monitors on a network */
	{"-qmp", "tcp:0.0.0.0:4444,server=on,wait=off"},
	{"-qmp", "tcp::4444,server,nowait"},
	{"-qmp", "tcp:127.0.0.1:4444,host=0.0.0.0,server=on"},
	{"-qmp", "tcp:127.0.0.1:4444,port=5555,server=on"},
	{"-monitor", "tcp:127.0.0.1:4444,to=5555,server=on"},
	{"-monitor", "udp:127.0.0.1:4444,localaddr=0.0.0.0"},
	{"-serial", "tcp:127.0.0.1:4444,host=192.0.2.1"},
	{"-serial", "unix:/srv/x,path=/there/a.raw,server=on"},
	{"-qmp", "udp:127.0.0.1:4444"},
	{"-qmp", "unix:/srv/x,abstract=on,server=on"},
	{"-monitor", "/dev/ttyS0"},
	{"-gdb", "udp:127.0.0.1:4444"},
	{"-mon", "serial0"},
	{"-monitor", "chardev:serial0"},
	{"-chardev", "of-next-year,id=c,host=192.0.2.1"},
	{"-chardev", "{\"id\":\"c\",\"backend\":{\"type\":\"udp\"}}"},
	{"-vnc", "unix:/srv/vm/v,of-next-year=1"},
	{"-monitor", "telnet:192.0.2.1:4444,server=on,wait=off"},
	{"-monitor", "tcp:127.example.org:4444,server=on,wait=off"},
	{"-qmp-pretty", "websocket:[::]:4444,server=on,wait=off"},
	{"-serial", "mon:tcp::4444,server=on,wait=off"},
	{"-gdb", "tcp:0.0.0.0:4444"},
	{"-gdb", "tcp::1234"},
	{"-s", NULL},
	{"-chardev", "socket,id=m,host=0.0.0.0,port=4444,server=on,wait=off,mux=on"},
};

static void what_may_lead_out_of_the_bundle_is_refused_or_said_when_trusted(void **state)
{
	struct line_words w;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(leading_out); i++) {
		const struct option *o = &leading_out[i];

		if (!judge_one(&w, o->option, o->value, false, &e))
			fail_msg("%s %s is taken", o->option, o->value ?: "");
		if (!judge_one(&w, o->option, o->value, true, &e)) /* the rewriter may refuse the option, too */
			assert_true(w.host_count + w.port_count > 0);
		line_words_fini(&w);
	}
}

static void an_image_stands_directly_above_a_file(void **state)
{
	static const char *const nodes[][3] = {
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=raw,node-name=r,offset=1048576,file=f",
		 "driver=qcow2,node-name=q,file=r"},
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=qcow2,node-name=r,file=f", "driver=qcow2,node-name=q,file=r"},
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=qcow2,node-name=r,file=f", "driver=raw,node-name=q,file=r"},
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=throttle,throttle-group=g,node-name=r,file=f",
		 "{\"driver\":\"qcow2\",\"node-name\":\"q\",\"file\":\"r\"}"},
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=qcow2,node-name=q,file=f",
		 "driver=throttle,throttle-group=g,node-name=r,file=q"},
		{"driver=file,node-name=f,filename=/there/a.raw", "driver=raw,node-name=q,offset=512,size=512,file=f",
		 "driver=copy-on-read,node-name=r,file=q"},
	};
	struct line_words w;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(nodes); i++) {
		const char *const words[] = {"qemu-system-x86_64", "-blockdev", nodes[i][0], "-blockdev",
					     nodes[i][1],	   "-blockdev", nodes[i][2]};
		int r = judge(&w, words, ARRAY_LEN(words), false, &e);

		if ((i < 4) != !!r)
			fail_msg("%s, %s: %s", nodes[i][1], nodes[i][2], r ? e.msg : "is taken");
		assert_true(!r || strstr(e.msg, "vmferry has not examined"));
		line_words_fini(&w);
	}
}

static void what_is_written_to_has_one_name(void **state)
{
	static const struct {
		struct option a, b;
		bool taken;
	} cases[] = {
		{{"-drive", "format=raw,file.locking=off,file.filename=/there/a.raw"},
		 {"-drive", "format=qcow2,readonly=on,file=/there/a.raw"},
		 false},
		{{"-drive", "format=qcow2,readonly=on,file=/there/a.raw"}, {"-drive", "format=raw,file=/there/a.raw"}, false},
		{{"-drive", "format=qcow2,media=cdrom,file=/there/a.raw"},
		 {"-object", "memory-backend-file,id=m,size=1M,share=on,mem-path=/there/a.raw"},
		 false},
		{{"-chardev", "file,id=c,path=/there/a.raw"}, {"-drive", "format=qcow2,media=cdrom,file=/there/a.raw"}, false},
		{{"-serial", "file:/there/a.raw"}, {"-cdrom", "/there/a.raw"}, false},
		{{"-D", "/there/a.raw"}, {"-kernel", "/there/a.raw"}, false},
		{{"-drive", "media=cdrom,file=/there/a.raw"}, {"-drive", "media=cdrom,file=/there/a.raw"}, true},
		{{"-kernel", "/there/a.raw"}, {"-fw_cfg", "name=opt/x,file=/there/a.raw"}, true},
		{{"-m", "64"}, {"-drive", "format=qcow2,file.locking=off,file.filename=/there/a.raw"}, true},
		{{"-blockdev", "driver=file,read-only=on,node-name=a,filename=/there/a.raw"},
		 {"-blockdev", "driver=raw,node-name=b,file.driver=file,file.read-only=on,file.filename=/there/a.raw"},
		 true},
	};
	struct line_words w;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const words[] = {"qemu-system-x86_64", cases[i].a.option, cases[i].a.value, cases[i].b.option,
					     cases[i].b.value};
		int r = judge(&w, words, ARRAY_LEN(words), false, &e);

		if (cases[i].taken != !r)
			fail_msg("%s, %s: %s", cases[i].a.value, cases[i].b.value, r ? e.msg : "are taken");
		line_words_fini(&w);
	}
}

static void a_chardev_is_a_monitor_if_any_option_says_so(void **state)
{
	static const char *const users[][2] = {{"-mon", "chardev=m,mode=control"},
					       {"-mon", "m"},
					       {"-qmp", "chardev:m"},
					       {"-monitor", "chardev:m"},
					       {"-object", "monitor-hmp,id=o,chardev=m"},
					       {"-object", "{\"qom-type\":\"monitor-qmp\",\"id\":\"o\",\"chardev\":\"m\"}"},
					       {"-gdb", "chardev:m"}};
	struct line_words w;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(users); i++) {
		const char *words[] = {"qemu-system-x86_64", "-chardev", "socket,id=m,host=0.0.0.0,port=4444,server=on,wait=off",
				       users[i][0], users[i][1]};

		assert_int_not_equal(judge(&w, words, ARRAY_LEN(words), false, &e), 0);
		assert_non_null(strstr(e.msg, "rights of QEMU's user"));
		words[2] = "socket,id=m,host=127.0.0.1,port=4444,server=on,wait=off";
		assert_int_equal(judge(&w, words, ARRAY_LEN(words), false, &e), 0);
		assert_int_equal(w.port_count, 1);
		line_words_fini(&w);
	}
}

static void a_monitor_is_in_nobodys_reach_by_another_way(void **state)
{
	static const char *const lines[][6] = {
		{"-chardev", "socket,id=s,host=0.0.0.0,port=4444,server=on", "-chardev", "hub,id=h,chardevs.0=s", "-mon", "chardev=h"},
		{"-chardev", "socket,id=s,host=127.0.0.1,port=4444,server=on", "-chardev", "hub,id=h,chardevs.0=s", "-mon", "chardev=h"},
		{"-vnc", "0.0.0.0:5", "-monitor", "vc"},
		{"-vnc", "0.0.0.0:5", "-serial", "mon:vc"},
		{"-vnc", "0.0.0.0:5", "-chardev", "vc,id=v", "-mon", "v"},
		{"-display", "vnc=0.0.0.0:5", "-chardev", "vc,id=v,mux=on"},
		{"-spice", "port=5900", "-chardev", "spiceport,id=p,name=x", "-mon", "chardev=p"},
		{"-spice", "port=5900", "-chardev", "spiceport,id=p,name=x", "-object", "monitor-hmp,id=m,chardev=p"},
		{"-chardev", "udp,id=u,path=foo,host=127.0.0.1,port=1", "-mon", "u"},
	};
	struct line_words w;
	struct err e;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		const char *words[7] = {"qemu-system-x86_64"};

		for (n = 0; n < 6 && lines[i][n]; n++)
			words[n + 1] = lines[i][n];
		if (!judge(&w, words, n + 1, false, &e))
			fail_msg("%s %s is taken", words[n - 1], words[n]);
		assert_non_null(strstr(e.msg, "monitor"));
		assert_int_equal(judge(&w, words, n + 1, true, &e), 0);
		assert_true(w.port_count > 0);
		line_words_fini(&w);
	}
}

static void what_is_open_to_a_network_or_of_the_host_is_said(void **state)
{
	static const struct {
		struct option o;
		bool port;
		const char *says;
	} cases[] = {
		{{"-qmp", "tcp:127.0.0.1:4444,server=on,wait=off"}, true, "a monitor"},
		{{"-serial", "tcp::4444,server=on,wait=off"}, true, "4444"},
		{{"-serial", "udp::4444@:4445"}, true, "4445"},
		{{"-chardev", "socket,id=c,port=4444,host=0.0.0.0,server=on"}, true, "0.0.0.0"},
		{{"-netdev", "user,id=n,hostfwd=tcp::2222-:22,hostfwd=tcp::80-:80"}, true, "hostfwd=tcp::80-:80"},
		{{"-netdev", "{\"type\":\"user\",\"id\":\"n\",\"hostfwd\":[{\"str\":\"tcp::2222-:22\"}]}"}, true, "2222"},
		{{"-nic", "user,hostfwd=tcp::2222-:22"}, true, "2222"},
		{{"-netdev", "user,id=n,guestfwd=tcp:10.0.2.9:1-tcp:127.0.0.1:22"}, false, "127.0.0.1:22"},
		{{"-netdev", "passt,id=n,quiet=off,address=10.0.0.2/24"}, false, "passt, a program of this host"},
		{{"-netdev", "passt,id=n,noquiet,tcp-ports=2222"}, true, "2222"},
		{{"-netdev", "socket,id=n,listen=:1234"}, true, "1234"},
		{{"-netdev", "stream,id=n,server=on,addr.type=inet,addr.host=0.0.0.0,addr.port=1234"}, true, "1234"},
		{{"-chardev", "udp,id=c,path=foo,host=192.0.2.1,port=1"}, true, "192.0.2.1"},
		{{"-vnc", ":1"}, true, ":1"},
		{{"-vnc", "unix:/srv/vm/a,vnc=0.0.0.0:5"}, true, "0.0.0.0:5"},
		{{"-vnc", "none,vnc=0.0.0.0:5"}, true, "0.0.0.0:5"},
		{{"-vnc", "unix:/srv/vm/a,websocket=0.0.0.0:5700"}, true, "5700"},
		{{"-vnc", "unix:/srv/vm/a,websocket"}, true, "websocket"},
		{{"-spice", "port=1,unix=on,addr=/srv/vm/s,tls-port=5901"}, true, "5901"},
		{{"-display", "vnc=0.0.0.0:1"}, true, "0.0.0.0"},
		{{"-spice", "port=5900,disable-ticketing=on"}, true, "5900"},
		{{"-tpmdev", "passthrough,id=t"}, false, "passthrough"},
		{{"-tpmdev", "passthrough,id=t,path=/dev/tpm1"}, false, "/dev/tpm1"},
		{{"-device", "vfio-pci,sysfsdev=/sys/bus/x"}, false, "/sys/bus/x"},
		{{"-device", "usb-host,hostbus=1"}, false, "usb-host"},
		{{"-object", "input-linux,id=i,evdev=/dev/input/event0"}, false, "event0"},
	};
	struct line_words w;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		if (judge_one(&w, cases[i].o.option, cases[i].o.value, false, &e))
			fail_msg("%s", e.msg);
		if (cases[i].port ? !w.port_count : !w.host_count)
			fail_msg("%s %s is not said", cases[i].o.option, cases[i].o.value);
		assert_non_null(strstr(cases[i].port ? w.ports[w.port_count - 1] : w.host[0], cases[i].says));
		line_words_fini(&w);
	}
}

#define NODE(n)	      "-blockdev", "{\"driver\":\"file\",\"filename\":\"/there/a.raw\",\"node-name\":\"f" n "\",\"auto-read-only\":true}"
#define READ(n)	      "-blockdev", "{\"driver\":\"raw\",\"file\":\"f" n "\",\"node-name\":\"r" n "\",\"read-only\":true}"
#define READ_BELOW(n) "-blockdev", "{\"driver\":\"raw\",\"file\":{\"driver\":\"raw\",\"file\":\"f" n "\"},\"node-name\":\"r" n "\"}"
#define WRITE(n)      "-blockdev", "{\"driver\":\"raw\",\"file\":\"f" n "\",\"node-name\":\"r" n "\"}"

/* A medium that is in two drives could be written to through its file node, as libvirt writes it; who reads it does not. */
static void a_medium_may_be_in_two_drives(void **state)
{
	static const struct {
		const char *words[11];
		bool is_taken;
	} lines[] = {
		{{"qemu-system-x86_64", NODE("0"), READ("0"), NODE("1"), READ("1")}, true},
		{{"qemu-system-x86_64", NODE("0"), READ("0"), NODE("1"), WRITE("1")}, false},
		{{"qemu-system-x86_64", NODE("0"), WRITE("0"), NODE("1"), READ("1")}, false},
		{{"qemu-system-x86_64", NODE("0"), READ("0"), NODE("1"), READ_BELOW("1")}, false},
		{{"qemu-system-x86_64", NODE("0"), READ("0"), NODE("1"), READ("1"), "-device", "ide-hd,drive=f1"}, false},
		{{"qemu-system-x86_64", NODE("0"), READ("0"), NODE("1"), "-device", "ide-cd,drive=f1"}, false},
		/* a socket's name is removed before it is made */
		{{"qemu-system-x86_64", "-drive", "file=/there/a.raw,format=raw", "-vnc", "unix:/there/a.raw"}, false},
		{{"qemu-system-x86_64", "-drive", "file=/there/a.raw,format=raw", "-vnc", "unix:/there/a.vnc"}, true},
	};
	struct line_words w;
	struct err e;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		for (n = 0; n < ARRAY_LEN(lines[i].words) && lines[i].words[n]; n++)
			;
		if (!judge(&w, lines[i].words, n, false, &e) != lines[i].is_taken)
			fail_msg("line %zu: %s", i, lines[i].is_taken ? e.msg : "it is taken");
		if (lines[i].is_taken)
			line_words_fini(&w);
		else if (i > 5)
			assert_non_null(strstr(e.msg, "named twice"));
	}
}

static void monitors_are_said_first(void **state)
{
	static const char *const words[] = {"qemu-system-x86_64", "-vnc", ":1", "-qmp", "tcp:127.0.0.1:1,server=on,wait=off"};
	struct line_words w;
	struct err e;

	(void)state;
	assert_int_equal(judge(&w, words, ARRAY_LEN(words), false, &e), 0);
	assert_int_equal(w.port_count, 2);
	assert_non_null(strstr(w.ports[0], "-qmp"));
	line_words_fini(&w);
}

/* A line with what guests usually have. */
static const char *const usual_words[] =
	{"qemu-system-x86_64",
	 "-name",
	 "guest=a/b,debug-threads=on",
	 "-machine",
	 "q35,accel=kvm,usb=off,pflash0=data,hpet=off",
	 "-accel",
	 "kvm",
	 "-cpu",
	 "host,model-id=a/b",
	 "-m",
	 "size=64,slots=1,maxmem=1G",
	 "-smp",
	 "2,sockets=2",
	 "-nodefaults",
	 "-no-user-config",
	 "-uuid",
	 "11111111-2222-3333-4444-555555555555",
	 "-rtc",
	 "base=utc,driftfix=slew",
	 "-boot",
	 "order=cd,menu=on",
	 "-object",
	 "iothread,id=root",
	 "-object",
	 "rng-random,id=rng0,filename=/dev/urandom",
	 "-object",
	 "secret,id=masterKey0,format=raw,data=ab/c=",
	 "-object",
	 "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864}",
	 "-smbios",
	 "type=1,manufacturer=a/b,serial=/c",
	 "-fw_cfg",
	 "name=opt/org.example/x,string=/etc/passwd",
	 "-append",
	 "root=/dev/sda console=ttyS0",
	 "-global",
	 "kvm-pit.lost_tick_policy=delay",
	 "-global",
	 "driver=cfi.pflash01,property=secure,value=on",
	 "-blockdev",
	 "{\"driver\":\"file\",\"filename\":\"/there/a.raw\",\"node-name\":\"data\",\"auto-read-only\":true}",
	 "-blockdev",
	 "node-name=home,driver=raw,file=data,cache.direct=on",
	 "-device",
	 "{\"driver\":\"virtio-blk-pci\",\"bus\":\"pci.1\",\"addr\":\"0x0\",\"drive\":\"home\",\"serial\":\"a/b\",\"id\":\"boot\"}",
	 "-drive",
	 "if=none,id=cd,media=cdrom",
	 "-drive",
	 "if=none,id=cd2,media=cdrom,file=",
	 "-device",
	 "ide-cd,drive=cd,bus=ide.0",
	 "-chardev",
	 "socket,id=charmonitor,path=/there/m,server=on,wait=off",
	 "-mon",
	 "chardev=charmonitor,id=monitor,mode=control",
	 "-qmp",
	 "unix:/there/q,server,nowait",
	 "-serial",
	 "file:/there/serial.log",
	 "-serial",
	 "null",
	 "-serial",
	 "mon:stdio",
	 "-serial",
	 "vc",
	 "-serial",
	 "unix:/there/s,server=on,wait=off,logfile=/there/s.log",
	 "-parallel",
	 "none",
	 "-monitor",
	 "none",
	 "-chardev",
	 "pty,id=charserial0",
	 "-device",
	 "isa-serial,chardev=charserial0",
	 "-netdev",
	 "user,id=n,net=10.0.2.0/24,restrict=on,dnssearch=a.example,dnssearch=b.example",
	 "-netdev",
	 "tap,id=t,ifname=tap0,script=no,downscript=no,vhost=on,queues=2",
	 "-netdev",
	 "bridge,id=b,br=br0",
	 "-netdev",
	 "hubport,id=h,hubid=1",
	 "-nic",
	 "user,model=e1000,mac=52:54:00:01:02:04",
	 "-nic",
	 "none",
	 "-net",
	 "nic,model=e1000,macaddr=52:54:00:01:02:05",
	 "-net",
	 "user",
	 "-device",
	 "virtio-net-pci,netdev=n,mac=52:54:00:01:02:03,romfile=",
	 "-device",
	 "e1000,romfile=efi-e1000.rom",
	 "-device",
	 "virtserialport,bus=virtio-serial0.0,nr=1,chardev=charserial0,name=org.qemu.guest_agent.0",
	 "-vga",
	 "std",
	 "-vnc",
	 "unix:/there/vnc,share=ignore,password=off,lossy",
	 "-audiodev",
	 "id=audio1,driver=none",
	 "-k",
	 "en-us",
	 "-usb",
	 "-device",
	 "usb-tablet",
	 "-bios",
	 "bios-256k.bin",
	 "-pidfile",
	 "/there/pid",
	 "-D",
	 "/there/log",
	 "-d",
	 "guest_errors",
	 "-sandbox",
	 "on,obsolete=deny",
	 "-msg",
	 "timestamp=on",
	 "-S"};

static void what_every_guest_has_needs_no_word(void **state)
{
	struct line_words w;
	struct err e;

	(void)state;
	if (judge(&w, usual_words, ARRAY_LEN(usual_words), false, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w.port_count, 0);
	assert_int_equal(w.host_count, 0);
	line_words_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_lead_out_of_the_bundle_is_refused_or_said_when_trusted),
		cmocka_unit_test(an_image_stands_directly_above_a_file),
		cmocka_unit_test(what_is_written_to_has_one_name),
		cmocka_unit_test(a_chardev_is_a_monitor_if_any_option_says_so),
		cmocka_unit_test(a_monitor_is_in_nobodys_reach_by_another_way),
		cmocka_unit_test(what_is_open_to_a_network_or_of_the_host_is_said),
		cmocka_unit_test(a_medium_may_be_in_two_drives),
		cmocka_unit_test(monitors_are_said_first),
		cmocka_unit_test(what_every_guest_has_needs_no_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
