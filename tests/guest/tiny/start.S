/* Where QEMU's multiboot loader enters, where the other processors do, and where interrupts arrive. 32 bits, no paging. */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 2 /* tell how much memory there is */
#define CODE 8
#define DATA 16
#define STACK_BYTES 16384
#define AP_START 0x8000

	.section .multiboot, "a"
	.align 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.globl start
start:
	cli
	lgdt gdt_pointer
	ljmp $CODE, $1f
1:	mov $DATA, %cx
	mov %cx, %ds
	mov %cx, %es
	mov %cx, %ss
	mov $stacks + STACK_BYTES, %esp
	push %ebx /* the multiboot information */
	push %eax /* that it is some */
	call tiny_main
2:	cli
	hlt
	jmp 2b

/* Copied to AP_START, where the other processors begin in real mode; each takes the next stack. */
	.globl ap_start, ap_end
	.code16
ap_start:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl AP_START + ap_gdt_pointer - ap_start
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $CODE, $ap_protected
	.align 4
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:
	.code32
ap_protected:
	mov $DATA, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $1, %eax
	lock xadd %eax, ap_next
	push %eax
	inc %eax
	imul $STACK_BYTES, %eax
	pop %ecx
	lea stacks(%eax), %esp
	push %ecx
	call ap_main

/* The vectors 0 to 63: each stub pushes an error code where the processor does not, and its number. */
	.globl stubs
	.align 16
stubs:
	.set number, 0
	.rept 64
	.align 16
	.if !(number == 8 || (number >= 10 && number <= 14) || number == 17)
	push $0
	.endif
	push $number
	jmp interrupted
	.set number, number + 1
	.endr

interrupted:
	pusha
	cld
	push %esp
	call interrupt
	add $4, %esp
	popa
	add $8, %esp
/* Back without iret, which a KVM that emulates its guest may not know: the flags and the address change places with the selector. */
	push %eax
	push %ecx
	mov 8(%esp), %eax
	mov 16(%esp), %ecx
	mov %ecx, 12(%esp)
	mov %eax, 16(%esp)
	pop %ecx
	pop %eax
	add $4, %esp
	popf
	ret

	.data
	.align 8
gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_next:
	.long 1 /* the first one has started us */

	.bss
	.align 16
stacks:
	.skip STACK_BYTES * 8 /* MAX_CPUS */

	.section .note.GNU-stack, "", @progbits
