/**
 * Maps of ten thousand entries that generations share: a change is a layer of a few entries over the map of an earlier
 * generation, instead of a copy. It cannot be sent to another thread; `new Map(it)` can.
 */

/** Smaller maps are copied. */
const MIN_LAYERED = 1000;
/** The entries above are at most this share of those below, so that a copy is rare and a look-up takes two steps. */
const MAX_SHARE = 1 / 8;

/** The map with these entries too; the map itself if there are none. */
export function withEntries<Key, Value>(
  last: ReadonlyMap<Key, Value>,
  entries: ReadonlyMap<Key, Value>,
): ReadonlyMap<Key, Value> {
  if (entries.size === 0) return last;
  const { base, above } = layersOf(last);
  if (base.size < MIN_LAYERED || above.size + entries.size > base.size * MAX_SHARE)
    return new Map([...last, ...entries]);
  return new LayeredMap(base, new Map([...above, ...entries]));
}

/** The entries of `next` that are not in `before`, or are other objects there. */
export function changedEntries<Key, Value>(
  before: ReadonlyMap<Key, Value>,
  next: ReadonlyMap<Key, Value>,
): Map<Key, Value> {
  const changed = new Map<Key, Value>();
  if (before === next) return changed;
  const layers = layersOf(next);
  // With the same map below, only entries above can differ. Layers never lose an entry.
  const candidates = layers.base === layersOf(before).base ? layers.above : next;
  candidates.forEach((value, key) => {
    if (before.get(key) !== value) changed.set(key, value);
  });
  return changed;
}

type Layers<Key, Value> = { readonly base: ReadonlyMap<Key, Value>; readonly above: ReadonlyMap<Key, Value> };

function layersOf<Key, Value>(map: ReadonlyMap<Key, Value>): Layers<Key, Value> {
  return map instanceof LayeredMap ? (map as LayeredMap<Key, Value>).layers : { base: map, above: new Map() };
}

class LayeredMap<Key, Value> implements ReadonlyMap<Key, Value> {
  readonly size: number;
  readonly layers: Layers<Key, Value>;

  constructor(base: ReadonlyMap<Key, Value>, above: ReadonlyMap<Key, Value>) {
    this.layers = { base, above };
    let size = base.size;
    for (const key of above.keys()) if (!base.has(key)) size++;
    this.size = size;
  }

  get(key: Key): Value | undefined {
    return this.layers.above.get(key) ?? this.layers.base.get(key);
  }

  has(key: Key): boolean {
    return this.layers.above.has(key) || this.layers.base.has(key);
  }

  *entries(): MapIterator<[Key, Value]> {
    for (const [key, value] of this.layers.base) yield [key, this.layers.above.get(key) ?? value];
    for (const entry of this.layers.above) if (!this.layers.base.has(entry[0])) yield entry;
  }

  *keys(): MapIterator<Key> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  forEach(use: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const [key, value] of this.entries()) use(value, key, this);
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }
}
