/**
 * The value of `key`. If there is none, `make` creates it. Node.js 24 lacks `getOrInsertComputed`, which does the same.
 */
export function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
