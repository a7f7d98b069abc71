/**
 * Text of others (targets, files, clients) as it may be stored and shown: without what moves a terminal's cursor, breaks a
 * line of the log, or turns the direction in which text is read.
 */

/** C0, DEL, C1; marks and embeddings of direction; separators of lines and paragraphs. */
// eslint-disable-next-line no-control-regex -- those are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Each such character becomes a blank, so that columns stay what they are. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, ' ');
}
