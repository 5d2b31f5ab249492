#!/bin/sh
# Installs the SDK somewhere, moves it, and builds the example balancers against it elsewhere: by
# find_package(), and by pkg-config with a bare compiler. Usage: outside_the_tree.sh SOURCE BUILD
set -eu
source=$1
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cmake --install "$build" --component sdk --prefix "$work/first" >install.log
mv first sdk
mkdir elsewhere
cp "$source"/examples/balancers/* elsewhere/

echo "by find_package()"
cmake -G Ninja -S elsewhere -B by-package -DCMAKE_PREFIX_PATH="$work/sdk" >configure.log
cmake --build by-package >build.log || { cat build.log; exit 1; }
# Checks the plugins too where this build has the program for it.
PATH=$build/bin:$PATH cmake by-package >>configure.log
ctest --test-dir by-package --output-on-failure --no-tests=ignore
cmake --install by-package --prefix "$work/installed" >>install.log
test -f installed/lib/qvd/plugins/qvd-my-random.so

echo "by pkg-config"
export PKG_CONFIG_PATH="$work/sdk/share/pkgconfig"
[ "$(pkg-config --variable=plugindir qvd-sdk)" ]
flags="-Wall -Wextra -Wpedantic -Werror -fPIC -shared -fvisibility=hidden"
# shellcheck disable=SC2046,SC2086  # both are several words
{
  gcc $flags $(pkg-config --cflags qvd-sdk) elsewhere/random.c -o qvd-my-random-c.so \
    $(pkg-config --libs qvd-sdk)
  g++ -std=c++17 $flags $(pkg-config --cflags qvd-sdk) elsewhere/random.cpp -o qvd-my-random.so \
    $(pkg-config --libs qvd-sdk)
}

for plugin in by-package/qvd-my-random.so by-package/qvd-my-random-c.so \
    qvd-my-random.so qvd-my-random-c.so; do
  exported=$(nm -D --defined-only "$plugin" | awk '{print $3}')
  [ "$exported" = qvd_plugin_v1 ] || { echo "$plugin exports: $exported"; exit 1; }
done
echo "four plugins, each exporting nothing but its entry"
