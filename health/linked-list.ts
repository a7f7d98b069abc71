/**
 * A list whose entries hold its links, so that adding and removing one allocates nothing. An entry is in at most one
 * list.
 */

export abstract class ListEntry<Entry extends ListEntry<Entry>> {
  /** `LinkedList` alone writes these three. */
  list: LinkedList<Entry> | undefined = undefined;
  before: Entry | undefined = undefined;
  after: Entry | undefined = undefined;
}

export class LinkedList<Entry extends ListEntry<Entry>> {
  first: Entry | undefined = undefined;
  size = 0;
  #last: Entry | undefined = undefined;

  /** Adds the entry at the end. It must not be in a list. */
  push(entry: Entry): void {
    entry.list = this;
    entry.before = this.#last;
    if (this.#last === undefined) this.first = entry;
    else this.#last.after = entry;
    this.#last = entry;
    this.size += 1;
  }

  /** Takes the first entry out. */
  shift(): Entry | undefined {
    const { first } = this;
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Does nothing if the entry is not in this list. */
  remove(entry: Entry): void {
    if (entry.list !== this) return;
    const { before, after } = entry;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    entry.list = undefined;
    entry.before = entry.after = undefined;
    this.size -= 1;
  }
}
