#!/bin/sh
# Build the two dynamic modules against Debian's nginx-dev, for the nginx of the same package version.
#
#   build.sh <output directory>
#
# Needs: nginx-dev gcc libc6-dev make libssl-dev libpcre2-dev zlib1g-dev
set -eu

output=$(mkdir -p "$1" && cd "$1" && pwd)
module=$(cd "$(dirname "$0")" && pwd)
source=${NGINX_SOURCE:-/usr/share/nginx/src}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$source/." "$work/"
cd "$work"

# nginx's own configure switches off no warning that would hide a fault here, but hooks have parameters that not all use.
warnings="-Wall -Wextra -Werror -Wno-unused-parameter"
harden="-O2 -g -fPIC -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security"
prefix_map="-ffile-prefix-map=$work=. -ffile-prefix-map=$module=module"

# with-compat and these options give the same binary layout as Debian's nginx.
./configure --with-compat --with-debug --with-threads --with-pcre-jit \
    --with-http_ssl_module --with-http_v2_module --with-http_v3_module --with-http_realip_module \
    --with-stream=dynamic --with-stream_ssl_module --with-stream_ssl_preread_module --with-stream_realip_module \
    --with-cc-opt="$harden $prefix_map $warnings ${MESH_CFLAGS:-}" --with-ld-opt="-Wl,-z,relro -Wl,-z,now ${MESH_LDFLAGS:-}" \
    --add-dynamic-module="$module" >configure.log 2>&1 || { cat configure.log >&2; exit 1; }

make -s -f objs/Makefile objs/ngx_http_mesh_module.so objs/ngx_stream_mesh_module.so
install -m 644 objs/ngx_http_mesh_module.so objs/ngx_stream_mesh_module.so "$output/"
