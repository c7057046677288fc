/*
 * qemu-args-net.c: the rules of qemu-args.c for the network: what each NIC is attached to here and there.
 *
 * A back end (-netdev, -nic, -net TYPE) and the guest's device on it are one NIC, which --map-net names by the back
 * end's id, the device's id, or the MAC address. What the guest sees stays; only the back end changes.
 */
#include "qemu-args-rules.h"
#include "tap-name.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_HUB 1000 /* hubs of NICs attached to nothing, each alone in its own */

/* The value of the property that says what a back end is attached to. */
static const char *attachment(const struct kv_list *l, const char *type)
{
	static const struct {
		const char *type, *key;
	} keys[] = {
		{"tap", "ifname"},	  {"tap", "br"},     {"bridge", "br"},	      {"socket", "connect"},   {"socket", "listen"},
		{"socket", "mcast"},	  {"socket", "udp"}, {"stream", "addr.path"}, {"stream", "addr.host"}, {"dgram", "remote.path"},
		{"dgram", "remote.host"}, {"vde", "sock"},   {"l2tpv3", "dst"},	      {"af-xdp", "ifname"},    {"passt", "interface"},
		{"hubport", "hubid"},
	};
	const char *value = NULL;

	for (size_t i = 0; i < ARRAY_LEN(keys) && !value; i++)
		if (!strcmp(keys[i].type, type))
			value = kv_get(l, keys[i].key, NULL);
	return value ? value : !strcmp(type, "bridge") ? "br0" : NULL; /* QEMU's default */
}

/* ---- the list ---- */

/* -net nic has a device's properties, and -net TYPE is its back end on the same hub: they are paired in their order. */
static const struct item *net_nic(const struct rewrite *w, size_t number)
{
	for (size_t i = 0; i < w->item_count; i++) {
		const char *type = kv_get(&w->items[i].p.l, "type", "type");

		if (!strcmp(w->items[i].name, "net") && type && !strcmp(type, "nic") && number-- == 0)
			return &w->items[i];
	}
	return NULL;
}

static void device_of(const struct rewrite *w, const struct item *it, size_t nets, struct args_nic *n)
{
	const struct item *device = it;

	if (!strcmp(it->name, "netdev"))
		device = args_find(w, "device", "netdev", n->netdev);
	else if (!strcmp(it->name, "net"))
		device = net_nic(w, nets);
	if (!device)
		return;
	if (!strcmp(device->name, "device")) {
		n->device = xstrdup(kv_get(&device->p.l, "id", NULL));
		n->model = xstrdup(kv_get(&device->p.l, "driver", "driver"));
	} else {
		n->model = xstrdup(kv_get(&device->p.l, "model", NULL));
	}
	n->mac = xstrdup(kv_get(&device->p.l, strcmp(device->name, "net") ? "mac" : "macaddr", NULL));
}

static bool is_backend(const struct item *it, const char *type)
{
	if (strcmp(it->name, "netdev") && strcmp(it->name, "nic") && strcmp(it->name, "net"))
		return false;
	return type && strcmp(type, "none") && strcmp(type, "nic");
}

static bool is_nic(const struct args_nic *n, const char *name)
{
	return (n->netdev && !strcmp(n->netdev, name)) || (n->device && !strcmp(n->device, name)) || (n->mac && !strcasecmp(n->mac, name));
}

static int check_maps(struct rewrite *w)
{
	AUTO_FREE char *names = xstrdup("");
	size_t i, k;
	int r = 0;

	for (k = 0; k < w->r->nic_count; k++) {
		const struct args_nic *n = &w->r->nics[k];
		const char *name = n->netdev ? n->netdev : n->device ? n->device : n->mac;

		if (name)
			kv_replace(&names, xasprintf("%s%s%s", names, *names ? ", " : "", name));
	}
	for (i = 0; i < w->o->net_count && r == 0; i++) {
		for (k = 0; k < w->r->nic_count && !is_nic(&w->r->nics[k], w->o->nets[i].nic); k++)
			;
		if (k == w->r->nic_count)
			r = err_set(w->e, EINVAL, "--map-net %s=%s: the guest has no NIC %s; it has: %s", w->o->nets[i].nic,
				    w->o->nets[i].to, w->o->nets[i].nic, *names ? names : "none");
	}
	return r;
}

