#!/bin/sh
# Runs a command here while holding a lock of a workspace; the log shows it like any other task.
#
#   with_lock.sh WORKSPACE PATH COMMAND [ARGUMENT…]
#
# Needs Linux, sh, sed and curl. TOWPATH_URL says where the API is; TOWPATH_TOKEN, if it asks operators for
# one; TOWPATH_RUNNER_TOKEN, if API_RUNNER_CALLBACK_TOKEN is set there. Ends as the command ends.
set -u
api=${TOWPATH_URL:-http://127.0.0.1:8000}
workspace=$1 path=$2
shift 2
me="$(hostname | tr -c 'A-Za-z0-9\n' '-')-$$"

# A UUIDv7 of our own: creating with it may be repeated until it is answered.
milliseconds=$(printf '%012x' "$(date +%s%3N)") random=$(cat /proc/sys/kernel/random/uuid)
id=${milliseconds%????}-${milliseconds#????????}-7${random#????????-????-4}

ask() { # METHOD PATH [BODY]: the answer, then a line with its status, 000 if none came for two minutes
  curl -sS -X "$1" "$api$2" -w '\n%{http_code}\n' --retry 60 --retry-delay 2 --retry-all-errors \
    ${TOWPATH_TOKEN:+-H "Authorization: Bearer $TOWPATH_TOKEN"} \
    ${TOWPATH_RUNNER_TOKEN:+-H "X-Runner-Token: $TOWPATH_RUNNER_TOKEN"} \
    ${3:+-H "Content-Type: application/json" -d "$3"}
}
text() { printf '%s' "$1" | tr '\n\t' '  ' | sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&"/'; }
field() { printf '%s' "$answer" | sed -n "s/.*\"$1\": *\"\{0,1\}\([A-Za-z0-9.-]*\).*/\1/p"; }
code() { printf '%s' "$answer" | tail -n 1; }
give_up() { echo "$1: $answer" >&2; exit "$2"; }
report() { # STATUS [MORE JSON]
  answer=$(ask POST "/runner/tasks/$id/status" \
    "{\"status\": \"$1\", \"attempt\": 1, \"runner_id\": \"$me\"${2:-}}")
}

stop() {
  trap '' INT TERM
  if [ -z "${!:-}" ]; then # nothing has been started
    ask POST "/tasks/$id/cancel" >/dev/null
  elif [ -z "${result:-}" ]; then
    kill "$!" && wait "$!"
    report canceled
  fi
  exit 130
}
trap stop INT TERM

answer=$(ask POST '/tasks?dispatch=true' "{\"id\": \"$id\", \"pool\": \"by-hand\", \"title\": $(text "$*"),
  \"command\": [$(text "$1")], \"workspace\": $(text "$workspace"), \"lock_paths\": [$(text "$path")]}")
case $(code) in 200 | 201) ;; *) give_up "not created" 1 ;; esac
until [ "$(field state)" = held ]; do # then 30 seconds are left to report `running`
  [ "$(field status)" = dispatched ] || give_up "it ended before it held its lock" 6
  sleep 1
  answer=$(ask GET "/tasks/$id")
done
TOWPATH_LOCK_TOKEN=$(field token)
export TOWPATH_LOCK_TOKEN

report running # nothing starts before this stands in the log
[ "$(code) $(field status)" = "200 running" ] || give_up "not to be started" 6
"$@" &
wait "$!"
result=$?
[ "$result" -eq 0 ] && status=succeeded || status=failed
report "$status" ", \"exit_code\": $result"
[ "$(code)" = 200 ] || give_up "its end was not taken" 1
exit "$result"
