/*
 * The tiny witness: what the witness (../witness.h) is to Linux, on a bare PC, in 32-bit protected mode without paging. It is
 * ready a fraction of a second after QEMU starts, and runs under a KVM that emulates much of what a kernel does. The same orders,
 * contents that say what they are, and the same answers; no file system, database or network.
 *
 * start.S     entry, interrupt stubs
 * machine.c   ports, serial lines, clock, interrupts, the other processors
 * text.c      text, and what the compiler expects of a C library
 * tag.c       contents that say what they are
 * ram.c       load and verification of RAM, a region for each processor
 * disk.c      virtio disks by port I/O, load and verification of all of their blocks
 * main.c      options, start, orders over the second serial line, the loop
 */
#ifndef TINY_H
#define TINY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, MAX_CPUS = 8, MAX_DISKS = 4, MAX_DETAILS = 8, TEXT_BYTES = 160 };
enum { TICKS_S = 100, TICKS_BEHIND = TICKS_S / 10 };

enum pattern { PATTERN_RANDOM, PATTERN_SEQ, PATTERN_HOT };

/*
 * Of the command line, each as witness.KEY=VALUE; as ../witness.h says:
 *   ram_mb, pattern=random|seq|hot, hot_mb, rate (pages/s), check (before overwriting), hb_ms
 *   disks=vda,vdb (so many of the virtio disks, in the order of the bus), disk_mb, disk_rate
 * and
 *   button=1 (the power button turns it off, and it may be reset), 2 (it may be reset)
 */
struct options {
	uint32_t ram_mb, hot_mb, check, hb_ms, disk_mb, disks, button;
};

/* The load's present task; set by orders. */
struct load {
	volatile bool running;
	volatile uint32_t rate_pages_s, disk_rate_s;
	volatile enum pattern pattern;
};

extern struct load load;

/* --- text.c --- */

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *one, const void *other, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *one, const char *other);
int strncmp(const char *one, const char *other, size_t bytes);
/* Cuts *rest at the next `end` and returns what was before it. */
char *text_cut(char **rest, char end);
bool text_number(const char *text, uint32_t *to);
/* A snprintf with %s %c %u %llu; returns the length of the written text. */
size_t text_format(char *to, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t text_format_list(char *to, size_t bytes, const char *format, va_list args);
/* *value becomes the quotient; returns the remainder. */
uint32_t divide(uint64_t *value, uint32_t by);

/* --- machine.c --- */

void machine_start(uint32_t memory_end);
/* Pages that are never given back. What is in them is left of the firmware's work, but for those that are asked for zeroed. */
void *pages_take(uint32_t count);
void *pages_zeroed(uint32_t count);
void console_line(const char *line);
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));
void orders_write(const char *text, size_t length);
/* The next byte of the orders; -1: there is none yet. */
int orders_read(void);
uint32_t ticks_now(void);
uint64_t monotonic_ns(void);
uint64_t timestamp(void);
/* Until something may have happened. */
void idle(void);
/* How many processors there are. The others sleep until they are released; then each does ap_run(its number) at every tick. */
unsigned cpus_start(void);
void cpus_release(unsigned count);
void ap_run(unsigned cpu);
/* Called on the first processor, in its interrupt. */
void on_tick(uint32_t tick);
void power_off(void);
void refuse_reset(void);
/* Makes the button's presses visible from now on. */
void power_button_listen(void);
bool power_button_pressed(void);
void suspend(void);

void lock_take(volatile uint32_t *lock);
void lock_leave(volatile uint32_t *lock);

uint32_t pci_read(unsigned slot, unsigned offset);
void pci_write(unsigned slot, unsigned offset, uint32_t value);

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* --- tag.c: a domain is RAM (0) or a disk (1...) --- */

void tag_start(void);
void tag_fill(uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, bool compressible);
/* Whether it is as tag_fill would make it. */
bool tag_right(const uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, bool compressible);
bool tag_is_zero(const uint64_t *page);
/* Says in words what is on a page that is not what it should be. */
void tag_describe(const uint64_t *page, char text[TEXT_BYTES]);
uint32_t random_next(uint64_t *state);
/* How many operations are due: `credit` is what a caller keeps from one call to the next, as is the tick of the last. */
uint32_t pace_due(uint32_t rate_s, uint32_t *last_tick, uint32_t *credit);

void tally_page(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tally_block(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- ram.c --- */

void ram_open(const struct options *options, unsigned cpus);
/* Does the work that is due on a processor's region. */
void ram_work(unsigned cpu);
uint32_t ram_verify(void);
void ram_corrupt(void);
/* Returns when the load, told to pause, has come to rest. */
void ram_settle(void);
void ram_stats(uint64_t *ops, uint64_t *generation_sum);

/* --- disk.c --- */

void disks_open(const struct options *options);
void disks_work(void);
uint32_t disks_verify(void);
/* False: there is no disk, or it failed. */
bool disks_corrupt(void);
bool disks_sync(void);
void disks_stats(uint64_t *ops, uint64_t *generation_sum);

#endif
