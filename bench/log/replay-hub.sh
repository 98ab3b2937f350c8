#!/bin/sh
# Replays all of a log through a hub, and prints the hub's memory: replay-hub.sh HEADWATER DIR
set -eu
headwater=$1
work=$(mktemp -d)
"$headwater" serve --data "$2" --listen 127.0.0.1:0 >"$work/hub" 2>"$work/log" &
hub=$!
sub=
trap 'kill $hub $sub; rm -r "$work"' EXIT
until grep -q 'listening on' "$work/hub"; do sleep 0.1; done
url=$(sed -n 's/.*listening on //p' "$work/hub")
memory() { awk '/^(VmRSS|VmHWM)/ { printf "%s %s KiB  ", $1, $2 }' "/proc/$hub/status"; }
events=$("$headwater" log info --json "$2" | sed 's/.*"events":\([0-9]*\),"topics".*/\1/')
echo "before: $(memory)"
begin=$(date +%s)
mkfifo "$work/events"
"$headwater" sub --pattern '*' --since all --format data --url "$url" >"$work/events" &
sub=$!
head -n "$events" <"$work/events" | wc -l >"$work/count" &
reader=$!
while kill -0 "$reader" 2>/dev/null; do
    sleep 2
    echo "after $(($(date +%s) - begin)) s: $(memory)"
done
echo "$(cat "$work/count") of $events events in $(($(date +%s) - begin)) s"
