#!/bin/sh
# Compiles every C and C++ block of the guide, each as a file of its own, without warnings.
# Usage: guide_snippets.sh SOURCE_TREE
set -eu
tree=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for page in "$tree"/sdk/guide/*.md; do
  name=$(basename "$page" .md)
  awk -v base="$work/$name" '
    /^```(c|cpp)$/ { file = base "-line-" NR "." substr($0, 4); next }
    /^```/ { if (file) close(file); file = ""; next }
    file { print > file }' "$page"
done

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
count=0
# check COMPILER... FILE
check() {
  count=$((count + 1))
  # shellcheck disable=SC2086  # warnings are several words
  "$@" $warnings -I"$tree/sdk/include" -fsyntax-only
}
for snippet in "$work"/*.c; do
  check gcc -std=c11 "$snippet"
done
for snippet in "$work"/*.cpp; do
  check g++ -std=c++17 -Wnon-virtual-dtor -Woverloaded-virtual "$snippet"
done
echo "$count snippets of the guide compile"
[ $count -ge 12 ]

# The first one is the example that is built outside the tree.
cmp "$work"/README-line-*.cpp "$tree/examples/balancers/random.cpp"
