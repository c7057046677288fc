/* plain-libvirt-devices.c: serial ports, screen, and devices of all other kinds. */
#include "plain-libvirt-private.h"
#include "util.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

static const char *driver_of(const struct word *w)
{
	return kv_get(&w->p.l, "driver", NULL) ?: "";
}

/* Takes a device, but not its address, which libvirt chooses. */
static void take_device(struct word *w)
{
	static const char *const keys[] = {"driver", "id", "bus", "addr", "multifunction", "port", "acpi-index"};

	word_see(w);
	word_pass(w, keys, ARRAY_LEN(keys));
}

/* ---- serial ports ---- */

static void add_serial(struct plain_work *p, const char *target, const char *was)
{
	xmlNode *n = plain_add_with(p->xml.devices, "serial", "type", "pty"), *t = plain_add(n, "target");

	plain_set(t, "type", target);
	plain_set_number(t, "port", p->serials++);
	if (was)
		plain_note(p,
			   "its serial port %u, which is %.200s here, is a console of libvirt's there (virsh console --devname serial%u)",
			   p->serials, was, p->serials - 1);
}

static char *chardev_text(struct plain_work *p, const char *id)
{
	struct word *w = word_called(p, "chardev", "id", id);

	if (!w)
		return NULL;
	word_done(w);
	return xasprintf("-chardev %s", w->value);
}

static void take_serial(struct plain_work *p, struct word *w)
{
	const char *value = word_see(w) ?: "none";
	AUTO_FREE char *chardev = !strncmp(value, "chardev:", 8) ? chardev_text(p, value + 8) : NULL;
	bool is_alike = !strcmp(value, "pty") || !strcmp(value, "null") || !strcmp(value, "vc");

	if (strcmp(value, "none"))
		add_serial(p, "isa-serial", is_alike ? NULL : chardev ?: value);
}

static void take_serial_device(struct plain_work *p, struct word *w)
{
	static const char *const drivers[] = {"isa-serial", "pci-serial", "usb-serial", NULL};
	AUTO_FREE char *chardev = NULL;
	int kind = word_index(drivers, driver_of(w));

	if (kind < 0)
		return;
	chardev = chardev_text(p, word_take(w, "chardev"));
	add_serial(p, drivers[kind], chardev ?: "null");
	word_take(w, "index");
	take_device(w);
}

static void add_channel(struct plain_work *p, const char *name, const char *was)
{
	xmlNode *n = plain_add_with(p->xml.devices, "channel", "type", "unix");

	plain_set(plain_add_with(n, "target", "type", "virtio"), "name", name);
	if (strcmp(name, "org.qemu.guest_agent.0"))
		plain_note(p, "its port %.60s, which is %.200s here, is a socket of libvirt's there", name, was ?: "connected to nothing");
}

static void take_port(struct plain_work *p, struct word *w)
{
	const char *name = word_take(w, "name");
	AUTO_FREE char *chardev = chardev_text(p, word_take(w, "chardev"));

	word_take(w, "nr");
	take_device(w);
	if (name && strcmp(name, "com.redhat.spice.0"))
		add_channel(p, name, chardev);
	else
		plain_note(p, "the port %.60s of its screen is not there", name ?: "without a name");
}

static void take_console(struct plain_work *p, struct word *w)
{
	AUTO_FREE char *chardev = chardev_text(p, word_take(w, "chardev"));

	take_device(w);
	plain_add_with(plain_add_with(p->xml.devices, "console", "type", "pty"), "target", "type", "virtio");
	plain_note(p, "its console, which is %.200s here, is one of libvirt's there (virsh console)", chardev ?: "connected to nothing");
}

void plain_ports(struct plain_work *p)
{
	struct word *w = NULL;

	if (p->has_defaults && !word_next(p, "serial", NULL))
		add_serial(p, "isa-serial", NULL);
	while ((w = word_next(p, "serial", w)))
		take_serial(p, w);
	for (w = NULL; (w = word_next(p, "device", w));) {
		take_serial_device(p, w);
		if (!strcmp(driver_of(w), "virtserialport"))
			take_port(p, w);
		else if (!strcmp(driver_of(w), "virtconsole"))
			take_console(p, w);
	}
}

/* ---- screen ---- */

