/* The network card, and the UDP heartbeat: each millisecond one datagram {sequence number, guest's
 * monotonic ns, pages written, disk operations done}, all little-endian 64 bit, and the token that
 * an order has given it (zeros until then), which tells a receiver that it is this guest. A receiver
 * with a clock of its own sees gaps and losses from it, and how fast the load goes. A broadcast
 * address needs nobody to answer ARP. */
#include "witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define INTERFACE "eth0"

enum { PERIOD_NS = 1000000 };

static struct sockaddr_in target;
_Atomic uint64_t net_token[TOKEN_WORDS];

static struct in_addr parse_address(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		give_up("not an IPv4 address: %s", text);
	return address;
}

struct sockaddr_in net_target(const char *option, const char *text)
{
	char copy[TEXT_BYTES], *port = copy, *end = copy;
	const char *address = strsep((snprintf(copy, sizeof copy, "%s", text), &port), ":");
	unsigned long number = port ? strtoul(port, &end, 10) : 0;

	if (number < 1 || number > UINT16_MAX || *end != '\0')
		give_up("%s=%s: ADDRESS:PORT expected", option, text);
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = parse_address(address), .sin_port = htons((uint16_t)number)};
}

static void interface_set(int fd, unsigned long request, struct in_addr address)
{
	struct ifreq ask = {.ifr_name = INTERFACE};
	struct sockaddr_in *field = (struct sockaddr_in *)&ask.ifr_addr;

	field->sin_family = AF_INET;
	field->sin_addr = address;
	if (ioctl(fd, request, &ask) != 0)
		give_up("address of " INTERFACE ": %s", strerror(errno));
}

static void interface_up(int fd)
{
	struct ifreq ask = {.ifr_name = INTERFACE};

	if (ioctl(fd, SIOCGIFFLAGS, &ask) != 0)
		give_up(INTERFACE ": %s", strerror(errno));
	ask.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ask) != 0)
		give_up(INTERFACE " up: %s", strerror(errno));
}

static void interface_configure(int fd, const char *net)
{
	char text[TEXT_BYTES], *rest = text;
	const char *address = strsep((snprintf(text, sizeof text, "%s", net), &rest), "/");
	unsigned long prefix = rest ? strtoul(rest, NULL, 10) : 24;
	uint32_t mask;

	if (prefix < 1 || prefix > 32)
		give_up("net=%s: prefix must be 1 to 32", net);
	mask = UINT32_MAX << (32 - prefix);
	interface_set(fd, SIOCSIFADDR, parse_address(address));
	interface_set(fd, SIOCSIFNETMASK, (struct in_addr){htonl(mask)});
	interface_set(fd, SIOCSIFBRDADDR, (struct in_addr){parse_address(address).s_addr | htonl(~mask)});
	interface_up(fd);
}

static struct sockaddr in_family(struct in_addr address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
	struct sockaddr out;

	memcpy(&out, &in, sizeof out);
	return out;
}

static void route_configure(int fd, const char *gateway)
{
	struct in_addr all = {INADDR_ANY};
	struct rtentry route = {.rt_dst = in_family(all), .rt_genmask = in_family(all), .rt_flags = RTF_UP | RTF_GATEWAY};

	route.rt_gateway = in_family(parse_address(gateway));
	if (ioctl(fd, SIOCADDRT, &route) != 0)
		give_up("gw=%s: %s", gateway, strerror(errno));
}

static void *heartbeat_run(void *argument)
{
	int fd = (int)(intptr_t)argument;
	struct sched_param priority = {.sched_priority = 10};
	uint64_t beat[4 + TOKEN_WORDS] = {0}, next_ns = monotonic_ns();

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
	for (;;) {
		beat[0]++;
		beat[1] = monotonic_ns();
		beat[2] = done.ram_ops;
		beat[3] = done.disk_ops;
		for (unsigned i = 0; i < TOKEN_WORDS; i++)
			beat[4 + i] = net_token[i];
		sendto(fd, beat, sizeof beat, MSG_DONTWAIT, (struct sockaddr *)&target, sizeof target);
		next_ns += PERIOD_NS;
		if (next_ns < beat[1])
			next_ns = beat[1] + PERIOD_NS;
		sleep_until_ns(next_ns);
	}
	return argument;
}

void net_start(const struct options *options)
{
	int fd, on = 1;

	if (!options->net[0] && !options->hb_udp[0])
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		give_up("socket: %s", strerror(errno));
	if (options->net[0])
		interface_configure(fd, options->net);
	if (options->gw[0])
		route_configure(fd, options->gw);
	if (!options->hb_udp[0])
		return;
	target = net_target("hb_udp", options->hb_udp);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, INTERFACE, sizeof INTERFACE);
	start_thread(heartbeat_run, (void *)(intptr_t)fd);
}
