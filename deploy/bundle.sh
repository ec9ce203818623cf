#!/usr/bin/env bash
# One archive with everything but a model: coordinator, worker, GPU tests, benchmarks and the .NET runtime, for x86-64 Linux
# machines that have only an NVIDIA driver, NVRTC, cuBLASLt and NCCL (the CPU backend needs none of them).
#
#   deploy/bundle.sh [archive]     default: deploy/out/tensor-parallel-linux-x64.tar.xz
#
# On the other machine: tar -xJf tensor-parallel-linux-x64.tar.xz && tensor-parallel/run coordinator --help
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

archive=$(realpath -m "${1:-deploy/out/tensor-parallel-linux-x64.tar.xz}")
limit=$((30 * 1024 * 1024))
work=$(realpath -m deploy/out)
stage="$work/tensor-parallel"
rm -rf "$stage"
mkdir -p "$stage/app" "$(dirname "$archive")"

# Builds of their own (--artifacts-path): the working tree's bin and obj stay as they are. Coordinator and worker come last and as machine
# code: what runs a few times for each prompt would else stay for long as it is compiled first, for a quick start (3 ms of a prompt's 24 on four GPUs).
for project in tests/Worker.Gpu.Tests tests/Benchmarks src/Coordinator src/Worker; do
    case $project in src/*) ready=true ;; *) ready=false ;; esac
    dotnet publish "$project" --configuration Release --runtime linux-x64 --self-contained true \
        --artifacts-path "$work/artifacts" --output "$stage/app" --verbosity quiet \
        -p:DebugType=none -p:GenerateDocumentationFile=false -p:EnforceCodeStyleInBuild=false \
        -p:UseAppHost=true -p:ErrorOnDuplicatePublishOutputFiles=false -p:PublishReadyToRun=$ready
done

# What nothing here loads: debugging support, compilers, languages and libraries that no part uses, other collectors.
cd "$stage/app"
rm -f ./*.pdb ./*.xml createdump libmscordaccore.so libmscordbi.so libclrgc.so libclrgcexp.so libcoreclrtraceptprovider.so \
    Microsoft.VisualBasic*.dll Microsoft.CSharp.dll System.Private.DataContractSerialization.dll System.Data.*.dll \
    System.Net.Mail.dll System.Net.Quic.dll System.Transactions*.dll System.ServiceModel*.dll System.Web.dll \
    System.Security.Cryptography.Xml.dll System.Formats.Tar.dll System.IO.Packaging.dll System.Speech*.dll \
    Microsoft.AspNetCore.Components*.dll Microsoft.AspNetCore.Mvc*.dll Microsoft.AspNetCore.Razor*.dll \
    Microsoft.AspNetCore.SignalR*.dll Microsoft.AspNetCore.Identity*.dll Microsoft.AspNetCore.Antiforgery.dll \
    Microsoft.AspNetCore.OutputCaching*.dll Microsoft.AspNetCore.Server.IIS*.dll Microsoft.AspNetCore.Server.HttpSys.dll \
    Microsoft.AspNetCore.DataProtection*.dll Microsoft.AspNetCore.Authentication.Cookies.dll \
    Microsoft.AspNetCore.Authentication.OAuth.dll Microsoft.AspNetCore.Authentication.BearerToken.dll
cd "$root"

cat >"$stage/run" <<'SCRIPT'
#!/bin/sh
# run coordinator|worker|Worker.Gpu.Tests|Benchmarks [arguments]
# ICU is used where the machine has it. Where not, text is handled without it: everything works but tokenizers that
# normalize Unicode, which then refuse to load and say so (install libicu, or put its libraries into the app folder).
app="$(dirname "$(readlink -f "$0")")/app"
if [ -z "${DOTNET_SYSTEM_GLOBALIZATION_INVARIANT:-}" ] && ! ls "$app"/libicuuc.so.* >/dev/null 2>&1 &&
    ! { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q libicuuc; then
    export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
fi
program="$1"
shift
exec "$app/$program" "$@"
SCRIPT
chmod +x "$stage/run"
cp tests/Benchmarks/Gpu/{first-light,second-light,compare,loading,failures,models,sanitize,scale,offload,pipeline}.sh "$stage/"
cp -r tests/Benchmarks/peers tests/Benchmarks/configs "$stage/"
rm -rf "$stage/peers/__pycache__"

XZ_OPT="-9e -T0" tar --create --xz --file "$archive" --directory "$work" --sort=name --owner=0 --group=0 tensor-parallel
bytes=$(stat -c %s "$archive")
echo "$archive: $bytes bytes ($((bytes / 1024 / 1024)) MiB)"
[ "$bytes" -le "$limit" ] || { echo "bundle.sh: larger than $limit bytes" >&2; exit 1; }