static const struct {
	const char *word, *model;
} videos[] = {
	{"std", "vga"},
	{"cirrus", "cirrus"},
	{"vmware", "vmvga"},
	{"qxl", "qxl"},
	{"virtio", "virtio"}, /* word of -vga */
	{"VGA", "vga"},
	{"cirrus-vga", "cirrus"},
	{"vmware-svga", "vmvga"},
	{"qxl-vga", "qxl"},
	{"virtio-vga", "virtio"},
	{"virtio-gpu", "virtio"},
	{"virtio-gpu-pci", "virtio"},
	{"bochs-display", "bochs"},
	{"ramfb", "ramfb"},
	{"virtio-vga-gl", "virtio"},
	{"virtio-gpu-gl-pci", "virtio"},
	{"virtio-gpu-gl", "virtio"},
};

static const char *video_model(const char *word)
{
	__auto_type video = ROW_OF(videos, word, word);

	return video ? video->model : NULL;
}

static void add_video(struct plain_work *p, const char *model)
{
	plain_add_with(plain_add(p->xml.devices, "video"), "model", "type", model);
}

/* -device VGA and its like. */
static bool take_video_devices(struct plain_work *p)
{
	struct word *w = NULL;
	bool found = false;

	while ((w = word_next(p, "device", w))) {
		const char *model = video_model(driver_of(w));

		if (!model)
			continue;
		add_video(p, model);
		take_device(w);
		if (strstr(driver_of(w), "-gl"))
			plain_note(p, "its screen has no 3D there (-device %s)", driver_of(w));
		found = true;
	}
	return found;
}

static const char *take_vga(struct plain_work *p, bool has_device)
{
	struct word *w = word_last(p, "vga");
	const char *said = w ? word_see(w) : NULL;
	size_t bytes = said ? strcspn(said, ",") : 0;
	AUTO_FREE char *type = said ? xstrndup(said, bytes) : NULL;

	if (said && !strcmp(type, "none"))
		return NULL;
	if (said && !video_model(type))
		plain_refuse(p, "a screen that libvirt does not have (-vga %.40s)", said);
	if (said)
		return video_model(type);
	return p->has_defaults && !has_device ? "vga" : NULL;
}

static void add_screen(struct plain_work *p, const char *was, const char *keymap)
{
	xmlNode *g = plain_add_with(p->xml.devices, "graphics", "type", "vnc");

	plain_set(g, "autoport", "yes");
	plain_set(g, "listen", "127.0.0.1");
	plain_set(g, "keymap", keymap);
	plain_note(p, "its screen, which is %.200s here, is VNC on 127.0.0.1 there (virsh vncdisplay)", was);
}

static bool is_dark(const struct word *w)
{
	return !strcmp(w->option, "nographic") || (!strcmp(w->option, "display") && !strncmp(w->value, "none", 4)) ||
	       (!strcmp(w->option, "vnc") && !strcmp(w->value, "none"));
}

/* The kind of display by which people see the guest; NULL: there is none. Malloc'ed. */
static char *take_display(struct plain_work *p)
{
	static const char *const options[] = {"display", "vnc", "spice", "nographic", "sdl", "curses"};
	bool dark = false;
	char *was = NULL;
	struct word *w;

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		for (w = NULL; (w = word_next(p, options[i], w));) {
			word_see(w);
			dark |= is_dark(w);
			if (is_dark(w))
				continue;
			free(was);
			was = xasprintf("-%s%s%s", w->option, w->value ? " " : "", w->value ?: "");
		}
	return was || dark ? was : xstrdup("a window on this host");
}

void plain_screen(struct plain_work *p)
{
	AUTO_FREE char *was = take_display(p);
	struct word *keys = word_last(p, "k");
	bool has_device = take_video_devices(p);
	const char *model = take_vga(p, has_device);

	if (keys)
		word_see(keys);
	if (model)
		add_video(p, model);
	else if (!has_device)
		add_video(p, "none");
	if (was && (model || has_device))
		add_screen(p, was, keys ? keys->value : NULL);
}

/* ---- all other devices ---- */

typedef void device_fn(struct plain_work *p, struct word *w);

