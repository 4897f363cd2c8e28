#!/bin/bash
# Waybill for the peer harness: `binds`, `start` (foreground), `flush`; environment PORT SINK_PORT
# MODE=plain|dkim|tls CONC CERT KEY DKIMKEY PWORK RETRY. Run with NATIVE=1 WAYBILL=path/to/waybill.
W=${WAYBILL:-$(cd "$(dirname "$0")/../.." && pwd)/build-release/waybill}
D=${PWORK:-/tmp}/waybill
case $1 in
binds) exit ;;
flush) exec "$W" queue retry all --config "$D/waybill.conf" ;;
start) ;;
*) exit 2 ;;
esac
mkdir -p "$D"
tls=none
[ "$MODE" = tls ] && tls=starttls
cat >"$D/waybill.conf" <<CONF
hostname = "mx.bench.test"
data_dir = "$D/data"
run_dir = "$D/run"
log_file = "$D/waybill.log"
log_level = warn
metrics_address = ""
user = root
connections_max = 100000
connections_per_client_max = 100000
destination_connections = 20
outbound_tls = $([ "$MODE" = tls ] && echo require || echo none)
retry = { "${RETRY:-1m}" }
listener bench { address = "127.0.0.1" port = $PORT tls = $tls }
default_stream = bench
stream bench { }
route "*" { via = { "127.0.0.1:$SINK_PORT" } }
CONF
if [ "$MODE" = tls ]; then
    printf 'tls_certificate = "%s"\ntls_key = "%s"\n' "$CERT" "$KEY" >>"$D/waybill.conf"
fi
if [ "$MODE" = dkim ]; then
    printf 'key bench { domain = "source.test" selector = "bench" file = "%s" }\n' "$DKIMKEY" >>"$D/waybill.conf"
fi
exec "$W" serve --config "$D/waybill.conf"
