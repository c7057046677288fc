/* plain-libvirt-controllers.c: what disks and USB devices are on, and threads that serve them. */
#include "plain-libvirt-private.h"
#include "util.h"
#include "words.h"

#include <string.h>

static const struct {
	const char *driver, *model;
} scsi_models[] = {
	{"virtio-scsi-pci", "virtio-scsi"},
	{"virtio-scsi", "virtio-scsi"},
	{"virtio-scsi-pci-non-transitional", "virtio-non-transitional"},
	{"virtio-scsi-pci-transitional", "virtio-transitional"},
	{"lsi53c895a", "lsilogic"},
	{"lsi", "lsilogic"},
	{"megasas", "lsisas1078"},
	{"mptsas1068", "lsisas1068"},
	{"pvscsi", "vmpvscsi"},
	{"am53c974", "am53c974"},
	{"dc390", "dc390"},
};

static const struct {
	const char *driver, *model;
} usb_models[] = {
	{"qemu-xhci", "qemu-xhci"}, {"nec-usb-xhci", "nec-xhci"},     {"piix3-usb-uhci", "piix3-uhci"}, {"piix4-usb-uhci", "piix4-uhci"},
	{"usb-ehci", "ehci"},	    {"ich9-usb-ehci1", "ich9-ehci1"}, {"pci-ohci", "pci-ohci"},
};

/* Properties of a device's place, which libvirt chooses itself. */
static const char *const places[] = {"id", "bus", "addr", "multifunction", "acpi-index", "romfile", "rombar"};

void plain_no_place(struct word *w)
{
	word_pass(w, places, ARRAY_LEN(places));
	word_see(w);
	word_take(w, "driver");
}

/* The ordinal of an I/O thread; 0: it is none. */
static unsigned iothread(struct plain_work *p, const char *id)
{
	struct word *w = NULL;
	unsigned n = 0;

	while ((w = word_next(p, "object", w))) {
		if (strcmp(kv_get(&w->p.l, "qom-type", NULL) ?: "", "iothread"))
			continue;
		n++;
		if (!strcmp(kv_get(&w->p.l, "id", NULL) ?: "", id))
			return n;
	}
	return 0;
}

static void take_iothreads(struct plain_work *p)
{
	struct word *w = NULL;
	unsigned n = 0;

	while ((w = word_next(p, "object", w)))
		if (!strcmp(kv_get(&w->p.l, "qom-type", NULL) ?: "", "iothread")) {
			static const char *const names[] = {"qom-type", "id"};

			word_see(w);
			word_pass(w, names, ARRAY_LEN(names));
			n++;
		}
	if (n) {
		AUTO_FREE char *text = xasprintf("%u", n);

		plain_add_text(p->xml.domain, "iothreads", text);
	}
}

void plain_take_thread(struct plain_work *p, struct word *w, xmlNode *driver)
{
	const char *id = kv_get(&w->p.l, "iothread", NULL);
	unsigned n = id ? iothread(p, id) : 0;

	if (n) {
		word_take(w, "iothread");
		plain_set_number(driver, "iothread", n);
	}
}

static void add_scsi(struct plain_work *p, struct word *w, const char *model)
{
	bool is_virtio = !strncmp(model, "virtio", 6);
	const char *queues = is_virtio ? word_take(w, "num_queues") : NULL;
	xmlNode *c, *driver;

	if (p->scsi_count == PLAIN_CONTROLLERS_MAX) {
		plain_refuse(p, "more than %d SCSI controllers", PLAIN_CONTROLLERS_MAX);
		return;
	}
	c = plain_add_with(p->xml.devices, "controller", "type", "scsi");
	plain_set_number(c, "index", p->scsi_count);
	plain_set(c, "model", model);
	p->scsi[p->scsi_count] = (struct plain_controller){kv_get(&w->p.l, "id", NULL), model, (unsigned)p->scsi_count, 0};
	p->scsi_count++;
	if (queues || (is_virtio && kv_get(&w->p.l, "iothread", NULL))) {
		driver = plain_add(c, "driver");
		plain_set(driver, "queues", queues);
		plain_take_thread(p, w, driver);
	}
	plain_no_place(w);
}

static void add_sata(struct plain_work *p, struct word *w)
{
	if (p->sata_count == PLAIN_CONTROLLERS_MAX) {
		plain_refuse(p, "more than %d SATA controllers", PLAIN_CONTROLLERS_MAX);
		return;
	}
	p->sata[p->sata_count] = (struct plain_controller){.id = kv_get(&w->p.l, "id", NULL), .index = (unsigned)p->sata_count};
	plain_set_number(plain_add_with(p->xml.devices, "controller", "type", "sata"), "index", p->sata_count);
	p->sata_count++;
	plain_no_place(w);
}

static xmlNode *add_usb(struct plain_work *p, const char *model)
{
	xmlNode *c = plain_add_with(p->xml.devices, "controller", "type", "usb");

	plain_set_number(c, "index", p->usb_controllers++);
	plain_set(c, "model", model);
	return c;
}

static void take_usb(struct plain_work *p, struct word *w, const char *model)
{
	xmlNode *c;

	plain_no_place(w);
	if (!strcmp(model, "ich9-ehci1")) /* EHCI has companions of fixed places */
		model = "qemu-xhci";
	if (p->usb_controllers) {
		plain_note(p, "it has one USB controller there");
		return;
	}
	c = add_usb(p, model);
	if (strstr(model, "xhci")) {
		const char *ports = word_take(w, "p2");

		plain_set(c, "ports", ports);
		word_take(w, "p3");
	}
}

static void take_controller(struct plain_work *p, struct word *w)
{
	static const char *const companions[] = {"masterbus", "firstport"};
	const char *driver = kv_get(&w->p.l, "driver", NULL) ?: "";
	__auto_type scsi = ROW_OF(scsi_models, driver, driver);
	__auto_type usb = ROW_OF(usb_models, driver, driver);

	if (scsi)
		add_scsi(p, w, scsi->model);
	if (usb)
		take_usb(p, w, usb->model);
	if (!strcmp(driver, "ahci") || !strcmp(driver, "ich9-ahci"))
		add_sata(p, w);
	if (!strncmp(driver, "ich9-usb-uhci", 13)) /* companions of EHCI */
		plain_no_place(w), word_pass(w, companions, ARRAY_LEN(companions));
}

/* -usb, -machine usb=on: the chip set's own. */
static void take_builtin_usb(struct plain_work *p)
{
	static const char *const options[] = {"machine", "M"};
	struct word *usb = word_last(p, "usb"), *w;
	bool has = usb;

	if (usb)
		word_see(usb);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		for (w = NULL; (w = word_next(p, options[i], w));)
			has |= word_flag(w, "usb") == 1;
	has |= word_last(p, "usbdevice") != NULL;
	if (has && !p->usb_controllers)
		add_usb(p, p->is_q35 ? "qemu-xhci" : "piix3-uhci");
}

void plain_controllers(struct plain_work *p)
{
	struct word *w = NULL;

	if (p->is_q35)
		p->sata[p->sata_count++] = (struct plain_controller){.id = "ide"};
	while ((w = word_next(p, "device", w)))
		take_controller(p, w);
	take_builtin_usb(p);
	if (!p->usb_controllers)
		add_usb(p, "none");
	take_iothreads(p);
}
