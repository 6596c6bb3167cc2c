#!/bin/sh
# A worker's command: takes its time, then answers with its input, which is its last argument.
for last; do :; done
echo "working for ${_EXECUTION_NAME:-nobody}" >&2
sleep "${ECHO_SECONDS:-0.5}"
printf '%s\n' "$last"
