#!/usr/bin/env bash
# redis-cli in its modes, and redis-benchmark.
set -uo pipefail
failed=0
cli() { timeout 60 redis-cli -p "$VARVE_PORT" "$@"; }
check() {  # NAME WANTED GOT
  if [ "$2" = "$3" ]; then echo "check $1"; else echo "failed $1 :: got '$3', wanted '$2'"; failed=1; fi
}

check "commands, typed and as arguments" "OK 42" "$(echo $(printf 'SET n 41\n' | cli; cli INCR n))"
for i in $(seq 5000); do printf 'SET p:%d "value %d"\r\n' "$i" "$i"; done > "$VARVE_SCRATCH/pipe.txt"
check "--pipe" "errors: 0, replies: 5000" "$(cli --pipe < "$VARVE_SCRATCH/pipe.txt" | tail -1)"
check "--scan --pattern" "1111" "$(cli --scan --pattern 'p:1*' | wc -l)"
check "--bigkeys" "1" "$(cli --bigkeys | grep -c 'strings with')"
check "--memkeys" "1" "$(cli --memkeys | grep -c '^Biggest string found')"
check "--csv, --json" '"a","b" {"a":"b"}' "$(cli RPUSH l a b > /dev/null; cli HSET h a b > /dev/null; echo $(cli --csv LRANGE l 0 -1) $(cli -3 --json HGETALL h))"
check "--eval" "x-y" "$(echo "return KEYS[1] .. '-' .. ARGV[1]" > "$VARVE_SCRATCH/s.lua"; cli --eval "$VARVE_SCRATCH/s.lua" x , y)"
check "-x, --verbatim bytes" "6" "$(printf 'a\r\nb\0c' | cli -x SET raw > /dev/null; cli STRLEN raw)"
check "--latency" "4" "$(timeout 5 redis-cli -p "$VARVE_PORT" --latency --raw -i 1 | awk '{print NF}')"
check "HELP's tables: COMMAND DOCS" "1" "$(cli COMMAND DOCS zadd | grep -c '^.*summary$')"
check "redis-benchmark" "20" "$(timeout 120 redis-benchmark -p "$VARVE_PORT" -n 2000 -c 10 -q 2> /dev/null | tr '\r' '\n' | grep -c 'requests per second, p50' | awk '{print ($1 >= 20) ? 20 : $1}')"
echo "restart term"
read -r _
check "a restart of the server" "43 value 4999" "$(cli INCR n) $(cli GET p:4999)"
echo "version $(redis-cli --version | cut -d' ' -f2)"
exit $failed
