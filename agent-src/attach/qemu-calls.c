/* qemu-calls.c: see qemu-calls.h. */
#include "qemu-calls.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- versions ---- */

#define DEVELOPMENT	      50 /* 10.0.50 is on its way to 10.1 */
#define VERSION(major, minor) ((major)*100 + (minor))

/*
 * Signatures, from QEMU's headers:
 *   bool bql_locked(void); void bql_lock_impl(const char *file, int line); void bql_unlock(void)     (before 9.0: …_mutex_…_iothread…)
 *   Chardev *qemu_chr_new_noreplay(const char *label, const char *filename, bool permit_mux_mon, GMainContext *context)
 *   void monitor_init_qmp(Chardev *chr, bool pretty, Error **errp)                                  (to 11.0)
 *   bool user_creatable_add_from_str(const char *str, Error **errp)                                 (from 11.1: a monitor is an object)
 */
static const struct qemu_calls_row {
	int from, to; /* versions, both included */
	const char *is_locked, *lock, *unlock, *new_monitor;
	bool is_object;
} rows[] = {
	{VERSION(7, 2), VERSION(7, 2), "qemu_mutex_iothread_locked", "qemu_mutex_lock_iothread_impl", "qemu_mutex_unlock_iothread",
	 "monitor_init_qmp", false},
	{VERSION(8, 2), VERSION(8, 2), "qemu_mutex_iothread_locked", "qemu_mutex_lock_iothread_impl", "qemu_mutex_unlock_iothread",
	 "monitor_init_qmp", false},
	{VERSION(10, 0), VERSION(10, 0), "bql_locked", "bql_lock_impl", "bql_unlock", "monitor_init_qmp", false},
	{VERSION(11, 1), VERSION(11, 1), "bql_locked", "bql_lock_impl", "bql_unlock", "user_creatable_add_from_str", true},
};

static const char banner[] = "QEMU emulator version ";

static const struct qemu_calls_row *row_for(int version)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (version >= rows[i].from && version <= rows[i].to)
			return &rows[i];
	return NULL;
}

int qemu_calls_find(struct qemu_calls *c, const struct exe_symbols *s, struct err *e)
{
	AUTO_FREE char *text = exe_text_after(s, banner);

	const struct qemu_calls_row *row;

	*c = (struct qemu_calls){.lock = 0};
	if (!text || sscanf(text, "%3d.%3d.%3d", &c->version[0], &c->version[1], &c->version[2]) != 3)
		return err_set(e, ENOTSUP, "its program does not say which version of QEMU it is");
	row = c->version[2] < DEVELOPMENT ? row_for(VERSION(c->version[0], c->version[1])) : NULL;
	if (!row)
		return err_set(e, ENOTSUP, "its QEMU is %s: vmferry knows how to attach to 7.2, 8.2, 10.0 and 11.1", text);
	c->is_object = row->is_object;
	c->is_locked = exe_symbol(s, row->is_locked, NULL);
	c->lock = exe_symbol(s, row->lock, NULL);
	c->unlock = exe_symbol(s, row->unlock, NULL);
	c->new_chardev = exe_symbol(s, "qemu_chr_new_noreplay", NULL);
	c->new_monitor = exe_symbol(s, row->new_monitor, NULL);
	c->main_loop = exe_symbol(s, "main_loop_wait", &c->main_loop_bytes);
	if (!c->is_locked || !c->lock || !c->unlock || !c->new_chardev || !c->new_monitor || !c->main_loop || !c->main_loop_bytes)
		return err_set(e, ENOTSUP,
			       "its QEMU, %s, was built without the functions that vmferry would call (it exports none for modules)", text);
	return 0;
}

/* ---- data ---- */

int qemu_calls_fill(const struct qemu_calls *c, struct calls_data *d, const char *socket_path, unsigned number, struct err *e)
{
	size_t n = 0;
	const char *p;

	*d = (struct calls_data){.state = CALLS_NOT_BEGUN, .where = "vmferry"};
	if (*socket_path != '/')
		return err_set(e, EINVAL, "the path of a monitor, %s, is not absolute", socket_path);
	n = (size_t)snprintf(d->socket, sizeof(d->socket), "unix:");
	for (p = socket_path; *p && n + 40 < sizeof(d->socket); p++) {
		if ((unsigned char)*p < ' ')
			return err_set(e, EINVAL, "the path of a monitor has a control character");
		d->socket[n++] = *p;
		if (*p == ',') /* a comma in an option of QEMU's is doubled */
			d->socket[n++] = ',';
	}
	if (*p)
		return err_set(e, ENAMETOOLONG, "the path of a monitor, %s, is too long", socket_path);
	snprintf(d->socket + n, sizeof(d->socket) - n, ",server=on,wait=off");
	snprintf(d->label, sizeof(d->label), "vmferry-attach-%u", number);
	if (c->is_object)
		snprintf(d->monitor, sizeof(d->monitor), "monitor-qmp,id=vmferry-qmp-%u,chardev=%s", number, d->label);
	return 0;
}

bool calls_state_is_over(uint32_t state)
{
	return state > CALLS_WORK;
}

/* ---- code ---- */

#ifdef __x86_64__

#define RED_ZONE  128 /* bytes below the stack pointer that a function may use without moving it */
#define OUR_STACK 512 /* bytes of stack that are kept clear of whatever else is there */

struct code {
	uint8_t *out;
	size_t n;
	uint64_t data;
	size_t ends[8]; /* places of the jumps to the end */
	unsigned end_count;
};

static void put(struct code *c, const void *bytes, size_t n)
{
	memcpy(c->out + c->n, bytes, n);
	c->n += n;
}

