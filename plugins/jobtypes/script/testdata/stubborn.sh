#!/bin/sh
# Three generations that ignore SIGTERM; each holds the pipe $1 and the output.
exec 9>"$1"
trap '' TERM
sh -c 'trap "" TERM; sh -c "trap \"\" TERM; sleep 600; sleep 600" & sleep 600; sleep 600' &
echo started
sleep 600
sleep 600
