#!/bin/sh
# A runner for one attempt, over plain HTTP: keeps the start gate and the lease, runs a command, reports its end.
#
#   TOWPATH_TASK_ID=… TOWPATH_ATTEMPT=1 TOWPATH_STATUS_URL=… TOWPATH_RUNNER_ID=host-1 run_attempt.sh COMMAND [ARGUMENT…]
#
# For whatever hands attempts on: a listener that is pushed to, ssh, a batch system. Needs Linux, sh, curl and GNU
# tools; it reads the JSON of Towpath's answers with grep. From the submission, in the environment:
#
#   TOWPATH_STATUS_URL, TOWPATH_STATUS_TOKEN    status_callback_url and status_callback_token
#   TOWPATH_TIMEOUT_SECONDS                     timeout_seconds, in whole seconds; none if empty
#   TOWPATH_TIMEOUT_PAUSES                      timeout_pauses: true if that time stands still while the job asks
#   TOWPATH_WORKSPACE, TOWPATH_LOCK_TOKEN       for the command; start this in the workspace's root
#
# and from the operator who runs it:
#
#   TOWPATH_RUNNER_ID            one attempt at a time under an id; 1 to 64 of A-Za-z0-9_-
#   TOWPATH_POOL                 the pool that heartbeats name (default)
#   TOWPATH_LEASE_SECONDS        as on the control plane (15); 0: no heartbeats, so its death is not noticed
#   TOWPATH_URL                  the API, for heartbeats; by default what TOWPATH_STATUS_URL begins with
#   API_RUNNER_CALLBACK_TOKEN    what the API asks runners for, if it does
#   TOWPATH_OUTPUT               a file for the command's output, whose end is reported; remove secrets yourself
#
# Ends as the command ends, with 6 if it was not started, with 130 if it was canceled. SIGTERM cancels.
set -u
exec 3<&0 </dev/null # standard input is the command's alone; the shell would give it none in the background
lease=${TOWPATH_LEASE_SECONDS:-15}
api=${TOWPATH_URL:-${TOWPATH_STATUS_URL%/runner/tasks/*}}
third=$(((lease + 2) / 3)) grace=5 newline='
'
umask 077
dir=$(mktemp -d) runner=$$
mark=$TOWPATH_TASK_ID.$TOWPATH_ATTEMPT.$runner
headers() { # TOKEN: not on a command line, where everybody could read it
  printf 'Content-Type: application/json\n'
  if [ -n "$1" ]; then printf 'X-Runner-Token: %s\n' "$1"; fi
}
headers "${TOWPATH_STATUS_TOKEN:-}" >"$dir/status-headers"
headers "${API_RUNNER_CALLBACK_TOKEN:-}" >"$dir/beat-headers"
unset TOWPATH_STATUS_TOKEN API_RUNNER_CALLBACK_TOKEN

# --- what both halves need

now() { read -r up _ </proc/uptime; now=${up%.*}; } # goes on while the host sleeps
put() { printf '%s\n' "$2" >"$dir/.$1" && mv "$dir/.$1" "$dir/$1"; }
get() { if [ -s "$dir/$1" ]; then read -r got <"$dir/$1"; else got=${2:-}; fi; }
post() { # URL HEADERS SECONDS BODY: sets `code`, 000 if no whole answer came, and `answer`
  answer=$(printf '%s' "$4" | curl -s -m "$3" -H "@$dir/$2" --data-binary @- -w '\n%{http_code}' "$1") &&
    code=${answer##*"$newline"} answer=${answer%"$newline"*} || code=000
}
marked() { # everything that was started for this attempt, also what went into a session of its own
  grep -lsxzF "TOWPATH_RUN=$mark" /proc/[0-9]*/environ | tr -dc '0-9\n'
}
signal() { marked | while read -r pid; do kill -s "$1" "$pid" 2>/dev/null; done; }

# --- the guard: sends heartbeats, and ends the command when it is canceled, too late, or the lease has run out

alive() { # whether the other half is there; also a zombie is not
  read -r _ _ _ parent _ </proc/self/stat
  [ "$parent" = "$runner" ]
}
beat() { # HELD MORE: moves `until` to a lease behind the sending, less the time it takes to notice and to kill
  now
  sent=$now
  seconds=$third
  [ "$until" -gt "$now" ] && [ $((until - now)) -lt "$third" ] && seconds=$((until - now))
  post "$api/runner/heartbeat" beat-headers "$seconds" "{\"runner_id\":\"$TOWPATH_RUNNER_ID\",\"pools\":[\"${TOWPATH_POOL:-default}\"],\
\"host\":\"$(uname -n)\",\"capacity\":1,\"counter\":$(date +%s%3N),\"held\":[$1]${2:-}}"
  if [ "$code" = 200 ]; then
    until=$((sent + lease - 2)) next=$((sent + third))
    put lease "$until"
    case $answer in *'"wanted":"stop"'* | *'"wanted": "stop"'*) put stop canceled ;; esac
  else
    next=$((sent + 1))
    echo "heartbeat not acknowledged: $code $answer" >&2
  fi
}
decide() { # WHY GRACE: the first reason counts
  [ -e "$dir/why" ] || { put why "$1" && kill_at=$((now + $2)) && signal TERM; }
}
whole() { # MEMBER: of `answer`, in whole seconds, rounded up
  got=$(first "$1")
  case $got in [0-9]*) echo $((${got%%[!0-9]*} + 1)) ;; *) echo 0 ;; esac
}
overdue() { # STARTED: whether the time is over; one that pauses moves by the time for which questions were open
  [ -n "$limit" ] && [ "$now" -ge "$look_at" ] && [ "$now" -ge $(($1 + limit)) ] || return 1
  [ "${TOWPATH_TIMEOUT_PAUSES:-}" = true ] || return 0
  look_at=$((now + 3))
  if answer=$(curl -sf -m 1 -H "@$dir/status-headers" "${TOWPATH_STATUS_URL%/status}/pauses"); then
    unread_at=
    deadline=$(($1 + limit + $(whole ended_seconds)))
    if [ "$(first open)" = true ]; then
      [ "$(first open_at_most_seconds)" != null ] || return 1
      deadline=$((deadline + $(whole open_at_most_seconds)))
    else
      look_at=$deadline
    fi
    [ "$now" -ge "$deadline" ]
  else # it may be waiting for a person
    unread_at=${unread_at:-$now}
    [ "$now" -ge $((unread_at + 600)) ]
  fi
}
guard() {
  trap '' INT TERM
  until=0 next=0 look_at=0 unread_at=
  while alive; do
    now
    if [ "$lease" -gt 0 ] && [ "$now" -ge "$next" ]; then
      beat "{\"task_id\":\"$TOWPATH_TASK_ID\",\"attempt\":$TOWPATH_ATTEMPT}"
    fi
    now
    if [ -e "$dir/stop" ]; then decide canceled "$grace"; fi
    get started
    if [ -n "$got" ]; then
      if [ "$lease" -gt 0 ] && [ "$now" -ge "$until" ]; then decide lease 0 && kill_at=$now; fi
      if overdue "$got"; then decide timeout "$grace"; fi
      if [ -e "$dir/why" ] && [ "$now" -ge "$kill_at" ]; then signal KILL; fi
    fi
    sleep 1
  done
  while [ -n "$(marked)" ]; do # the runner was killed
    signal KILL
    sleep 0.1
  done
  rm -rf "$dir"
}