int args_list_nics(struct rewrite *w)
{
	struct args_result *r = w->r;
	size_t i, nets = 0;

	for (i = 0; i < w->item_count; i++) {
		struct item *it = &w->items[i];
		const char *type = kv_get(&it->p.l, "type", "type");
		struct args_nic n = {.netdev = NULL};

		if (!is_backend(it, type))
			continue;
		n.type = xstrdup(type);
		n.attach = xstrdup(attachment(&it->p.l, type));
		n.netdev = xstrdup(kv_get(&it->p.l, "id", NULL));
		if (!n.netdev)
			n.netdev = xstrdup(kv_get(&it->p.l, "name", NULL));
		device_of(w, it, nets, &n);
		nets += !strcmp(it->name, "net");
		n.to_type = xstrdup(n.type);
		n.to_attach = xstrdup(n.attach);
		r->nics = xrealloc(r->nics, (r->nic_count + 1) * sizeof(*r->nics));
		it->nic = r->nic_count;
		r->nics[r->nic_count++] = n;
	}
	return check_maps(w);
}

/* ---- mapping ---- */

/* A NIC may be named in several ways: the last word about it counts. */
static const char *map_of(const struct rewrite *w, const struct args_nic *n)
{
	for (size_t i = w->o->net_count; i-- > 0;)
		if (is_nic(n, w->o->nets[i].nic))
			return strcmp(w->o->nets[i].to, "as-is") ? w->o->nets[i].to : NULL;
	return NULL;
}

/* The destination's bridge that replaces the NIC's; NULL: the bridge keeps its name, or QEMU's bridge helper does not attach this NIC. */
static const char *other_bridge(const struct rewrite *w, const struct item *it, const struct args_nic *n)
{
	bool helped = !strcmp(n->type, "bridge") ||
		      (!strcmp(n->type, "tap") && kv_get(&it->p.l, "br", NULL) && !kv_get(&it->p.l, "ifname", NULL));

	if (!helped)
		return NULL;
	for (size_t i = 0; i < w->o->net_count; i++)
		if (is_nic(n, w->o->nets[i].nic))
			return NULL;
	for (size_t i = 0; i < w->o->bridge_count; i++)
		if (n->attach && !strcmp(n->attach, w->o->bridges[i].nic))
			return w->o->bridges[i].to;
	return NULL;
}

static char *describe_end(const char *type, const char *attach)
{
	if (!strcmp(type, "none"))
		return xstrdup("attached to nothing");
	return attach ? xasprintf("%s %s", type, attach) : xstrdup(type);
}

static const char *nic_name(const struct args_nic *n)
{
	return n->netdev ? n->netdev : n->mac ? n->mac : n->type;
}

/* QEMU loads a virtio NIC that had a tap's offloads only onto a back end that has them, too (virtio_net_post_load). */
static int check_offloads(struct rewrite *w, const struct item *it, const struct args_nic *n, const char *to)
{
	bool from_tap = !strcmp(n->type, "tap") || !strcmp(n->type, "bridge");
	bool to_tap = !strcmp(to, "tap") || !strcmp(to, "bridge");

	if (w->o->no_state || !from_tap || to_tap || !kv_flag(&it->p.l, "vnet_hdr", true) || !n->model ||
	    !text_starts_with(n->model, "virtio"))
		return 0;
	return err_set(w->e, EINVAL,
		       "--map-net %s=%s: the guest's virtio NIC uses the offloads of a tap device, which %s has not: QEMU "
		       "would refuse it; map it to a bridge or a tap",
		       nic_name(n), to, to);
}

