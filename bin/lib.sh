# Shared by the scripts of bin/: where the checkout is, and which Node.js runs it.
# Pharos runs its TypeScript as it stands, which Node.js does from 22.18 on. An older one on the
# PATH is left alone; runtime/ then brings a newer one from npm (docs/decisions/runtime.md).

new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 18) ? 0 : 1)' 2>/dev/null
}

# Prints the Node.js to use; fails when there is none yet.
find_node() {
  for candidate in "$(command -v node)" "$root"/runtime/node_modules/node-*/bin/node; do
    if [ -x "$candidate" ] && new_enough "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}
