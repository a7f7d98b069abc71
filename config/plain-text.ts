/**
 * Removes characters from the text of targets, files and clients that move a terminal's cursor, break a line of the
 * log, or change the direction of text. Code that stores such text calls this once; terminal, page, log and JSON need
 * no further care.
 */

/** C0, DEL, C1; marks and embeddings of direction; separators of lines and paragraphs. */
const UNSAFE_CHARACTERS = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNSAFE = new RegExp(`[${UNSAFE_CHARACTERS}]`, 'g');

/** Replaces each such character by a space, so that columns stay the same. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, ' ');
}

/** An escape sequence of JSON, or a character that JSON allows without one. */
const IN_JSON = new RegExp(`\\\\(?:u[0-9a-fA-F]{4}|.)|[${UNSAFE_CHARACTERS}]`, 'g');
/** Line breaks and tabs: diagnostics and stack traces have lines. */
const KEPT = new Set(['\\n', '\\t']);

/** Removes these characters from the strings of a line of JSON, also as escape sequences. Line breaks and tabs stay. */
export function plainJson(line: string): string {
  const end = line.endsWith('\n') ? '\n' : '';
  const plain = line.slice(0, line.length - end.length).replace(IN_JSON, (found) => {
    if (!found.startsWith('\\')) return ' ';
    if (KEPT.has(found)) return found;
    if (found.length === 2) return '"\\/'.includes(found.charAt(1)) ? found : ' ';
    return plainText(String.fromCharCode(Number.parseInt(found.slice(2), 16))) === ' ' ? ' ' : found;
  });
  return plain + end;
}
