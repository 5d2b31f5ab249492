#!/bin/sh
# Every struct, value and id of the headers is written down in the layout of the current draft.
# Usage: complete.sh SOURCE_TREE
tree=$1
draft=$(sed -n 's/^#define QVD_ABI_DRAFT //p' "$tree/sdk/include/qvd/plugin.h")
layout=$tree/tests/abi/draft_$draft
[ -d "$layout" ] || { echo "there is no $layout for draft $draft"; exit 1; }
missing=0
count=0

# wanted PATTERN NAME
wanted() {
  count=$((count + 1))
  grep -q "$1" "$layout"/*.cpp || { echo "$layout does not say what $2 is"; missing=$((missing + 1)); }
}

headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
# weighted_choice.h is an algorithm that is compiled in: nothing of it crosses.
for header in "$tree"/sdk/include/qvd/*.h; do
  [ "${header##*/}" = weighted_choice.h ] || cat "$header"
done >"$headers"
for name in $(sed -n 's/^\(typedef \)\{0,1\}struct \(qvd_[a-z_]*\) {$/\2/p' "$headers"); do
  wanted "^SIZE($name, " "$name"
done
for name in $(grep -o '\<QVD_[A-Z_0-9]* = ' "$headers" | cut -d' ' -f1); do
  wanted "^VALUE($name, " "$name"
done
for name in $(sed -n 's/^#define \(QVD_[A-Z_]*\) "qvd\..*/\1/p' "$headers"); do
  wanted "^ID($name, " "$name"
done
echo "$count names, $missing missing"
[ $missing = 0 ] && [ $count -gt 150 ]