static void on_input(struct plain_work *p, struct word *w)
{
	const char *driver = driver_of(w);
	xmlNode *n = plain_add_with(p->xml.devices, "input", "type",
				    strstr(driver, "tablet")  ? "tablet"
				    : strstr(driver, "mouse") ? "mouse"
							      : "keyboard");

	plain_set(n, "bus", !strncmp(driver, "usb", 3) ? "usb" : "virtio");
}

static void on_balloon(struct plain_work *p, struct word *w)
{
	xmlNode *n = plain_add_with(p->xml.devices, "memballoon", "model", "virtio");

	if (word_flag(w, "free-page-reporting") == 1)
		plain_set(n, "freePageReporting", "on");
	if (word_flag(w, "deflate-on-oom") == 1)
		plain_set(n, "autodeflate", "on");
}

static void on_rng(struct plain_work *p, struct word *w)
{
	struct word *source = word_called(p, "object", "id", word_take(w, "rng"));
	const char *type = source ? kv_get(&source->p.l, "qom-type", NULL) : "rng-builtin",
		   *file = source ? kv_get(&source->p.l, "filename", NULL) : NULL;
	xmlNode *n = plain_add_with(p->xml.devices, "rng", "model", "virtio"), *backend;

	backend = !strcmp(type, "rng-random") ? plain_add_text(n, "backend", file ?: "/dev/urandom") : plain_add(n, "backend");
	plain_set(backend, "model", !strcmp(type, "rng-random") ? "random" : "builtin");
	if (source && strcmp(type, "rng-random") && strcmp(type, "rng-builtin"))
		plain_note(p, "its random numbers are those of QEMU there, and not of %.40s", type);
	if (source)
		word_done(source);
}

static void on_tpm(struct plain_work *p, struct word *w)
{
	const char *id = word_take(w, "tpmdev");
	struct word *dev = word_called(p, "tpmdev", "id", id),
		    *chardev = dev ? word_called(p, "chardev", "id", kv_get(&dev->p.l, "chardev", NULL)) : NULL;
	xmlNode *backend;

	if (!dev || strcmp(kv_get(&dev->p.l, "type", NULL) ?: "", "emulator")) {
		plain_refuse(p, "a TPM of its host's");
		return;
	}
	backend = plain_add_with(plain_add_with(p->xml.devices, "tpm", "model", driver_of(w)), "backend", "type", "emulator");
	plain_set(backend, "version", p->g->tpm2 ? "2.0" : "1.2");
	word_done(dev);
	if (chardev)
		word_done(chardev);
}

static void on_panic(struct plain_work *p, struct word *w)
{
	plain_add_with(p->xml.devices, "panic", "model", strcmp(driver_of(w), "pvpanic") ? "pvpanic" : "isa");
}

static void on_coreinfo(struct plain_work *p, struct word *w)
{
	(void)w;
	plain_add_with(p->xml.features, "vmcoreinfo", "state", "on");
}

/* A guest with guid=auto gets another one with each start. */
static void on_genid(struct plain_work *p, struct word *w)
{
	const char *guid = word_take(w, "guid");

	if (guid && strcmp(guid, "auto"))
		plain_add_text(p->xml.domain, "genid", guid);
	else
		plain_add(p->xml.domain, "genid");
}

static void on_vsock(struct plain_work *p, struct word *w)
{
	xmlNode *cid = plain_add_with(plain_add_with(p->xml.devices, "vsock", "model", "virtio"), "cid", "auto", "no");

	plain_set(cid, "address", word_take(w, "guest-cid"));
}

#define SOUND	 "it has no sound there (<sound>)"
#define WATCHDOG "it has no watchdog there (<watchdog>)"
#define BRIDGES	 "" /* libvirt makes those that it needs */

