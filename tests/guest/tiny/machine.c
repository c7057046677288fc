/* The PC below the witness: the two serial lines, the clock, interrupts, and the other processors, which sleep until the first
 * one's timer wakes them. Ports and numbers as the chips' data sheets have them (8254, 8259, 16550, ACPI, PCI, local APIC). */
#include "tiny.h"

enum { COM1 = 0x3f8, COM2 = 0x2f8, LINE_STATUS = 5, CAN_READ = 1, CAN_WRITE = 0x20, FIFO_BYTES = 16 };
enum { VECTORS = 64, TIMER = 0x20, ORDERS = 0x23, WAKE = 0x30, SPURIOUS = 0x3f, EXCEPTIONS = 32 };
enum {
	PM_TIMER = 0x608,
	PM_HZ = 3579545,
	PM_CONTROL = 0x604,
	PM_STATUS = 0x600,
	PM_ENABLE = 0x602,
	POWER_BUTTON = 0x100,
	PIT_HZ = 1193182
};
enum { FW_CFG = 0x510, FW_CFG_CPUS = 5 };
enum { APIC_END = 0xb0, APIC_SPURIOUS = 0xf0, APIC_COMMAND = 0x300, TO_OTHERS = 0xc4000, INIT = 0x500, STARTUP = 0x600 };
enum { AP_START = 0x8000 };
enum { CMOS_WITNESS = 0x7e, CMOS_RAN = 0xa7 }; /* a byte that nobody else uses */

struct frame {
	uint32_t registers[8], number, error, eip, cs, eflags;
};

struct gate {
	uint16_t low, selector, type, high;
};

extern char stubs[], ap_start[], ap_end[], _end[];
void interrupt(struct frame *frame);
_Noreturn void ap_main(unsigned cpu);

static struct gate gates[VECTORS];
static uint32_t free_at, free_end;
static volatile uint32_t ticks, cpus_ready;
static char received[1024];
static volatile uint32_t received_head, received_tail;
static unsigned cpus = 1;

uint64_t timestamp(void)
{
	uint64_t value;

	__asm__ volatile("rdtsc" : "=A"(value));
	return value;
}