unsigned args_tap_queues(const struct kv_list *l)
{
	const char *queues = kv_get(l, "queues", NULL), *fds = kv_get(l, "fds", NULL);
	unsigned n = 1;

	if (queues)
		return (unsigned)strtoul(queues, NULL, 0);
	for (; fds && *fds; fds++)
		n += *fds == ':';
	return n;
}

static int check_queues(struct rewrite *w, const struct item *it, const struct args_nic *n, const char *to)
{
	unsigned queues = args_tap_queues(&it->p.l);

	if (queues == 1 || !strcmp(to, "tap"))
		return 0;
	return err_set(w->e, EINVAL, "--map-net %s=%s: the NIC has %u queues, and only a tap has more than one", nic_name(n), to, queues);
}

/* A tap whose queues were passed as descriptors gets as many queues that QEMU opens itself. */
static void keep_queues(struct kv_list *to, const struct kv_list *from)
{
	unsigned queues = args_tap_queues(from);
	AUTO_FREE char *text = xasprintf("%u", queues);

	if (queues > 1 && !kv_get(to, "queues", NULL))
		kv_append(to, "queues", text);
}

/* Keeps the properties of the device, and those that any back end has (a tap's for a tap); those of the old back end go. */
static void keep_common(struct kv_list *to, const struct kv_list *from, bool nic, bool tap)
{
	static const char *const device[] = {"model", "mac", "macaddr", "addr", "vectors", "name"};
	static const char *const taps[] = {"queues", "vhost", "vhostforce", "poll-us", "sndbuf", "vnet_hdr"};

	for (size_t i = 0; i < from->n; i++) {
		const char *key = from->v[i].key;

		if (key && (!strcmp(key, "id") || (nic && args_among(key, device, ARRAY_LEN(device))) ||
			    (tap && args_among(key, taps, ARRAY_LEN(taps)))))
			kv_append(to, key, from->v[i].value);
	}
}

/* ---- in its place ---- */

/* True for "" and "no": QEMU runs no script. Without the option it runs its own. */
static bool is_no_script(const char *said)
{
	return said && (!*said || !strcmp(said, "no"));
}

/* The reason why a tap cannot go from one QEMU to another, malloc'ed; NULL: it can. */
static char *why_it_cannot_pass(const struct kv_list *l, const struct args_nic *n)
{
	const char *name = nic_name(n), *up = kv_get(l, "script", NULL), *down = kv_get(l, "downscript", NULL);

	if (args_tap_queues(l) != 1)
		return xasprintf("a tap of several queues cannot go from one QEMU to another while the guest runs (--map-net "
				 "%s=bridge:BRIDGE gives it another)",
				 name);
	if (kv_flag(l, "vhost", !kv_get(l, "vhost", NULL) && kv_flag(l, "vhostforce", false)) || kv_get(l, "vhostfd", NULL))
		return xasprintf("the kernel serves that tap itself (vhost), and it cannot go from one QEMU to another then (--map-net "
				 "%s=tap:%s,vhost=off goes on without)",
				 name, n->attach);
	return is_no_script(up) && is_no_script(down)
		       ? NULL
		       : xasprintf(
				 "the scripts that set up that tap would be run for another (--map-net %s=tap:%s goes on without: script=no and "
				 "downscript=no)",
				 name, n->attach);
}

