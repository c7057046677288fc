/*
 * read-hyperv-json.c: a guest of Hyper-V's as its own PowerShell prints it (Get-VM … | ConvertTo-Json), since what it keeps of a guest from Windows
 * Server 2016 on is binary. Enumerations are numbers there, or words where the user made them so.
 */
#include "readers.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SLOTS_OF_SCSI 64u

/* The text without its byte order mark, malloc'ed. PowerShell of Windows writes UTF-16 with '>'. */
static char *plain_text(const char *text, size_t n)
{
	if (n >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		return described_utf16(text, n);
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return xasprintf("%.*s", (int)n - 3, text + 3);
	return xasprintf("%.*s", (int)n, text);
}

bool is_hyperv_json(const char *text, size_t n)
{
	AUTO_FREE char *head = plain_text(text, n);

	return (head[strspn(head, " \t\r\n")] == '{' || head[strspn(head, " \t\r\n")] == '[') && strstr(head, "\"Generation\"") &&
	       strstr(head, "\"HardDrives\"");
}

/* A list; one of a single member may be that member. */
static json_t *at(json_t *list, size_t i)
{
	return json_is_array(list) ? json_array_get(list, i) : i == 0 && json_is_object(list) ? list : NULL;
}

static uint64_t number_of(json_t *o, const char *name, uint64_t max)
{
	json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 && (uint64_t)n <= max ? (uint64_t)n : 0;
}

static bool is_ide(json_t *drive)
{
	json_t *type = json_object_get(drive, "ControllerType");

	return json_is_string(type) ? !strcasecmp(json_string_value(type), "IDE") : json_is_integer(type) && !json_integer_value(type);
}

static void add_drive(struct guest_description *d, json_t *drive, bool cdrom, bool ide)
{
	const char *path = json_string_value(json_object_get(drive, "Path"));
	unsigned controller = (unsigned)number_of(drive, "ControllerNumber", 63),
		 unit = (unsigned)number_of(drive, "ControllerLocation", 63);
	struct described_disk *k = description_add_disk(d);

	if (!k)
		return;
	k->label = xasprintf("%s%u:%u", ide ? "IDE" : "SCSI", controller, unit);
	k->cdrom = cdrom;
	k->bus = ide ? BUS_IDE : BUS_SATA;
	k->controller = ide ? controller : 0;
	k->unit = ide ? unit : controller * SLOTS_OF_SCSI + unit;
	if (cdrom)
		return;
	if (!path || !*path)
		k->elsewhere = xstrdup("a disk of its host");
	else if (described_ends_with(path, ".avhdx") || described_ends_with(path, ".avhd"))
		k->elsewhere = xstrdup("a difference to another image, of a checkpoint (Remove-VMSnapshot merges it)");
	else
		k->file = xstrdup(path);
	if (!ide)
		description_note(d, "QEMU has no SCSI controller of Hyper-V's: the disk %.100s is on SATA",
				 path ? described_base(path) : "?");
}

/* Drives on IDE come first, as nothing else boots where there is IDE. */
static void add_drives(struct guest_description *d, json_t *vm)
{
	static const char *const lists[] = {"HardDrives", "DVDDrives"};
	size_t i, k;

	for (unsigned round = 0; round < 2; round++)
		for (k = 0; k < ARRAY_LEN(lists); k++) {
			json_t *list = json_object_get(vm, lists[k]), *drive;

			for (i = 0; (drive = at(list, i)); i++)
				if (is_ide(drive) == !round)
					add_drive(d, drive, k == 1, is_ide(drive));
		}
}

static void add_nics(struct guest_description *d, json_t *vm)
{
	json_t *list = json_object_get(vm, "NetworkAdapters"), *card;

	for (size_t i = 0; (card = at(list, i)); i++) {
		const char *mac = json_string_value(json_object_get(card, "MacAddress"));
		const char *network = json_string_value(json_object_get(card, "SwitchName"));
		struct described_nic *nic = description_add_nic(d);

		if (!nic)
			return;
		if (mac && mac[strspn(mac, "0")] && !described_mac(nic, mac)) /* zeros: it never ran */
			description_note(d, "'%.40s' is not the address of a network card: it gets a new one", mac);
		nic->network = network && *network ? xstrdup(network) : NULL;
		nic->unplugged = json_is_false(json_object_get(card, "Connected"));
	}
	if (d->nic_count)
		description_note(d, "QEMU has no network card of Hyper-V's: it becomes an e1000");
}

static int read_vm(struct guest_description *d, json_t *vm, struct err *e)
{
	uint64_t memory = number_of(vm, "MemoryStartup", GUEST_MEMORY_MAX), cpus = number_of(vm, "ProcessorCount", GUEST_CPUS_MAX);
	bool second = number_of(vm, "Generation", 2) == 2;
	const char *name = json_string_value(json_object_get(vm, "Name") ?: json_object_get(vm, "VMName"));

	if (!json_is_object(json_object_get(vm, "HardDrives")) && !json_is_array(json_object_get(vm, "HardDrives")))
		return err_set(e, EINVAL, "not a guest of Hyper-V with HardDrives: ConvertTo-Json needs -Depth 3");
	d->origin = xasprintf("Hyper-V, generation %d", second ? 2 : 1);
	d->name = xstrdup(name);
	d->machine = second ? MACHINE_Q35 : MACHINE_PC;
	d->firmware = second ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	d->uuid = described_uuid(json_string_value(json_object_get(vm, "Id")));
	d->system.local_time = true; /* Hyper-V's clock is the host's local time for every guest */
	d->memory_bytes = memory >= GUEST_MEMORY_MIN ? memory : 0;
	d->cpu.count = (unsigned)cpus;
	if (json_is_true(json_object_get(vm, "DynamicMemoryEnabled")))
		description_note(d, "the memory was dynamic: here it is fixed, at what it began with");
	add_drives(d, vm);
	add_nics(d, vm);
	return 0;
}

int read_hyperv_json(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *plain = plain_text(text, n);
	json_error_t why;
	json_t *root = json_loads(plain, 0, &why);
	int r;

	if (!root)
		return err_set(e, EINVAL, "not valid JSON: line %d: %.100s", why.line, why.text);
	if (at(root, 1))
		r = err_set(e, EINVAL, "the description has several guests: print one alone (Get-VM NAME)");
	else
		r = at(root, 0) ? read_vm(d, at(root, 0), e) : err_set(e, EINVAL, "the description has no guest");
	json_decref(root);
	return r;
}
