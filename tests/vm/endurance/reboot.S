/* A boot sector that says 'B' on port 0xe9, waits TICKS of the BIOS's clock (18.2 a second), and resets the machine. */
	.code16
	.globl _start
_start:
	xorw %ax, %ax
	movw %ax, %ds
	sti
	movb $'B', %al
	outb %al, $0xe9
	movl 0x46c, %ebx
1:	hlt
	movl 0x46c, %eax
	subl %ebx, %eax
	cmpl $TICKS, %eax
	jb 1b
	movb $0xfe, %al
	outb %al, $0x64
2:	hlt
	jmp 2b

	.org 510
	.word 0xaa55
