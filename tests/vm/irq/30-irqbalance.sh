# The real irqbalance: it never wins a guest CPU back, and gets its own back.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

mkdir -p /run/irqbalance
IRQBALANCE_BANNED_CPULIST=0 irqbalance
sleep 2
check "irqbalance: on" status 0 shield on vm
original() {
	[ "$(jq -r '.objects[] | select((.path // "") | test("irqbalance")) | .original' $state)" = "$1" ]
}
check "irqbalance: its former ban is recorded" original 1-7
never() {
	never_end=$(($(date +%s) + $1))
	while [ "$(date +%s)" -lt $never_end ]; do
		no_strays || {
			sleep 1 # one that appears is moved within a second
			no_strays || return
		}
		usleep 500000
	done
}
check "irqbalance: three of its scans win nothing back" never 32
check "irqbalance: status agrees" shield status
check "irqbalance: lives" pidof irqbalance
kill -9 "$(pidof irqbalance)"
irqbalance
check "irqbalance: one that was started anew wins nothing either" never 32
told() {
	jq -e --arg socket "irqbalance$(pidof irqbalance).sock" '[.objects[] | select((.path // "") | endswith($socket))] | length == 1' $state
}
check "irqbalance: it was told" told
kill -9 "$(pidof shield)"
check "irqbalance: off after the guard was killed" shield off vm
sleep 25
original_again() {
	irqbalance-ask "/run/irqbalance/irqbalance$(pidof irqbalance).sock" setup | grep "BANNED 0*$"
}
check "irqbalance: no ban is left" original_again
kill "$(pidof irqbalance)"
sleep 1
mount -t tmpfs -o ro none /run/irqbalance
irqbalance -f >/dev/null 2>&1 &
sleep 2
check "no socket: it says what to set" sh -c 'shield plan vm 2>&1 >/dev/null | grep -q "IRQBALANCE_BANNED_CPULIST=4-7"'
