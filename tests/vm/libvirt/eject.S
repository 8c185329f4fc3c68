/* A guest that lets go of a vCPU: all that is in this boot sector is what an ACPI driver does when it is asked to eject one
 * (docs/specs/acpi_cpu_hotplug of QEMU; the registers of a q35 machine). */
	.code16
	.globl _start
_start:
	mov	$0xcd8, %dx
	xor	%eax, %eax
	outb	%al, %dx		/* the modern registers: without them nothing is ejected */
cpus:
	xor	%ecx, %ecx
cpu:
	mov	$0xcd8, %dx
	mov	%ecx, %eax
	outl	%eax, %dx		/* of this vCPU */
	mov	$0xcdc, %dx
	inb	%dx, %al
	test	$4, %al			/* it is to go */
	jz	stay
	mov	$4, %al
	outb	%al, %dx
	mov	$8, %al
	outb	%al, %dx
stay:
	inc	%ecx
	cmp	$8, %ecx
	jb	cpu
	sti
	hlt				/* the timer wakes it 18 times a second */
	jmp	cpus
	.org	510
	.word	0xaa55
	.org	1048576			/* as large as a disk has to be for the BIOS */
