/*
 * A guest in one sector, for tests of imported disks: the BIOS starts it from whatever its disk is on. It reads the sectors that follow,
 * by the BIOS, adds them up, and says the sum on the first serial line: "disk XXXXXXXX". As many as its last word before the signature
 * says, in portions of 64.
 *
 * sum = rotate-left(sum, 1) + word, for each little-endian word of 32 bits (tests/lib/import.sh does the same).
 */
	.code16
	.global _start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	movb	%dl, drive
next:
	cmpw	$0, portions
	je	say
	movb	drive, %dl
	movb	$0x42, %ah
	movw	$packet, %si
	int	$0x13
	jc	failed
	movw	$0x1000, %ax
	movw	%ax, %ds
	xorw	%si, %si
	movw	$(64 * 512 / 4), %cx
	movl	%cs:sum, %ebx
add:
	lodsl
	roll	$1, %ebx
	addl	%eax, %ebx
	decw	%cx
	jnz	add
	xorw	%ax, %ax
	movw	%ax, %ds
	movl	%ebx, sum
	addl	$64, lba
	decw	portions
	jmp	next
say:
	movw	$found, %si
	call	text
	movl	sum, %ebx
	movw	$8, %cx
digit:
	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	1f
	addb	$('a' - '9' - 1), %al
1:	call	put
	decw	%cx
	jnz	digit
	jmp	end
failed:
	movw	$error, %si
	call	text
end:
	movb	$'\n', %al
	call	put
halt:
	hlt
	jmp	halt

text:
	lodsb
	testb	%al, %al
	jz	1f
	call	put
	jmp	text
1:	ret

put:
	movw	$0x3fd, %dx
	movb	%al, %ah
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movw	$0x3f8, %dx
	movb	%ah, %al
	outb	%al, %dx
	ret

found:	.asciz "disk "
error:	.asciz "the disk cannot be read"
drive:	.byte 0
sum:	.long 0
	.balign 4
packet:	.byte 16, 0
	.word 64
	.word 0, 0x1000
lba:	.long 1, 0
	.org 440
	.long 0x46455256
	.word 0
	.org 508
portions:
	.word 64
	.word 0xaa55
