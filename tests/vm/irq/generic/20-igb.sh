# SPDX-License-Identifier: MIT
# With the kernels for real machines: a card of several queues whose driver gives back all its interrupts and asks for others
# when its channels are set; its handlers are threads (threadirqs). The host side (run) brings it, at 08.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

for net in /sys/bus/pci/devices/0000:00:08.0/net/*; do
	net=${net##*/}
done
ip link set "$net" up
queues() { irqs | grep -c " $net-"; }
queues_are() { [ "$(queues)" = "$1" ]; }
check "igb: has eight queues" wait_for 5 queues_are 8
before
check "igb: on" status 0 shield on vm
check "igb: off guest CPUs" within_a_second no_strays
# Of its handler threads: as many as given, and none may run on guest CPUs.
handlers() {
	handlers_n=0
	for task in /proc/[0-9]*; do
		case $(cat "$task/comm") in irq/*-"$net"-*) ;; *) continue ;; esac
		cpus=$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' "$task/status")
		echo "$(cat "$task/comm") may run on $cpus"
		case $cpus in *[4567]*) return 1 ;; esac
		handlers_n=$((handlers_n + 1))
	done 2>/dev/null
	[ $handlers_n = "$1" ]
}
check "igb: eight handler threads keep off guest CPUs" handlers 8
retune channels "$net" 2
# Receiving and sending have interrupts of their own where there are enough.
check "igb: two channels (ethtool -L)" wait_for 2 queues_are 4
check "igb: off guest CPUs within a second" within_a_second no_strays
check "igb: and its handler threads" wait_for 2 handlers 4
retune channels "$net" 8
check "igb: eight again" wait_for 2 queues_are 8
check "igb: all off guest CPUs within a second" within_a_second no_strays
check "igb: and all their handler threads" wait_for 2 handlers 8
retune ring "$net" 512
ip link set "$net" up
check "igb: other rings (ethtool -G): off guest CPUs within a second" within_a_second no_strays
check "igb: status agrees" shield status
check "igb: off" shield off vm
check "igb: all is as before" restored