/* Gives the new QEMU a stand-in tap to begin with: the old QEMU has the guest's tap until it ends. l: the back end there. */
static int stand_in(struct rewrite *w, const struct item *it, struct kv_list *l, struct args_nic *n)
{
	struct kv *name = kv_find(l, "ifname", NULL);
	bool has_it = name && n->attach && !strcmp(n->type, "tap") && !strcmp(name->value, n->attach);
	AUTO_FREE char *why = w->o->in_place && has_it ? why_it_cannot_pass(l, n) : NULL;
	unsigned index;

	n->helped = !name && kv_get(l, "br", NULL);
	n->unscripted = is_no_script(kv_get(l, "script", NULL));
	if (!w->o->in_place || !has_it)
		return 0;
	if (why)
		return args_check_in_place(w, it, why);
	index = w->o->tap_index ? w->o->tap_index(n->attach) : 0;
	if (!index)
		return err_set(w->e, ENODEV, "-%s: there is no tap %s in our network namespace", it->name, n->attach);
	n->stand_in = xasprintf(TAP_STAND_IN "%u", index);
	kv_replace(&name->value, xstrdup(n->stand_in));
	args_note(w, "network %s goes over to the new QEMU with tap %s, once the one that has it has ended (until then: %s)", nic_name(n),
		  n->attach, n->stand_in);
	return 0;
}

/* The number of an unused hub: unused on this line, and not returned by another call. */
static char *free_hub(const struct rewrite *w, const struct args_nic *n)
{
	size_t number = FIRST_HUB + (size_t)(n - w->r->nics);
	char *hub = xasprintf("%zu", number);

	while (args_find(w, "netdev", "hubid", hub) || args_find(w, "nic", "hubid", hub) || args_find(w, "net", "hubid", hub)) {
		number += w->r->nic_count;
		kv_replace(&hub, xasprintf("%zu", number));
	}
	return hub;
}

/* Turns "bridge:br1" and the like into the properties of the new back end; -EINVAL: unknown. */
static int parse_map(struct rewrite *w, const char *to, const struct item *it, struct args_nic *n, struct kv_list *out)
{
	size_t type_len = strcspn(to, ":");
	const char *what = to[type_len] ? to + type_len + 1 : "";
	AUTO_FREE char *type = xasprintf("%.*s", (int)type_len, to);
	bool tap = !strcmp(type, "tap"), none = !strcmp(type, "none");
	struct kv_list more;

	if ((!tap && !none && strcmp(type, "bridge") && strcmp(type, "user")) || (*what == '\0') == (tap || !strcmp(type, "bridge")))
		return err_set(w->e, EINVAL,
			       "--map-net %s=%s: what is behind '=' is bridge:BRIDGE, tap:NAME[,script=…], user, none or as-is",
			       nic_name(n), to);
	kv_parse(&more, what);
	kv_append(out, NULL, none ? "hubport" : type);
	keep_common(out, &it->p.l, strcmp(it->name, "netdev"), tap && !strcmp(n->type, "tap"));
	if (tap && !strcmp(n->type, "tap"))
		keep_queues(out, &it->p.l);
	if (none) {
		AUTO_FREE char *hub = free_hub(w, n);

		kv_append(out, "hubid", hub);
	}
	if (more.n)
		kv_append(out, tap ? "ifname" : "br", more.v[0].value);
	if (tap && !kv_get(&more, "script", NULL))
		kv_append(out, "script", "no");
	if (tap && !kv_get(&more, "downscript", NULL))
		kv_append(out, "downscript", "no");
	for (size_t i = 1; i < more.n; i++)
		kv_append(out, more.v[i].key, more.v[i].value);
	kv_replace(&n->to_type, xstrdup(type));
	kv_replace(&n->to_attach, more.n ? xstrdup(more.v[0].value) : NULL);
	kv_fini(&more);
	return 0;
}

static void drop_keys(struct item *it, const char *const *keys, size_t count)
{
	struct kv_list *l = &it->p.l;

	json_object_del(it->p.tree, "hostfwd");
	for (size_t i = 0; i < l->n;) {
		AUTO_FREE char *key = xstrdup(l->v[i].key);

		if (key && args_among(key, keys, count))
			kv_remove(l, key);
		else
			i++;
	}
}

/*
 * A user network has state of its own in QEMU's stream ("slirp"), and the destination's QEMU needs a user network to load it into: so an
 * unconnected one stays beside its replacement. Changes the item, which has been emitted as something else.
 */
