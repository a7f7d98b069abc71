/** The value of `key`, which `make` gives where there is none yet: `getOrInsertComputed`, which Node.js 24 has not. */
export function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