# --- the attempt

found() { printf '%s' "$answer" | grep -o "\"$1\": *\"\{0,1\}[A-Za-z0-9_-]*" | tr -d '" ' | cut -d: -f2; }
first() { found "$1" | head -n 1; } # members of a task that stand before what its author chose, as labels
last() { found "$1" | tail -n 1; }  # and those behind
report() { # STATUS FIELDS TAIL: says it until that is answered; leaves `code` and `answer`
  pause=1
  while :; do
    post "$TOWPATH_STATUS_URL" status-headers 30 \
      "{\"status\":\"$1\",\"attempt\":$TOWPATH_ATTEMPT,\"runner_id\":\"$TOWPATH_RUNNER_ID\"${2:-}${3:-}}"
    case $code.$(last code) in
      400.* | 413.* | 422.*) [ -n "${3:-}" ] || return 0 && set -- "$1" "${2:-}" && continue ;;
      000.* | 3*.* | 401.* | 403.* | 408.* | 429.* | 5*.* | 409.not-granted) ;; # away, busy, or to be mended by people
      *) return 0 ;;
    esac
    if [ "$1" = running ] && [ -e "$dir/stop" ]; then return 0; fi
    echo "$1 not taken yet: $code $answer" >&2
    sleep "$pause"
    pause=$((pause < 8 ? pause * 2 : 15))
  done
}
output_tail() { # as a member of a JSON object
  [ -n "${TOWPATH_OUTPUT:-}" ] && [ -f "$TOWPATH_OUTPUT" ] || return 0
  printf ',"output_tail":"%s"' "$(tail -c 8192 "$TOWPATH_OUTPUT" | iconv -c -f UTF-8 -t UTF-8 2>/dev/null |
    LC_ALL=C tr -d '\000-\010\013-\037\177' | sed -z 's/\\/\\\\/g; s/"/\\"/g; s/\t/\\t/g; s/\n/\\n/g')"
}
leave() { # EXIT CODE: the end is answered
  kill -s KILL "$guard"
  { wait "$guard"; } 2>/dev/null
  until=0
  [ "$lease" -eq 0 ] || beat "" ',"leaving":true'
  rm -rf "$dir"
  exit "$1"
}
not_started() { # WHY
  case $1 in
    canceled | cancel-requested | lock-release-requested) report canceled && leave 130 ;;
    ended | stale-attempt | not-your-attempt) ;;
    *) report failed ",\"reason\":\"error\",\"message\":\"not started: $1\"" ;;
  esac
  echo "not started: $1" >&2
  leave 6
}
lease_holds() {
  now
  get lease 0
  [ "$lease" -eq 0 ] || [ "$now" -lt "$got" ]
}

