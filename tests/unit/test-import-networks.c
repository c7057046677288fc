/* test-import-networks.c: to which network of this host each card of an imported guest goes, and whether it stays at its PCI address. */
#include "forwards.h"
#include "networks.h"
#include "qemu-line.h"
#include "readers.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* A firewall with three cards. */
static struct guest_description firewall(void)
{
	static const char *const networks[] = {"Outside", "Inside", "Lab = 2"};
	struct guest_description d = {.name = xstrdup("firewall")};
	size_t i;

	for (i = 0; i < ARRAY_LEN(networks); i++) {
		struct described_nic *n = description_add_nic(&d);

		n->network = xstrdup(networks[i]);
		n->kind = xstrdup(i ? "custom" : "bridged");
		n->has_mac = true;
		memcpy(n->mac, "\x52\x54\0\0\0\1", 6);
		n->mac[5] = (uint8_t)(i + 1);
	}
	return d;
}

static bool is_noted(const struct guest_description *d, const char *part)
{
	size_t i;

	for (i = 0; i < d->note_count; i++)
		if (strstr(d->notes[i], part))
			return true;
	return false;
}

static int choose(const char **nets, struct guest_description *d, const char *const *args, struct err *e)
{
	struct network_wish w[8];
	size_t n;

	for (n = 0; n < 8 && args[n]; n++)
		assert_true(network_wish_parse(&w[n], args[n]));
	return networks_choose(nets, d, w, n, e);
}

static void each_card_goes_where_it_is_said(void **state)
{
	static const struct {
		const char *args[5], *nets[3], *note;
	} cases[] = {
		{{NULL},
		 {"user", "user", "user"},
		 "#1 and #2 were on bridged 'Outside' and custom 'Inside' there: --net CARD=WHAT attaches each"},
		{{"none"}, {"none", "none", "none"}, NULL},
		{{"none", "bridge=br9"},
		 {"bridge=br9", "bridge=br9", "bridge=br9"},
		 "#1 and #2 were on bridged 'Outside' and custom 'Inside'"},
		{{"Outside=bridge=br0", "Inside=bridge=br1", "none"}, {"bridge=br0", "bridge=br1", "none"}, NULL},
		{{"Outside=bridge=br0", "Inside=bridge=br1"},
		 {"bridge=br0", "bridge=br1", "user"},
		 "--net does not say where network card #3, there on custom 'Lab = 2' goes: it is on user"},
		{{"#2=none", "52-54-00-00-00-03=bridge=br3", "Outside=user"}, {"user", "none", "bridge=br3"}, NULL},
		{{"Lab = 2=bridge=br2", "user"}, {"user", "user", "bridge=br2"}, NULL},
		/* the most exact rule wins, in any order */
		{{"#2=none", "custom=bridge=br5", "Inside=user", "bridge=br0"}, {"bridge=br0", "none", "bridge=br5"}, NULL},
		{{"Outside=bridge=br0", "Inside=bridge=br0", "none"}, {"bridge=br0", "bridge=br0", "none"}, "are on one network here"},
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest_description d = firewall();
		const char *nets[GUEST_NICS_MAX];
		struct err e;

		assert_int_equal(choose(nets, &d, cases[i].args, &e), 0);
		for (k = 0; k < 3; k++)
			assert_string_equal(nets[k], cases[i].nets[k]);
		if (cases[i].note ? !is_noted(&d, cases[i].note) : d.note_count)
			fail_msg("case %zu: %s", i, d.note_count ? d.notes[0] : "no note");
		description_fini(&d);
	}
}

static void a_card_that_is_not_there_is_refused(void **state)
{
	static const char *const none[][3] = {{"outside2=user"},
					      {"#4=user"},
					      {"#0=user"},
					      {"52:54:00:00:00:04=user"},
					      {"Outside=none", "DMZ=none"}};
	static const char *const twice[][3] = {{"Outside=none", "Outside=user"}, {"#1=bridge=br0", "52:54:00:00:00:01=bridge=br1"}};
	const char *nets[GUEST_NICS_MAX];
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(none); i++) {
		struct guest_description d = firewall();

		assert_int_equal(choose(nets, &d, none[i], &e), -EINVAL);
		assert_non_null(
			strstr(e.msg, "it has #1 52:54:00:00:00:01 on bridged 'Outside', #2 52:54:00:00:00:02 on custom 'Inside', #3"));
		description_fini(&d);
	}
	for (i = 0; i < ARRAY_LEN(twice); i++) {
		struct guest_description d = firewall();

		assert_int_equal(choose(nets, &d, twice[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, "--net says of network card #1 both"));
		description_fini(&d);
	}
}

static void what_is_no_network_is_not_taken(void **state)
{
	static const char *const bad[] = {"",	   "users",    "bridge=",     "bridge=a,script=b",
					  "=user", "Outside=", "Outside=br0", "Outside=bridge=a/b"};
	struct network_wish w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(network_wish_parse(&w, bad[i]));
	assert_true(network_wish_parse(&w, "bridge=br0"));
	assert_null(w.card);
	assert_true(network_wish_parse(&w, "bridge=bridge=br0"));
	assert_int_equal(w.card_bytes, 6);
}

