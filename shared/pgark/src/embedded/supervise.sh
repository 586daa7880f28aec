# Runs a PostgreSQL server for as long as somebody holds the other end of standard input, then stops it and removes its
# folder. The server is waited for only then: until it is, nobody else can get its number.
#
# Arguments: the folder, the server's command.
folder=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
echo "$server" >"$folder/pid"
while read -r _ <&3; do :; done
# SIGQUIT is "immediate shutdown": no checkpoint, but shared memory is given back.
kill -s QUIT "$server" 2>/dev/null
wait "$server"
cd /
rm -rf -- "$folder"