limit=${TOWPATH_TIMEOUT_SECONDS:-} limit=${limit%.*}
trap 'put stop canceled' INT TERM
guard &
guard=$!
waited=0
while :; do
  until lease_holds || [ -e "$dir/stop" ]; do
    [ $((waited += 1)) -le $((2 * lease)) ] || not_started "no heartbeat was acknowledged"
    sleep 1
  done
  [ ! -e "$dir/stop" ] || not_started canceled
  report running # nothing starts before this stands in the log
  [ ! -e "$dir/stop" ] || not_started canceled
  [ "$code" = 200 ] || not_started "$(last code)"
  [ "$(last cancel_requested)" = false ] || not_started canceled
  [ "$(first status).$(first attempt).$(last runner_id)" = "running.$TOWPATH_ATTEMPT.$TOWPATH_RUNNER_ID" ] ||
    not_started ended
  if lease_holds; then break; fi # else it may be over by now: ask again
done
now
put started "$now"
export TOWPATH_TASK_ID TOWPATH_ATTEMPT TOWPATH_RUNNER_ID
if [ -n "${TOWPATH_OUTPUT:-}" ]; then
  TOWPATH_RUN=$mark "$@" <&3 3<&- >"$TOWPATH_OUTPUT" 2>&1 &
else
  TOWPATH_RUN=$mark "$@" <&3 3<&- &
fi
exec 3<&-
wait "$!"
result=$?
while kill -0 "$!" 2>/dev/null; do # a signal ended the waiting, not the command
  wait "$!"
  result=$?
done
while [ -n "$(marked)" ]; do # nothing outlives the command
  get why
  [ -n "$got" ] || signal KILL
  sleep 0.1
done
get why
case $got in
  canceled) report canceled "" "$(output_tail)" && leave 130 ;;
  timeout) report failed ',"reason":"timeout"' "$(output_tail)" && leave 124 ;;
  lease) report failed ',"reason":"runner-lost","message":"the lease ran out; everything was killed"' "$(output_tail)" && leave 137 ;;
esac
[ "$result" -eq 0 ] && status=succeeded || status=failed
report "$status" ",\"exit_code\":$result" "$(output_tail)"
[ "$code" = 200 ] || { echo "its end was not taken: $answer" >&2 && leave 1; }
leave "$result"
