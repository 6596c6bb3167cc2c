#!/bin/sh
# Put what the Lambda functions need into the archive $1: this project and what it depends on, for Lambda's Python on x86-64,
# as deploy/ has it. $2 and $3 are another version of Python and another platform, as uv calls them.
set -eu
archive=$1 python=${2:-3.12} platform=${3:-x86_64-manylinux_2_28}
uv=${UV:-uv}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$uv" pip install -q --target "$work" --python-platform "$platform" --python-version "$python" \
    --only-binary :all: --require-hashes -r requirements.txt
"$uv" pip install -q --target "$work" --python-platform "$platform" --python-version "$python" --no-deps .
find "$work" -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf "$work/bin"
mkdir -p "$(dirname "$archive")"
rm -f "$archive"
archive=$(cd "$(dirname "$archive")" && pwd)/$(basename "$archive")
(cd "$work" && python3 -m zipfile -c "$archive" ./*)
echo "$archive: $(du -h "$archive" | cut -f1), $(du -sh "$work" | cut -f1) unpacked (Lambda takes 250 MB)"
