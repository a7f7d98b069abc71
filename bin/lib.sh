# Shared by the scripts of bin/; they set $root, the folder above bin/.
# Pharos runs on Node.js 24.5 and newer, and runs its TypeScript directly. An older one on the PATH is
# left alone; bin/node/ then brings a newer one from npm (docs/decisions/runtime.md). A Debian package has its own in
# $root/node.

# new_enough NODE: whether this runs here at all, and is 24.5 or newer.
new_enough() {
  version=$("$1" -v 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ "$major" -gt 24 ] 2>/dev/null || { [ "$major" = 24 ] && [ "$minor" -ge 5 ] 2>/dev/null; }
}

# Prints the Node.js to use; fails when there is none yet.
find_node() {
  for candidate in "$root/node" "$(command -v node)" "$root"/bin/node/node_modules/node-*/bin/node; do
    if [ -x "$candidate" ] && new_enough "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

# installed DIR: whether DIR/node_modules is what DIR/package-lock.json asks for. npm writes its own
# list when it is through, so a half-finished installation has none, and one of an older lock file
# an older list.
installed() {
  [ -f "$1/node_modules/.package-lock.json" ] && [ ! "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]
}

# built: whether dist/ is what bin/build.ts would make now of the sources and packages. Compares change times, which no
# program sets: a file that was copied with an older time is found too.
built() {
  [ -f "$root/dist/built" ] && changed=$(
    cd "$root" && find wire config dnssec geo health fleet steering zones server status cli bin/build.ts bin/man.ts \
      node_modules/.package-lock.json -cnewer dist/built 2>/dev/null
  ) && [ -z "$changed" ]
}