static void keep_slirp(struct rewrite *w, struct item *it)
{
	static const char *const not_its[] = {"model", "mac", "macaddr", "addr", "vectors", "name", "hostfwd", "hostfwd.*"};
	struct kv_list *l = &it->p.l;
	char *id = NULL, *value;

	do
		kv_replace(&id, xasprintf("vmferry-user-%zu", w->slirps++));
	while (args_find(w, "netdev", "id", id));
	drop_keys(it, not_its, ARRAY_LEN(not_its));
	if (kv_find(l, "id", NULL))
		kv_replace(&kv_find(l, "id", NULL)->value, id);
	else
		kv_append(l, "id", id), free(id);
	value = props_print(&it->p);
	args_emit(w, "netdev", value);
	free(value);
}

/* Maps programs and directories, which must exist at the destination. Relative paths are relative to the directory where the source was
 * started. l: the back end there. */
static void map_scripts(struct rewrite *w, const struct item *it, struct kv_list *l)
{
	static const struct {
		const char *key;
		enum args_role role;
	} keys[] = {{"script", ARGS_SCRIPT},  {"downscript", ARGS_SCRIPT}, {"helper", ARGS_SCRIPT}, {"smb", ARGS_DIRECTORY},
		    {"tftp", ARGS_DIRECTORY}, {"sock", ARGS_CONNECT},	   {"path", ARGS_SCRIPT},   {"config", ARGS_DATA}};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct kv *p = kv_find(l, keys[i].key, NULL);
		bool none = !p || !*p->value || (keys[i].role == ARGS_SCRIPT && !strcmp(p->value, "no"));
		bool searched = p && !strcmp(keys[i].key, "path") && !strchr(p->value, '/'); /* $PATH is searched for it */

		if (!none && !searched)
			args_file(w, it, keys[i].role, strcmp(keys[i].key, "smb") != 0, NULL, &p->value);
	}
}

static int map_nic(struct rewrite *w, const char *to, struct item *it, struct args_nic *n)
{
	AUTO_FREE char *here = describe_end(n->type, n->attach), *there = NULL;
	AUTO_KV struct kv_list out = {.n = 0};
	int r = parse_map(w, to, it, n, &out);

	if (r == 0)
		r = check_offloads(w, it, n, n->to_type);
	if (r == 0)
		r = check_queues(w, it, n, n->to_type);
	if (r == 0)
		r = stand_in(w, it, &out, n);
	if (r == 0) {
		there = describe_end(n->to_type, n->to_attach);
		if (!n->stand_in)
			args_note(w, "network %s (%s here) is %s on the destination", nic_name(n), here, there);
		map_scripts(w, it, &out);
		args_emit_list(w, it->name, &out);
		if (!w->o->no_state && !strcmp(n->type, "user") && strcmp(n->to_type, "user"))
			keep_slirp(w, it);
	}
	return r;
}

/* ---- as it is ---- */

/* QEMU gives a helper with a blank in it to a shell. */
static int check_helper(struct rewrite *w, const struct item *it)
{
	const char *helper = kv_get(&it->p.l, "helper", NULL);

	if (!helper || !strpbrk(helper, " \t"))
		return 0;
	return err_set(w->e, EINVAL, "-%s %s: its helper is not one program, but a line for a shell; name a program", it->name, it->value);
}

/* A tap that says nothing of a script has the one of QEMU's own. */
static void need_own_script(struct rewrite *w, const struct item *it, const char *type)
{
	static const char *const others[] = {"script", "helper", "br", "fd", "fds"};
	AUTO_FREE char *own = xstrdup(ARGS_IFUP);

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (kv_get(&it->p.l, others[i], NULL))
			return;
	if (!strcmp(type, "tap"))
		args_file(w, it, ARGS_SCRIPT, true, "QEMU's own network script", &own);
}

