#!/usr/bin/env bash
# run.sh HOST:PORT: calls a running coordinator, that nobody else is using, with Node's and Python's gRPC clients.
# Installs nothing: .ci/install-clients does. Ends with "N passed, N failed"; exit code 0 only when nothing failed, 3 when a
# client is missing (then nothing was checked).
set -euo pipefail
cd "$(dirname "$0")"
address=${1:?usage: run.sh HOST:PORT}
python=/usr/bin/python3
cannot() { echo "real clients: $1"; exit 3; }

[ -d node/node_modules ] || cannot "Node's packages are missing: run .ci/install-clients"
"$python" -c 'import grpc, google.protobuf' 2>/dev/null || cannot "python3-grpcio is missing: run .ci/install-clients"
for program in node protoc grpc_python_plugin; do
  command -v $program >/dev/null || cannot "$program is missing: run .ci/install-clients"
done

stubs=$(mktemp -d)
trap 'rm -rf "$stubs"' EXIT
# A generated package "grpc" would hide the library of that name: the files are compiled under another one.
mkdir -p "$stubs/protos/grpc_standard"
cp -r protos/grpc/reflection "$stubs/protos/grpc_standard/"
protoc -I "$stubs/protos" --python_out="$stubs" --grpc_out="$stubs" --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" \
  grpc_standard/reflection/v1alpha/reflection.proto

log=$stubs/log
node node/main.js "$address" 2>&1 | tee "$log" || true
PYTHONPATH=$stubs timeout 120 "$python" python/client.py "$address" 2>&1 | tee -a "$log" || true

# Two summaries, one a client; a client that broke before its own counts as a failure.
summaries=$(grep -cE '^[0-9]+ passed, [0-9]+ failed$' "$log" || true)
passed=$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
failed=$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
failed=$((failed + 2 - summaries))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
