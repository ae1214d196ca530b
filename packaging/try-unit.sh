#!/usr/bin/env bash
# Tries edge-lpr.service on a machine for trials, as root: it is reloaded, stopped, killed and hung, about three
# minutes. docs/serve.md says how it is installed; cameras that show vehicles should be in view, as of
# `edge-lpr serve --example`. Says what it finds, and ends with exit code 1 at the first thing that is wrong.
set -euo pipefail

unit=edge-lpr
database=${1:-/var/lib/edge-lpr/data/events.db}

say() { printf '%-9s %s\n' "$@"; }
fail() { say "$1" "WRONG: $2"; journalctl -u "$unit" -n 20 --no-pager -o cat; exit 1; }
show() { systemctl show -P "$1" "$unit"; }
# The numbers of passages that are, or are not, ended.
passages() {
    /opt/edge-lpr/bin/python - "$database" "$1" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True) as database:
    print(*(number for (number,) in database.execute(f"SELECT number FROM events WHERE state {sys.argv[2]} 'end'")))
PYTHON
}
# Waits until a process of another number has said that it is ready.
wait_for_another_than() {
    for ((waited = 0; waited < $2; waited++)); do
        sleep 1
        [[ $(show SubState) != running || $(show MainPID) == "$1" ]] || return 0
    done
    return 1
}
# Waits for vehicles whose passages go on.
wait_for_passages() {
    for ((waited = 0; waited < 60; waited++)); do
        open=$(passages '!=')
        [[ -z $open ]] || return 0
        sleep 1
    done
    fail "$1" "no vehicle in view within a minute; take the sample video: edge-lpr serve --example"
}
# Passages that went on before a restart have been ended since, each once.
check_ended() {
    local ended number
    ended=" $(passages '=') "
    for number in $2; do
        [[ $ended == *" $number "* ]] || fail "$1" "passage $number was not ended"
    done
}

systemctl restart "$unit" || fail start "it does not start"
say start "$(show SubState), $(show StatusText)"

wait_for_passages reload
process=$(show MainPID)
systemctl reload "$unit"
sleep 1
[[ $(show MainPID) == "$process" && $(show SubState) == running ]] || fail reload "it did not go on"
known=" $(passages '!=') $(passages '=') "
[[ $known == *" ${open%% *} "* ]] || fail reload "passage ${open%% *} is gone"
say reload "the same process, with $(wc -w <<< "$open") passages that go on"

wait_for_passages stop
began=$(date +%s%N)
systemctl stop "$unit"
took=$((($(date +%s%N) - began) / 1000000))
[[ $(show Result) == success && $took -le 6000 ]] || fail stop "$(show Result) after $took ms"
check_ended stop "$open"
say stop "after $took ms, $(wc -w <<< "$open") passages ended"

systemctl start "$unit"
wait_for_passages kill
process=$(show MainPID)
kill -9 "$process"
wait_for_another_than "$process" 60 || fail kill "it is not back within a minute"
check_ended kill "$open"
say kill "it is back, $(wc -w <<< "$open") passages ended"

process=$(show MainPID)
kill -STOP "$process"
wait_for_another_than "$process" 180 || fail watchdog "it is not back within three minutes"
say watchdog "what hung was ended and started again after $waited s"
