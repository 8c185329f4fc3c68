# SPDX-License-Identifier: MIT
# Tools: programs that `shield NAME` starts from the one folder that is compiled in, and that root starts only if they are root's.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2034  # guest.sh is in the VM
. /t/guest.sh
before

tool=$(find / -xdev -type f -name shield-topology | head -n 1)
tools=${tool%/*}
marker=/tmp/decoy-ran
# decoy FILE: a program that says if it ran.
decoy() { printf '#!/bin/sh\necho decoy; touch %s; chmod 666 %s\n' $marker $marker >"$1" && chmod 755 "$1"; }
# refused WORD: topology is not run; one line says so with this word.
refused() {
	shield topology >$T/out 2>$T/err
	got=$?
	cat $T/out $T/err
	[ $got = 4 ] && [ ! -s $T/out ] && one_line $T/err && grep -q -- "$1" $T/err && [ ! -e $marker ]
}

check "tools: there is one" test -x "$tool"
check "tools: it runs" status 0 shield topology
listed() { shield --help | grep -q '^  topology '; }
check "tools: it is listed" listed
as_one() { shield --json topology | jq -e '.cpus | length > 0' && status 2 shield topology --nosuch && shield topology --help | grep -q 'Usage: shield topology '; }
check "tools: options before and after its name" as_one

# What is in PATH, in the environment, in the current directory or beside the program is not asked.
elsewhere() {
	mkdir -p /tmp/decoys && decoy /tmp/decoys/shield-topology && decoy /usr/local/bin/shield-topology
	(cd /tmp/decoys && PATH=/tmp/decoys:$PATH LIBEXECDIR=/tmp/decoys SHIELD_TOOLS=/tmp/decoys shield topology) >$T/out 2>&1
	got=$?
	! grep decoy $T/out && [ $got = 0 ] && [ ! -e $marker ]
}
check "tools: no other folder is searched" elsewhere
mv $tool $tool.kept
check "tools: missing: refused, though PATH has one" refused "$tool cannot be run"
no_tool_needed() { shield on win11 && shield status win11 >/dev/null && shield off win11 && shield run -p win11 -- true; }
check "tools: on, status, off and run need none" no_tool_needed
path_as_name() { status 2 shield ../../tmp/decoys/shield-topology && status 2 shield decoys && [ ! -e $marker ]; }
check "tools: only the names of the table are commands" path_as_name

decoy $tool
chown 1000 $tool
check "tools: of another user: refused" refused 'belongs to user 1000'
chown 0 $tool && chmod 775 $tool
check "tools: that a group can write: refused" refused 'writable by users other than root'
rm $tool && ln -s /tmp/decoys/shield-topology $tool
check "tools: a link: refused" refused 'symbolic link'
rm $tool && mkdir $tool
check "tools: a directory: refused" refused "$tool cannot be run"
rmdir $tool && cp -p $tool.kept $tool && chmod 777 $tools
check "tools: in a folder that all can write: refused" refused 'writable by users other than root'
chmod 755 $tools && chown 1000 $tools
check "tools: in a folder of another user: refused" refused 'belongs to user 1000'
chown 0 $tools && mv $tool.kept $tool
check "tools: as before it runs again" status 0 shield topology
check "tools: a user may run it" as_nobody 'shield topology >/dev/null'
rm -rf /tmp/decoys /usr/local/bin/shield-topology
finish "tools"
