# The main job on another machine.
# machine: --cpus 4
# kernels: 6.1 6.12
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
if [ $kernel = 6.1 ]; then
	profile win11 '{"version":1,"name":"win11","guest":"2","emulator":"3"}'
	cpus=2
else
	profile win11 '{"version":1,"name":"win11","guest":"2-3"}'
	cpus=2-3
fi
taskset 0xc sleep 1000 &
before
n=$(for c in $(echo $cpus | tr ',' ' '); do seq "${c%-*}" "${c#*-}"; done | wc -l)
alone() {
	snapshot on $cpus | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(grep -cE 'CPU [0-9]+/TCG' $T/on)" = "$n" ] && [ "$(wc -l <$T/on)" = "$n" ] &&
		[ "$(cut -d' ' -f4 $T/on | sort -u | wc -l)" = "$n" ] && ! snapshot irqs $cpus | grep ' movable '
}
check "four: a VM starts" start "$n" shield run -p win11 -- $qemu -smp "$n"
check "four: vCPUs alone, all else off" alone
check "four: status agrees" status 0 shield status
kill "$(pidof qemu-system-x86_64)"
check "four: its end" ends 0
finish "four"
kill %1
true
