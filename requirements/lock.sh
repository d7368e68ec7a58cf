#!/bin/sh
# Pin every requirement anew, with all that it needs in turn. Needs uv; `sh requirements/lock.sh --upgrade` takes newer versions.
set -eu
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="sh requirements/lock.sh"
compile() {
    uv pip compile --quiet --python-version 3.11 --no-annotate --generate-hashes "$@"
}

# test.txt and train.txt hold everything; the smaller sets are bound to their versions, so that a package has one version everywhere.
compile requirements/test.in requirements/train.in --output-file requirements/test.txt "$@"
for name in sam checkov; do  # each needs older versions of some packages than the others do
    compile "requirements/$name.in" --output-file "requirements/$name.txt" "$@"
done
compile requirements/train.in --constraint requirements/test.txt --output-file requirements/train.txt
for name in requirements/local layers/dependencies/requirements functions/classifier/requirements; do  # what scores needs no hub client
    compile "$name.in" --constraint requirements/test.txt --override requirements/left_out.in --output-file "$name.txt"
done
# torch.txt is installed after these (it says why), and torch's CPU build needs none of the GPU packages that PyPI's names: they are gigabytes.
for name in test train; do
    awk '/^[^ #]/ { is_left_out = /^(cuda|nvidia|torch|triton)/ } !is_left_out' "requirements/$name.txt" > "requirements/$name.new"
    mv "requirements/$name.new" "requirements/$name.txt"
done
