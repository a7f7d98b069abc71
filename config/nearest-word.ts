/**
 * Suggests the known word nearest to a misspelled one.
 */

/**
 * The known word with the smallest edit distance to `word`, ignoring case. Undefined if the distance exceeds a third of
 * its letters (at least one).
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  const given = word.toLowerCase();
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const limit = Math.max(1, Math.floor(Math.max(candidate.length, given.length) / 3));
    // Names can be long and many; the difference in length is already a lower bound.
    if (Math.abs(candidate.length - given.length) > limit) continue;
    const distance = editDistance(given, candidate.toLowerCase());
    if (distance <= limit && (!best || distance < best.distance)) best = { word: candidate, distance };
  }
  return best?.word;
}

/** `did you mean "interval"?`, or a list of the known words if none is near. */
export function nearestHint(word: string, known: Iterable<string>): string {
  const words = [...known];
  const nearest = nearestWord(word, words);
  if (nearest !== undefined) return `did you mean "${nearest}"?`;
  if (words.length === 0) return 'none is defined';
  const shown = words.slice(0, 20).join(', ');
  return `known here: ${shown}${words.length > 20 ? ', ...' : ''}`;
}

/**
 * Damerau-Levenshtein distance, as optimal string alignment: a letter removed, added or changed, and two
 * neighbours exchanged, count 1 each.
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
