#!/bin/sh
# Compiles every header of the SDK alone, in every dialect that it promises, by gcc and clang, and
# the layout assertions with both. Usage: dialects.sh SOURCE_TREE
tree=$1
include=$tree/sdk/include
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
cxx_warnings="$warnings -Wnon-virtual-dtor -Woverloaded-virtual"
failed=0
count=0

for tool in gcc g++ clang clang++; do
  command -v $tool >/dev/null || { echo "skipped: there is no $tool here"; exit 77; }
done

# check COMPILER LANGUAGE DIALECT FILE [option...]
check() {
  compiler=$1 language=$2 dialect=$3 file=$4
  shift 4
  # shellcheck disable=SC2086  # warnings are several words
  case $language in c) flags=$warnings ;; *) flags=$cxx_warnings ;; esac
  count=$((count + 1))
  if ! $compiler -x "$language" -std="$dialect" $flags -I"$include" -I"$tree" "$@" \
      -include "$file" -fsyntax-only /dev/null; then
    echo "FAILED: $file as $dialect by $compiler $*"
    failed=$((failed + 1))
  fi
}

for header in "$include"/qvd/*.h; do
  for dialect in c11 c17; do
    check gcc c $dialect "$header" -Wc++-compat
    check clang c $dialect "$header"
  done
  for dialect in c++11 c++14 c++17 c++20; do
    check g++ c++ $dialect "$header"
    check clang++ c++ $dialect "$header"
  done
done

# A face header includes those it needs: alone by one compiler, all together by the others.
together=$(mktemp --suffix=.hpp)
trap 'rm -f "$together"' EXIT
for header in "$include"/qvd/*.hpp; do
  check clang++ c++ c++17 "$header"
  echo "#include \"$header\"" >>"$together"
done
for dialect in c++17 c++20; do
  check g++ c++ $dialect "$together"
  check clang++ c++ $dialect "$together"
  if echo '#include <version>' | clang++ -x c++ -stdlib=libc++ -fsyntax-only - 2>/dev/null; then
    check clang++ c++ $dialect "$together" -stdlib=libc++
  else
    echo "skipped: there is no libc++ here"
    exit 77
  fi
done

for layout in "$tree"/tests/abi/draft_*/*.cpp; do
  check g++ c++ c++20 "$layout"
  check clang++ c++ c++20 "$layout"
done

echo "$count compilations, $failed failed"
[ $failed = 0 ]