#define PUT(c, ...) put(c, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Register numbers as instructions have them. */
enum reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10 };

static void load(struct code *c, enum reg reg, uint64_t value)
{
	PUT(c, (uint8_t)(0x48 | (reg >= R8)), (uint8_t)(0xb8 | (reg & 7)));
	put(c, &value, sizeof(value));
}

static void call(struct code *c, uint64_t function)
{
	load(c, RAX, function);
	PUT(c, 0xff, 0xd0); /* call *%rax */
}

static uint64_t member(const struct code *c, size_t offset)
{
	return c->data + offset;
}

/* Leaves every register but rcx. */
static void set_state(struct code *c, uint32_t state)
{
	load(c, RCX, member(c, offsetof(struct calls_data, state)));
	PUT(c, 0xc7, 0x01); /* movl $state, (%rcx) */
	put(c, &state, sizeof(state));
}

/* A jump of a condition (0x84: zero, 0x85: not), whose distance is set by land(). */
static size_t jump_if(struct code *c, uint8_t condition)
{
	PUT(c, 0x0f, condition, 0, 0, 0, 0);
	return c->n;
}

static void land(struct code *c, size_t jump)
{
	int32_t distance = (int32_t)(c->n - jump);

	memcpy(c->out + jump - sizeof(distance), &distance, sizeof(distance));
}

static void go_to_end(struct code *c)
{
	PUT(c, 0xe9, 0, 0, 0, 0);
	c->ends[c->end_count++] = c->n;
}

static void unlock_and_end(struct code *c, const struct qemu_calls *q, enum calls_state state)
{
	call(c, q->unlock);
	set_state(c, state);
	go_to_end(c);
}

static void take_lock(struct code *c, const struct qemu_calls *q)
{
	size_t jump;

	call(c, q->is_locked);
	PUT(c, 0x84, 0xc0); /* test %al, %al */
	jump = jump_if(c, 0x84);
	set_state(c, CALLS_LOCKED);
	go_to_end(c);
	land(c, jump);
	set_state(c, CALLS_WAIT);
	load(c, RDI, member(c, offsetof(struct calls_data, where)));
	load(c, RSI, 1);
	call(c, q->lock);
	set_state(c,
		  /* stored before give_up is read: a process that writes give_up, and then reads CALLS_WAIT, knows that nothing will be
		   * done */
		  CALLS_WORK);
	PUT(c, 0x0f, 0xae, 0xf0); /* mfence */
	load(c, RCX, member(c, offsetof(struct calls_data, give_up)));
	PUT(c, 0x83, 0x39, 0); /* cmpl $0, (%rcx) */
	jump = jump_if(c, 0x84);
	unlock_and_end(c, q, CALLS_TOLD_TO_GO);
	land(c, jump);
}

static void make_socket(struct code *c, const struct qemu_calls *q)
{
	size_t jump;

	load(c, RDI, member(c, offsetof(struct calls_data, label)));
	load(c, RSI, member(c, offsetof(struct calls_data, socket)));
	load(c, RDX, 0);
	load(c, RCX, 0);
	call(c, q->new_chardev);
	load(c, RCX, member(c, offsetof(struct calls_data, chardev)));
	PUT(c, 0x48, 0x89, 0x01); /* mov %rax, (%rcx) */
	PUT(c, 0x48, 0x85, 0xc0); /* test %rax, %rax */
	jump = jump_if(c, 0x85);
	unlock_and_end(c, q, CALLS_NO_SOCKET);
	land(c, jump);
}

static void make_monitor(struct code *c, const struct qemu_calls *q)
{
	size_t jump;

	if (!q->is_object) {
		PUT(c, 0x48, 0x89, 0xc7); /* mov %rax, %rdi */
		load(c, RSI, 0);
		load(c, RDX, 0);
		call(c, q->new_monitor);
		return;
	}
	load(c, RDI, member(c, offsetof(struct calls_data, monitor)));
	load(c, RSI, 0);
	call(c, q->new_monitor);
	PUT(c, 0x84, 0xc0); /* test %al, %al */
	jump = jump_if(c, 0x85);
	unlock_and_end(c, q, CALLS_NO_MONITOR);
	land(c, jump);
}

/* A system call that has returned 0: it has changed rax, rcx and r11 alone. */
static void go_back(struct code *c, const struct user_regs_struct *waits)
{
	for (unsigned i = 0; i < c->end_count; i++)
		land(c, c->ends[i]);
	load(c, RDI, waits->rdi);
	load(c, RSI, waits->rsi);
	load(c, RDX, waits->rdx);
	load(c, R8, waits->r8);
	load(c, R9, waits->r9);
	load(c, R10, waits->r10);
	load(c, RSP, waits->rsp);
	load(c, RCX, waits->rip);
	PUT(c, 0x31, 0xc0); /* xor %eax, %eax */
	PUT(c, 0xff, 0xe1); /* jmp *%rcx */
}

size_t qemu_calls_code(const struct qemu_calls *q, const struct user_regs_struct *waits, uint64_t data, uint8_t out[CALLS_CODE_MAX])
{
	struct code c = {.out = out, .data = data};

	load(&c, RSP, (waits->rsp - RED_ZONE - OUR_STACK) & ~15ULL);
	take_lock(&c, q);
	make_socket(&c, q);
	make_monitor(&c, q);
	unlock_and_end(&c, q, CALLS_DONE);
	go_back(&c, waits);
	return c.n;
}

#else

size_t qemu_calls_code(const struct qemu_calls *q, const struct user_regs_struct *waits, uint64_t data, uint8_t out[CALLS_CODE_MAX])
{
	(void)q;
	(void)waits;
	(void)data;
	(void)out;
	return 0;
}

#endif