/* ---- PCI addresses ---- */

static bool has(const void *ctx, const char *device)
{
	(void)ctx, (void)device;
	return true;
}

#define NIC(bus, slot)                                                                                                                     \
	"<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='virtio'/>"                          \
	"<address type='pci' domain='0x0000' bus='" bus "' slot='" slot "' function='0x0'/></interface>"
#define PORT(index, slot, function, more)                                                                                                  \
	"<controller type='pci' index='" index "' model='pcie-root-port'><target chassis='" index "' port='0x1" index "'/>"                \
	"<address type='pci' domain='0x0000' bus='0x00' slot='" slot "' function='" function "'" more "/></controller>"
#define FIRST PORT("1", "0x02", "0x0", " multifunction='on'")

/* All devices of the line with an address, in its order. */
static char *addresses(const char *type, const char *machine, const char *devices)
{
	AUTO_FREE char *xml = xasprintf("<domain type='%s'><name>x</name><memory>262144</memory><os><type machine='%s'>hvm</type></os>"
					"<devices>%s</devices></domain>",
					type, machine, devices);
	const char *nets[GUEST_NICS_MAX] = {"user", "user"};
	struct guest_description d = {.name = NULL};
	const struct line_wishes w = {.memory_bytes = 0};
	struct line_host h = {.machine = "m", .format = "raw", .nets = nets, .qmp = "/q", .vnc = "/v"};
	struct line l;
	struct err e;
	char *text;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);
	bool moved;

	assert_int_equal(read_libvirt(&d, xml, strlen(xml), &e), 0);
	line_decide(&d, &w, has, NULL);
	assert_int_equal(line_make(&l, &d, &h, &e), 0);
	for (i = 0; i < l.argc; i++)
		if (strstr(l.argv[i], "addr="))
			fprintf(f, "%s%.*s@%s", ftell(f) ? " " : "", (int)strcspn(l.argv[i], ","), l.argv[i], strstr(l.argv[i], "bus="));
	fflush(f);
	moved = is_noted(&d, "at other PCI addresses here (#1");
	fprintf(f, "%s", moved ? " moved" : "");
	fclose(f);
	line_fini(&l);
	description_fini(&d);
	return text;
}

static void cards_keep_their_pci_address_where_they_can(void **state)
{
	static const struct {
		const char *type, *machine, *devices, *is;
	} cases[] = {
		{"kvm", "pc-q35-6.2", FIRST NIC("0x01", "0x00"),
		 "pcie-root-port@bus=pcie.0,addr=0x2.0x0,multifunction=on,chassis=1,port=0x11 virtio-net-pci@bus=pci.1,addr=0x0"},
		/* all ports are made, as the number of a bus is by those before it */
		{"kvm", "q35", PORT("2", "0x02", "0x1", "") FIRST NIC("2", "0"),
		 "pcie-root-port@bus=pcie.0,addr=0x2.0x1,chassis=2,port=0x12 "
		 "pcie-root-port@bus=pcie.0,addr=0x2.0x0,multifunction=on,chassis=1,port=0x11 virtio-net-pci@bus=pci.2,addr=0x0"},
		{"kvm", "q35", FIRST NIC("0x00", "0x03"), "virtio-net-pci@bus=pcie.0,addr=0x3"},
		{"kvm", "pc-i440fx-6.2", NIC("0x00", "0x03"), "virtio-net-pci@bus=pci.0,addr=0x3"},
		/* this machine type cannot have the address */
		{"kvm", "pc-i440fx-6.2", NIC("0x01", "0x03"), " moved"},
		{"kvm", "q35", FIRST NIC("0x01", "0x01"), " moved"},
		{"kvm", "q35", FIRST NIC("0x03", "0x00"), " moved"},
		{"kvm", "q35", FIRST NIC("0x00", "0x02"), " moved"},		      /* the slot has a port */
		{"kvm", "q35", FIRST NIC("0x00", "0x1f"), " moved"},		      /* ICH9 */
		{"kvm", "pc", NIC("0x00", "0x01"), " moved"},			      /* PIIX3 */
		{"kvm", "q35", PORT("2", "0x02", "0x1", "") NIC("2", "0"), " moved"}, /* a function without the first one */
		{"kvm", "q35", FIRST PORT("2", "0x02", "0x0", "") NIC("2", "0"), " moved"},
		{"kvm", "q35",
		 FIRST "<controller type='pci' index='2' model='pcie-to-pci-bridge'/>" PORT("3", "0x02", "0x1", "") NIC("3", "0"),
		 " moved"},
		{"kvm", "q35", FIRST "<controller type='pci' index='2' model='pcie-to-pci-bridge'/>" NIC("1", "0"),
		 "pcie-root-port@bus=pcie.0,addr=0x2.0x0,multifunction=on,chassis=1,port=0x11 virtio-net-pci@bus=pci.1,addr=0x0"},
		{"vmware", "pc", NIC("0x00", "0x03"), "virtio-net-pci@bus=pci.0,addr=0x3"},
		{"kvm", "q35", NIC("0x100", "0x00"), ""}, /* an address that is none */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *is = addresses(cases[i].type, cases[i].machine, cases[i].devices);

		if (strcmp(is, cases[i].is) != 0)
			fail_msg("case %zu: '%s', not '%s'", i, is, cases[i].is);
	}
}

