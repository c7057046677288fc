/* forwards.c: see forwards.h. */
#include "forwards.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ports of this host that are taken, held open until all are looked at, as two rules may name the same one. */
struct taken {
	int fds[GUEST_NICS_MAX * GUEST_FORWARDS_MAX];
	size_t n;
};

/* Binds the port as QEMU would. 0, and it stays open until *t is closed; -errno. */
static int take(struct taken *t, const struct described_forward *f)
{
	int fd = socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(f->port)};

	if (fd < 0)
		return -errno;
	t->fds[t->n++] = fd;
	if (*f->from && inet_pton(AF_INET, f->from, &at.sin_addr) != 1)
		return -EINVAL;
	if (!f->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) || (!f->udp && listen(fd, 1)) ? -errno : 0;
}

static char *words(const struct described_forward *f)
{
	return xasprintf("%s port %u of %s", f->udp ? "UDP" : "TCP", f->port, *f->from ? f->from : "all addresses of this host");
}

static void choose_of(struct guest_description *d, size_t i, struct taken *t)
{
	struct described_nic *n = &d->nics[i];
	size_t k, kept = 0;

	for (k = 0; k < n->forward_count; k++) {
		const struct described_forward f = n->forwards[k];
		AUTO_FREE char *port = words(&f);
		int r = take(t, &f);

		if (r) {
			description_note(d, "%s does not lead to network card #%zu as there: it cannot be had here (%s)", port, i + 1,
					 strerror(-r));
			continue;
		}
		n->forwards[kept++] = f;
		description_note(d, "%s leads to port %u of network card #%zu, as there", port, f.guest_port, i + 1);
	}
	n->forward_count = kept;
}

void forwards_choose(const char *const *nets, struct guest_description *d)
{
	AUTO_FREE struct taken *t = xcalloc(1, sizeof(*t));

	for (size_t i = 0; i < d->nic_count; i++) {
		struct described_nic *n = &d->nics[i];

		if (!n->forward_count)
			continue;
		if (strcmp(nets[i], "user") != 0) {
			description_note(d, "no port of this host leads to network card #%zu, as %zu did there: it is on %s", i + 1,
					 n->forward_count, nets[i]);
			n->forward_count = 0;
		}
		choose_of(d, i, t);
	}
	while (t->n)
		close(t->fds[--t->n]);
}
