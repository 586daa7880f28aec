# Runs one server and makes sure that it ends with the test process, however that ends. Standard input is a
# pipe whose other end only the test process holds: when it is dropped, or the process is killed, it closes.
# (PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the server ends, and each test has one.)
#
# Arguments: the signal that stops the server, the folder to remove afterwards, the command.
set -m # each background job gets a process group of its own, so that its children are reached too
signal=$1 folder=$2
shift 2
exec 3<&0

"$@" 3<&- </dev/null &
server=$!

{
    while read -r _ <&3; do :; done
    kill -s "$signal" -- "-$server"
    for _ in $(seq 100); do
        kill -0 "$server" || break
        sleep 0.05
    done
    kill -s KILL -- "-$server"
} 2>/dev/null &
watcher=$!

wait "$server"
status=$?
kill -s KILL -- "-$watcher" "-$server" 2>/dev/null
rm -rf -- "$folder"
exit "$status"
