#!/bin/sh
# Build nginx and our modules with AddressSanitizer and UndefinedBehaviorSanitizer, inside the Debian root.
#
#   sanitize.sh <nginx sources> <module> <output directory>
#
# NGX_DEBUG_PALLOC gives every allocation of a pool its own malloc: an overflow inside a pool is seen, too. Modules are never
# unloaded, or what they still hold at the end would count as leaked.
set -eu

sanitizers="-fsanitize=address,undefined"
cd "$1"
./configure --modules-path=/usr/lib/nginx/modules --with-debug --with-threads --with-pcre-jit \
    --with-http_ssl_module --with-http_v2_module --with-http_realip_module \
    --with-stream=dynamic --with-stream_ssl_module --with-stream_ssl_preread_module --with-stream_realip_module \
    --with-cc-opt="-O1 -g1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1 $sanitizers" \
    --with-ld-opt="-Wl,-E -Wl,-z,nodelete $sanitizers" --add-dynamic-module="$2"
make -s -j"$(nproc)" -f objs/Makefile binary modules
mkdir -p "$3"
cp objs/nginx objs/*.so "$3"