static void two_cards_are_not_at_one_address(void **state)
{
	AUTO_FREE char *is = addresses("kvm", "q35", NIC("0", "0x03") NIC("0", "0x03"));

	(void)state;
	assert_string_equal(is, "virtio-net-pci@bus=pcie.0,addr=0x3");
}

/* ---- ports of the host ---- */

/* A port that is ours, and its socket. */
static uint16_t take_port(int *fd, int type)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);

	*fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_true(*fd >= 0 && !bind(*fd, (struct sockaddr *)&at, n) && (type == SOCK_DGRAM || !listen(*fd, 1)));
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

static struct guest_description with_forwards(const struct described_forward *f, size_t n)
{
	struct guest_description d = {.name = xstrdup("guest")};
	struct described_nic *nic = description_add_nic(&d);

	memcpy(nic->forwards, f, n * sizeof(*f));
	nic->forward_count = n;
	return d;
}

/* A QEMU that does not get one does not start. */
static void a_port_that_is_taken_leads_nowhere(void **state)
{
	static const char *const nat[] = {"user"};
	AUTO_CLOSE int tcp = -1, udp = -1, free_one = -1;
	struct described_forward f[] = {{.from = "127.0.0.1", .port = take_port(&tcp, SOCK_STREAM), .guest_port = 22},
					{.udp = true, .from = "127.0.0.1", .port = take_port(&udp, SOCK_DGRAM), .guest_port = 53},
					{.from = "127.0.0.1", .port = take_port(&free_one, SOCK_STREAM), .guest_port = 80},
					{.guest_port = 443}};
	AUTO_FREE char *lost = xasprintf("TCP port %u of 127.0.0.1 does not lead to network card #1", f[0].port);
	AUTO_FREE char *lost_too = xasprintf("UDP port %u of 127.0.0.1 does not lead", f[1].port);
	AUTO_FREE char *everywhere = xasprintf("TCP port %u of all addresses of this host does not lead", f[0].port);
	AUTO_FREE char *kept = xasprintf("TCP port %u of 127.0.0.1 leads to port 80 of network card #1", f[2].port);
	struct guest_description d;

	(void)state;
	f[3].port = f[0].port; /* a rule for all addresses includes that one */
	d = with_forwards(f, ARRAY_LEN(f));
	close(free_one);
	free_one = -1;
	forwards_choose(nat, &d);
	assert_int_equal(d.nics[0].forward_count, 1);
	assert_int_equal(d.nics[0].forwards[0].port, f[2].port);
	assert_true(is_noted(&d, lost) && is_noted(&d, lost_too) && is_noted(&d, everywhere) && is_noted(&d, kept));
	description_fini(&d);
}

static void two_rules_do_not_have_one_port(void **state)
{
	static const char *const nat[] = {"user"};
	int fd;
	uint16_t port = take_port(&fd, SOCK_STREAM);
	const struct described_forward f[] = {{.from = "127.0.0.1", .port = port, .guest_port = 22},
					      {.from = "127.0.0.1", .port = port, .guest_port = 23}};
	struct guest_description d = with_forwards(f, ARRAY_LEN(f));

	(void)state;
	close(fd);
	forwards_choose(nat, &d);
	assert_int_equal(d.nics[0].forward_count, 1);
	assert_int_equal(d.nics[0].forwards[0].guest_port, 22);
	description_fini(&d);
}

static void a_card_on_a_bridge_has_no_ports(void **state)
{
	static const char *const bridge[] = {"bridge=br0"};
	const struct described_forward f = {.from = "127.0.0.1", .port = 2222, .guest_port = 22};
	struct guest_description d = with_forwards(&f, 1);

	(void)state;
	forwards_choose(bridge, &d);
	assert_int_equal(d.nics[0].forward_count, 0);
	assert_true(is_noted(&d, "no port of this host leads to network card #1, as 1 did there: it is on bridge=br0"));
	description_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_card_goes_where_it_is_said),  cmocka_unit_test(a_card_that_is_not_there_is_refused),
		cmocka_unit_test(what_is_no_network_is_not_taken),  cmocka_unit_test(cards_keep_their_pci_address_where_they_can),
		cmocka_unit_test(two_cards_are_not_at_one_address), cmocka_unit_test(a_port_that_is_taken_leads_nowhere),
		cmocka_unit_test(two_rules_do_not_have_one_port),   cmocka_unit_test(a_card_on_a_bridge_has_no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