/* Unix sockets of -netdev stream and dgram. */
static int map_sockets(struct rewrite *w, struct item *it, const char *type)
{
	static const char *const keys[] = {"addr.path", "local.path", "remote.path"};
	static const char *const kinds[] = {"addr.type", "local.type", "remote.type"};
	AUTO_FREE char *name = xasprintf("%s %s", it->name, type);
	bool server = kv_flag(&it->p.l, "server", false);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kv_get(&it->p.l, kinds[i], NULL) && !strcmp(kv_get(&it->p.l, kinds[i], NULL), "fd"))
			return args_refuse_descriptor(w, it);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct kv *p = kv_find(&it->p.l, keys[i], NULL);

		if (!p)
			continue;
		if (*keys[i] == 'l' || (*keys[i] == 'a' && server)) {
			if (args_listen(w, it, "network socket", &p->value) < 0)
				return -w->e->code;
			continue;
		}
		args_connect(w, it, &it->p.l, "network socket", name, &p->value);
	}
	return 0;
}

static void note_nic(struct rewrite *w, const struct item *it, const struct args_nic *n)
{
	const char *script = kv_get(&it->p.l, "script", NULL);
	bool helped = !strcmp(n->type, "bridge") || (kv_get(&it->p.l, "br", NULL) && !kv_get(&it->p.l, "ifname", NULL));

	if (n->stand_in)
		return;
	if (helped && n->attach)
		args_note(w, "network %s is attached to bridge %s of the destination, too", nic_name(n), n->attach);
	else if (!strcmp(n->type, "tap") && n->attach)
		args_note(w, "network %s is tap %s on the destination, too%s", nic_name(n), n->attach,
			  is_no_script(script) ? ": it must be there already, attached to its bridge" : "");
	else if (!strcmp(n->type, "tap"))
		args_note(w, "network %s is a new tap device, which the destination's %s attaches", nic_name(n),
			  script ? script : ARGS_IFUP);
	else if (n->attach && strcmp(n->type, "hubport"))
		args_note(w, "network %s is %s %s on the destination, too", nic_name(n), n->type, n->attach);
}

/* Renames the bridge; other properties of the back end, such as its helper, stay. */
static void rename_bridge(struct rewrite *w, struct item *it, struct args_nic *n, const char *to)
{
	struct kv *br = kv_find(&it->p.l, "br", NULL);

	if (br)
		kv_replace(&br->value, xstrdup(to));
	else
		kv_append(&it->p.l, "br", to);
	kv_replace(&n->to_attach, xstrdup(to));
	args_note(w, "network %s (bridge %s here) is on bridge %s of the destination, which has the same label", nic_name(n), n->attach,
		  to);
}

static int refuse_type(struct rewrite *w, const struct item *it, const char *type)
{
	static const struct {
		const char *type, *why;
	} refused[] = {
		{"vhost-user", "another process holds a part of its state, behind a socket"},
		{"vhost-vdpa", "it is a device of this host"},
		{"af-xdp", "it is bound to a network card of this host"},
		{"netmap", "it is bound to a network card of this host"},
	};
	const char *tap = !strcmp(type, "tap") ? kv_get(&it->p.l, "ifname", NULL) : NULL;
	__auto_type row = ROW_OF(refused, type, type);

	if (w->o->at_rest && !strcmp(type, refused[0].type)) {
		args_note(w, "-%s %s" ARGS_START_PROCESS ", with the socket by this name, before the guest", it->name, type);
		return 0;
	}
	if (row)
		return err_set(w->e, EINVAL, "the guest has -%s %s: %s", it->name, type, row->why);
	if (tap && tap_stood_in_for(tap))
		return err_set(
			w->e, EINVAL,
			"the guest's QEMU began with tap %s until it could have another (--in-place), and does not have that: vmferry recover "
			"GUEST gives it its own, if that is there (--map-net %s=tap:NAME goes on with another)",
			tap, kv_get(&it->p.l, "id", NULL) ?: "NIC");
	return 0;
}

