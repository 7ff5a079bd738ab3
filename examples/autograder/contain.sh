#!/usr/bin/env bash
# Check every submission of a folder in a container of its own: contain.sh FOLDER RESULTS [flags of parity check]
# No network, no writable file but in /tmp and RESULTS/NAME, limits on memory, processes and cores, no rights.
set -uo pipefail

if (($# < 2)) || [[ ! -d "$1" || ! -d "$2" ]]; then
    echo "error: expected two folders: contain.sh FOLDER RESULTS [flags]" >&2
    exit 2
fi
folder="$(cd "$1" && pwd)"
results="$(cd "$2" && pwd)"
shift 2
engine="${ENGINE:-docker}"
mine=(--user "$(id -u):$(id -g)")
if [[ "$(basename "$engine")" == podman ]]; then
    mine=(--userns=keep-id) # the same user inside as outside
fi

stage="$(mktemp -d)" # whose name fits into a list of mounts, whatever the submission is called
trap 'rm -rf "$stage"' EXIT
for submission in "$folder"/*; do
    name="$(basename "$submission")"
    echo "$name"
    rm -rf "$stage/in" "$stage/out"
    mkdir -p "$stage/in" "$stage/out" "$results/$name"
    cp -R -- "$submission" "$stage/in/"
    timeout --kill-after=10 900 "$engine" run --rm --network=none --read-only \
        --tmpfs /tmp:rw,nosuid,nodev,size=256m --memory=6g --memory-swap=6g --pids-limit=128 --cpus=2 \
        --cap-drop=ALL --security-opt=no-new-privileges "${mine[@]}" --env HOME=/tmp \
        --mount "type=bind,source=$stage/in,target=/submission,readonly" \
        --mount "type=bind,source=$stage/out,target=/results" \
        "${IMAGE:-parity-check}" "/submission/$name" --json /results/results.json "$@" \
        >"$results/$name/page.txt" 2>&1
    code=$?
    if ((code > 1)); then
        echo "  no result, exit code $code: see $results/$name/page.txt"
    elif [[ -f "$stage/out/results.json" && ! -L "$stage/out/results.json" ]]; then
        cp -- "$stage/out/results.json" "$results/$name/"
    fi
done
exit 0