static uint32_t interrupts_off(void)
{
	uint32_t flags;

	__asm__ volatile("pushf; pop %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static void interrupts_restore(uint32_t flags)
{
	__asm__ volatile("push %0; popf" : : "r"(flags) : "memory", "cc");
}

void lock_take(volatile uint32_t *lock)
{
	uint32_t taken = 1;

	for (;;) {
		__asm__ volatile("xchg %0, %1" : "+r"(taken), "+m"(*lock) : : "memory");
		if (!taken)
			return;
		pause();
	}
}

void lock_leave(volatile uint32_t *lock)
{
	__asm__ volatile("" : : : "memory");
	*lock = 0;
}

void *pages_take(uint32_t count)
{
	uint32_t at = free_at;

	if (count > (free_end - free_at) / PAGE_BYTES)
		give_up("the guest has no %u pages of RAM to spare", count);
	free_at += count * PAGE_BYTES;
	return (void *)at;
}

void *pages_zeroed(uint32_t count)
{
	return memset(pages_take(count), 0, count * PAGE_BYTES);
}

/* --- serial lines --- */

static void line_open(uint16_t port, uint8_t interrupts)
{
	out8(port + 3, 0x83); /* to the divisor: 115200 */
	out8(port, 1);
	out8(port + 1, 0);
	out8(port + 3, 3);
	out8(port + 2, 7);
	out8(port + 4, 0xb);
	out8(port + 1, interrupts);
}

static void line_write(uint16_t port, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		while (i % FIFO_BYTES == 0 && !(in8(port + LINE_STATUS) & CAN_WRITE))
			pause();
		out8(port, (uint8_t)text[i]);
	}
}

void console_line(const char *line)
{
	uint32_t flags = interrupts_off();

	line_write(COM1, line, strlen(line));
	line_write(COM1, "\n", 1);
	interrupts_restore(flags);
}

void give_up(const char *format, ...)
{
	char text[TEXT_BYTES], line[TEXT_BYTES * 2];
	va_list args;

	va_start(args, format);
	text_format_list(text, sizeof text, format, args);
	va_end(args);
	text_format(line, sizeof line, "witness failed: %s", text);
	console_line(line);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void orders_write(const char *text, size_t length)
{
	line_write(COM2, text, length);
}

int orders_read(void)
{
	return received_tail == received_head ? -1 : (unsigned char)received[received_tail++ % sizeof received];
}

static void orders_interrupt(void)
{
	while (in8(COM2 + LINE_STATUS) & CAN_READ) {
		char byte = (char)in8(COM2);

		if (received_head - received_tail < sizeof received)
			received[received_head++ % sizeof received] = byte;
	}
}

/* --- the clock: that of power management, 24 bits, which stands still while the machine does --- */

uint32_t ticks_now(void)
{
	return ticks;
}

uint64_t monotonic_ns(void)
{
	static uint32_t last, rest;
	static uint64_t ns;
	uint32_t flags = interrupts_off(), now = in32(PM_TIMER);
	uint64_t passed = (uint64_t)((now - last) & 0xffffff) * 1000000000 + rest;

	last = now;
	rest = divide(&passed, PM_HZ);
	ns += passed;
	passed = ns;
	interrupts_restore(flags);
	return passed;
}

static void wait_us(uint32_t us)
{
	uint64_t end_ns = monotonic_ns() + (uint64_t)us * 1000;

	while (monotonic_ns() < end_ns)
		pause();
}

/* --- interrupts --- */

static volatile uint32_t *apic(uint32_t offset)
{
	return (volatile uint32_t *)(0xfee00000 + offset);
}

void interrupt(struct frame *frame)
{
	if (frame->number < EXCEPTIONS)
		give_up("exception %u, error %u, at %u", frame->number, frame->error, frame->eip);
	if (frame->number == WAKE)
		*apic(APIC_END) = 0;
	if (frame->number != TIMER && frame->number != ORDERS)
		return;
	out8(0x20, 0x20); /* the controller passes on later interrupts */
	if (frame->number == ORDERS) {
		orders_interrupt();
		return;
	}
	if (cpus > 1)
		*apic(APIC_COMMAND) = TO_OTHERS | WAKE;
	on_tick(++ticks);
}

static void gates_load(void)
{
	struct {
		uint16_t limit;
		const struct gate *at;
	} __attribute__((packed)) pointer = {sizeof gates - 1, gates};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void gates_open(void)
{
	for (unsigned i = 0; i < VECTORS; i++) {
		uint32_t at = (uint32_t)stubs + i * 16;

		gates[i] = (struct gate){(uint16_t)at, 8, 0x8e00, (uint16_t)(at >> 16)};
	}
	gates_load();
}

static void controller_open(void)
{
	static const uint8_t words[2][4] = {{0x11, TIMER, 4, 1}, {0x11, TIMER + 8, 2, 1}};

	for (unsigned i = 0; i < 4; i++) {
		out8(i ? 0x21 : 0x20, words[0][i]);
		out8(i ? 0xa1 : 0xa0, words[1][i]);
	}
	out8(0x21, (uint8_t) ~(1 << (TIMER & 7) | 1 << (ORDERS & 7)));
	out8(0xa1, 0xff);
}

static void timer_open(void)
{
	out8(0x43, 0x34);
	out8(0x40, PIT_HZ / TICKS_S & 0xff);
	out8(0x40, PIT_HZ / TICKS_S >> 8);
}

/* An interrupt that comes between the look and the halt ends the halt: they are let in with it. */
void idle(void)
{
	static uint32_t seen;

	__asm__ volatile("cli" : : : "memory");
	if (seen == ticks && received_head == received_tail)
		__asm__ volatile("sti; hlt" : : : "memory");
	else
		__asm__ volatile("sti" : : : "memory");
	seen = ticks;
}

/* --- the other processors --- */

void ap_main(unsigned cpu)
{
	gates_load();
	*apic(APIC_SPURIOUS) = 0x100 | SPURIOUS;
	__asm__ volatile("lock incl %0" : "+m"(cpus_ready));
	for (;;) {
		__asm__ volatile("sti; hlt" : : : "memory");
		if (cpu < cpus)
			ap_run(cpu);
	}
}

unsigned cpus_start(void)
{
	uint32_t wanted;

	out16(FW_CFG, FW_CFG_CPUS);
	wanted = in8(FW_CFG + 1);
	wanted |= (uint32_t)in8(FW_CFG + 1) << 8;
	if (wanted == 0 || wanted > MAX_CPUS)
		give_up("%u processors", wanted);
	if (wanted == 1)
		return 1;
	memcpy((void *)AP_START, ap_start, (size_t)(ap_end - ap_start));
	*apic(APIC_COMMAND) = TO_OTHERS | INIT;
	wait_us(10000);
	for (unsigned i = 0; i < 2; i++) {
		*apic(APIC_COMMAND) = TO_OTHERS | STARTUP | AP_START >> 12;
		wait_us(1000);
	}
	while (cpus_ready + 1 < wanted)
		pause();
	return wanted;
}

void cpus_release(unsigned count)
{
	cpus = count;
}

/* --- the rest --- */

uint32_t pci_read(unsigned slot, unsigned offset)
{
	out32(0xcf8, 0x80000000 | slot << 11 | offset);
	return in32(0xcfc);
}

void pci_write(unsigned slot, unsigned offset, uint32_t value)
{
	out32(0xcf8, 0x80000000 | slot << 11 | offset);
	out32(0xcfc, value);
}

void power_off(void)
{
	out16(PM_CONTROL, 0x2000);
}

void power_button_listen(void)
{
	out16(PM_STATUS, POWER_BUTTON);
	out16(PM_ENABLE, POWER_BUTTON);
}

bool power_button_pressed(void)
{
	return in16(PM_STATUS) & POWER_BUTTON;
}

/* S3, as q35 numbers it. */
void suspend(void)
{
	out16(PM_CONTROL, 0x2400);
}

/* After a reset everything would be as if nothing had been lost. */
void refuse_reset(void)
{
	out8(0x70, CMOS_WITNESS);
	if (in8(0x71) == CMOS_RAN)
		give_up("the machine was reset");
	out8(0x70, CMOS_WITNESS);
	out8(0x71, CMOS_RAN);
}

void machine_start(uint32_t memory_end)
{
	free_at = (uint32_t)_end;
	free_end = memory_end;
	line_open(COM1, 0);
	line_open(COM2, 1);
	gates_open();
	controller_open();
	timer_open();
	*apic(APIC_SPURIOUS) = 0x100 | SPURIOUS;
	__asm__ volatile("sti");
}
