/**
 * Items of zones by their files. A generation with the files of the one before shares its index: it copies a list, not
 * a map of ten thousand entries.
 */
export type ByFile<Item> = {
  readonly get: (file: string) => Item | undefined;
  /** In the order of the files. */
  readonly items: readonly Item[];
  /** The place of each file in `items`. */
  readonly indexOf: ReadonlyMap<string, number>;
};

/** Items of the same files in the same order. */
export function sameFiles<Item>(items: readonly Item[], { indexOf }: ByFile<unknown>): ByFile<Item> {
  return { get: (file) => items[indexOf.get(file) ?? -1], items, indexOf };
}

/** `fileOf` returns the file of the item at an index. No two items have the same file. */
export function byFile<Item>(
  items: readonly Item[],
  fileOf: (index: number) => string,
  before: ByFile<unknown> | undefined,
): ByFile<Item> {
  const isSame =
    before?.items.length === items.length && items.every((_, index) => before.indexOf.get(fileOf(index)) === index);
  const indexOf = isSame ? before.indexOf : new Map(items.map((_, index) => [fileOf(index), index]));
  return { get: (file) => items[indexOf.get(file) ?? -1], items, indexOf };
}
