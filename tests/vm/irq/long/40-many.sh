# SPDX-License-Identifier: MIT
# More interrupts than a CPU has vectors (some 200): what fits is moved, the rest is said, and all come back.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

vfio_masks() { irqs | grep ' vfio-'; }
to_vfio $many
vm_start $many 250
arm
vfio_masks >$T/vfio.before
check "many: 250 vectors" test "$(wc -l <$T/vfio.before)" = 250
profile one '{"version":1,"name":"one","guest":"2-7","emulator":"1"}'
[ $kernel = 6.1 ] || profile one '{"version":1,"name":"one","guest":"1-7"}'
before
full() {
	status 64 shield on one >$T/on 2>&1 || {
		tail -n 5 $T/on
		return 1
	}
	head -n 3 $T/on
	grep -q "not moved: /proc/irq/[0-9]*/.*no interrupt vector is left" $T/on
}
check "many: CPU 0 has no vectors left, and that is said" full
moved=$(vfio_masks | grep -c '^[0-9]* 0 ')
left=$(vfio_masks | grep -vc '^[0-9]* 0 ')
echo "# $moved moved, $left left" >&2
check "many: most are moved all the same" test $moved -gt 150
check "many: the rest is named" test "$(grep -c '^shield: not moved: /proc/irq/.*no interrupt vector' $T/on)" -ge $left
off_quietly() {
	shield off one >$T/off 2>&1
	off_status=$?
	head -n 5 $T/off
	return $off_status
}
check "many: off" off_quietly
same() {
	vfio_masks >$T/vfio.after
	diff $T/vfio.before $T/vfio.after | grep '^+'
	cmp $T/vfio.before $T/vfio.after
}
check "many: they are as before" same
check "many: all is as before" restored
vm_end
from_vfio $many
