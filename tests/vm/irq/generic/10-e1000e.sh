# SPDX-License-Identifier: MIT
# With the kernels for real machines: a real driver of a real network card under traffic, whose handlers are threads
# (threadirqs). The host side (run) brings a second e1000e, at 06, with a network.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

to_vfio $card # no other driver shall have the first one
nic=0000:00:06.0
for net in /sys/bus/pci/devices/"$nic"/net/*; do
	net=${net##*/}
done
up() {
	ip link set "$net" up
	ip addr add 10.0.2.15/24 dev "$net" 2>/dev/null
	wait_for 10 ping -c 1 -W 1 10.0.2.2
}
# Its interrupts since boot, on all CPUs or on those that guests have.
handled() {
	awk -v name="$net" -v first="${1-0}" \
		'$NF ~ "^" name { for (i = 2 + first; i <= 9; i++) n += $i } END { print n + 0 }' /proc/interrupts
}
check "e1000e: is up" up
before
while :; do
	ping -c 20 -i 0.02 -W 1 10.0.2.2
done >/dev/null 2>&1 &
traffic=$!
check "e1000e: on" status 0 shield on vm
check "e1000e: off guest CPUs" within_a_second no_strays
busy_before=$(handled) guest_before=$(handled 4)
sleep 10
busy() {
	echo "$(($(handled) - busy_before)) interrupts in 10 s, on guest CPUs $(($(handled 4) - guest_before))"
	[ $(($(handled) - busy_before)) -gt 50 ] && [ "$(handled 4)" = "$guest_before" ]
}
check "e1000e: under traffic, and none on guest CPUs" busy
# Of its handler threads: at least one, and none may run on guest CPUs.
handlers() {
	handlers_n=0
	for task in /proc/[0-9]*; do
		case $(cat "$task/comm") in irq/*-"$net"*) ;; *) continue ;; esac
		cpus=$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' "$task/status")
		echo "$(cat "$task/comm") may run on $cpus"
		case $cpus in *[4567]*) return 1 ;; esac
		handlers_n=$((handlers_n + 1))
	done 2>/dev/null
	[ $handlers_n -gt 0 ]
}
check "e1000e: its handler threads keep off guest CPUs" handlers
ip link set "$net" down
up
check "e1000e: down and up: off guest CPUs within a second" within_a_second no_strays
check "e1000e: its new handler threads keep off guest CPUs" handlers
check "e1000e: status agrees" shield status
check "e1000e: off" shield off vm
kill $traffic
wait $traffic
check "e1000e: all is as before" restored