static bool has_key(const struct kv_list *l, const char *pattern)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].key && args_among(l->v[i].key, &pattern, 1))
			return true;
	return false;
}

static bool is_to_stay_as_it_is(const struct rewrite *w, const struct args_nic *n)
{
	for (size_t i = 0; i < w->o->net_count; i++)
		if (is_nic(n, w->o->nets[i].nic))
			return true;
	return false;
}

/* Refuses a back end that uses something of this host (a port, a connection) which two QEMUs cannot use at once. */
static int check_in_place(struct rewrite *w, const struct item *it, const struct args_nic *n, const char *type)
{
	const struct kv_list *l = &it->p.l;
	bool listens = (!strcmp(type, "socket") && (has_key(l, "listen") || has_key(l, "udp"))) ||
		       (!strcmp(type, "stream") && kv_flag(l, "server", false) && has_key(l, "addr.port")) ||
		       (!strcmp(type, "dgram") && has_key(l, "local.port")) || !strcmp(type, "l2tpv3");
	bool connects_once = !strcmp(type, "stream") && !kv_flag(l, "server", false) && has_key(l, "addr.path") && !args_connects_again(l);
	AUTO_FREE char *why =
		!strcmp(type, "user") && (has_key(l, "hostfwd") || has_key(l, "hostfwd.*"))
			? xasprintf("only one process can listen on a port that is forwarded (--map-net %s=user goes without)", nic_name(n))
		: listens ? xstrdup(ARGS_ONE_PORT)
		: connects_once && !is_to_stay_as_it_is(w, n)
			? xasprintf(
				  "passt, and the like, has room for one, and the new QEMU would connect while the old one does, and not again: "
				  "start the guest with reconnect-ms=1000 there (--map-net %s=as-is if two may connect)",
				  nic_name(n))
			: NULL;

	return why ? args_check_in_place(w, it, why) : 0;
}

bool args_network_is_mapped(const struct rewrite *w, const struct item *it)
{
	const char *type = is_backend(it, kv_get(&it->p.l, "type", "type")) ? kv_get(&it->p.l, "type", "type") : NULL;
	const char *to = type ? map_of(w, &w->r->nics[it->nic]) : NULL;

	return to && (strcmp(to, "user") || strcmp(type, "user"));
}

static int on_backend(struct rewrite *w, struct item *it, const char *type)
{
	static const char *const ports[] = {"hostfwd", "hostfwd.*"};
	struct args_nic *n = &w->r->nics[it->nic];
	const char *to = map_of(w, n);
	int r;

	if (to && !strcmp(to, "user") && !strcmp(type, "user")) { /* addresses and restrictions stay */
		drop_keys(it, ports, ARRAY_LEN(ports));
		args_note(w, "network %s (user here) is user on the destination, without forwarded ports", nic_name(n));
	} else if (to) {
		return map_nic(w, to, it, n);
	}
	r = refuse_type(w, it, type);
	if (r == 0)
		r = check_in_place(w, it, n, type);
	if (r == 0)
		r = stand_in(w, it, &it->p.l, n);
	if (r == 0)
		r = check_helper(w, it);
	if (r == 0)
		r = map_sockets(w, it, type);
	if (r < 0)
		return r;
	map_scripts(w, it, &it->p.l);
	need_own_script(w, it, type);
	if (other_bridge(w, it, n))
		rename_bridge(w, it, n, other_bridge(w, it, n));
	else
		note_nic(w, it, n);
	args_emit_item(w, it);
	return 0;
}

int args_on_network(struct rewrite *w, struct item *it)
{
	const char *type = kv_get(&it->p.l, "type", "type");

	if (is_backend(it, type))
		return on_backend(w, it, type);
	args_emit_item(w, it);
	return 0;
}