/* Devices, by the beginning of their names. One with neither a function nor a note is refused, and so are all that are not here. */
static const struct {
	const char *begin;
	device_fn *take;
	const char *note;
} devices[] = {
	{"usb-tablet", on_input, NULL},
	{"usb-mouse", on_input, NULL},
	{"usb-kbd", on_input, NULL},
	{"virtio-tablet", on_input, NULL},
	{"virtio-mouse", on_input, NULL},
	{"virtio-keyboard", on_input, NULL},
	{"virtio-balloon", on_balloon, NULL},
	{"virtio-rng", on_rng, NULL},
	{"tpm-tis", on_tpm, NULL},
	{"tpm-crb", on_tpm, NULL},
	{"pvpanic", on_panic, NULL},
	{"vmcoreinfo", on_coreinfo, NULL},
	{"vmgenid", on_genid, NULL},
	{"vhost-vsock-pci", on_vsock, NULL},
	{"virtio-serial", NULL, BRIDGES},
	{"pcie-root-port", NULL, BRIDGES},
	{"ioh3420", NULL, BRIDGES},
	{"pci-bridge", NULL, BRIDGES},
	{"pcie-pci-bridge", NULL, BRIDGES},
	{"i82801b11-bridge", NULL, BRIDGES},
	{"x3130-upstream", NULL, BRIDGES},
	{"xio3130-downstream", NULL, BRIDGES},
	{"isa-fdc", NULL, BRIDGES},
	{"usb-hub", NULL, BRIDGES},
	{"pxb-pcie", NULL, "its PCI devices are all on one bus there"},
	{"intel-hda", NULL, SOUND},
	{"ich9-intel-hda", NULL, SOUND},
	{"hda-", NULL, SOUND},
	{"AC97", NULL, SOUND},
	{"ES1370", NULL, SOUND},
	{"sb16", NULL, SOUND},
	{"virtio-sound", NULL, SOUND},
	{"usb-audio", NULL, SOUND},
	{"i6300esb", NULL, WATCHDOG},
	{"ib700", NULL, WATCHDOG},
	{"usb-redir", NULL, "no USB devices of others are passed on to it there (<redirdev>)"},
	{"usb-ccid", NULL, "it has no reader of smartcards there (<smartcard>)"},
	{"ccid-card-emulated", NULL, "it has no reader of smartcards there (<smartcard>)"},
	{"isa-debugcon", NULL, "what it says on its debug port is not kept there"},
	{"intel-iommu", NULL, "it has no IOMMU there (<iommu>)"},
	{"amd-iommu", NULL, "it has no IOMMU there (<iommu>)"},
	{"virtio-iommu", NULL, "it has no IOMMU there (<iommu>)"},
	{"virtio-crypto", NULL, "it has no virtio-crypto there (<crypto>)"},
	{"edu", NULL, "it has no 'edu' there"},
	{"sga", NULL, "its firmware does not speak on a serial port by itself there (<bios useserial='yes'/>)"},
};

static void take_other(struct plain_work *p, struct word *w)
{
	static const char *const bridge_keys[] = {"chassis", "slot", "chassis_nr", "hotplug", "max_ports"};
	const char *driver = driver_of(w);
	size_t i;

	for (i = 0; i < ARRAY_LEN(devices) && strncmp(devices[i].begin, driver, strlen(devices[i].begin)); i++)
		;
	if (i == ARRAY_LEN(devices)) {
		plain_refuse(p, "the device %.60s", driver);
		word_done(w);
		return;
	}
	take_device(w);
	if (devices[i].take) {
		devices[i].take(p, w);
	} else if (*devices[i].note) {
		plain_note(p, "%s (-device %.200s)", devices[i].note, w->value);
		word_done(w);
	} else {
		word_pass(w, bridge_keys, ARRAY_LEN(bridge_keys));
	}
}

static void take_usb_word(struct plain_work *p, struct word *w)
{
	const char *value = word_see(w) ?: "";
	bool is_known = !strcmp(value, "tablet") || !strcmp(value, "mouse") || !strcmp(value, "keyboard");

	if (is_known)
		plain_set(plain_add_with(p->xml.devices, "input", "type", value), "bus", "usb");
	else
		plain_refuse(p, "the USB device %.60s", value);
}

static bool has_balloon(const struct plain_work *p)
{
	xmlNode *n;

	for (n = p->xml.devices->children; n && strcmp((const char *)n->name, "memballoon"); n = n->next)
		;
	return n;
}

void plain_devices(struct plain_work *p)
{
	struct word *w = NULL, *old = word_last(p, "balloon");

	while ((w = word_next(p, "device", w)))
		if (!w->seen)
			take_other(p, w);
	for (w = NULL; (w = word_next(p, "usbdevice", w));)
		take_usb_word(p, w);
	if (old)
		word_see(old);
	if (!has_balloon(p))
		plain_add_with(p->xml.devices, "memballoon", "model", old && strcmp(old->value, "none") ? "virtio" : "none");
}
