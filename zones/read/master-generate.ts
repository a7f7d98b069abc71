/**
 * `$GENERATE 1-10/2 host$ A 192.0.2.$`: BIND's directive for a series of records.
 */
import type { Token } from '../../wire/rdata.ts';

export type Range = { readonly start: number; readonly stop: number; readonly step: number };

/** The most records that one directive may generate: the reverse names of a whole /12. */
export const MAX_GENERATED = 1_048_576;

/** Parses `1-10` or `1-10/2`; undefined if malformed, empty or too long. */
export function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,9})-(\d{1,9})(?:\/(\d{1,9}))?$/.exec(text);
  if (!match) return undefined;
  const range = { start: Number(match[1]), stop: Number(match[2]), step: Number(match[3] ?? 1) };
  const count = (range.stop - range.start) / range.step + 1;
  return range.step > 0 && count >= 1 && count <= MAX_GENERATED ? range : undefined;
}

/** An escape, a dollar sign written twice, `${offset,width,base}`, or `$` alone. */
const PARTS = /\\.|\$\$|\$\{([+-]?\d{1,9})(?:,(\d{1,3})(?:,([doxXnN]))?)?\}|\$/g;

/** The position of a `${` that does not begin `${offset,width,base}`, or -1. */
export function malformedAt({ text }: Token): number {
  for (const { 0: found, index } of text.matchAll(PARTS)) if (found === '$' && text[index + 1] === '{') return index;
  return -1;
}

/** Replaces `$` and `${offset,width,base}` by the number. `\$` and `$$` give a dollar sign. */
export function substitute(token: Token, value: number): Token {
  if (!/[$\\]/.test(token.text)) return token;
  const text = token.text.replaceAll(
    PARTS,
    (found: string, offset: string | undefined, width: string | undefined, base: string | undefined) => {
      if (found === '\\$' || found === '$$') return '\\$';
      if (found.startsWith('\\')) return found;
      return shown(value + Number(offset ?? 0), Number(width ?? 0), base ?? 'd');
    },
  );
  return { ...token, text };
}

function shown(value: number, width: number, base: string): string {
  if (base === 'n' || base === 'N') {
    // Nibbles, least significant first, as in ip6.arpa; the width includes the dots.
    let digits = value.toString(16);
    while (digits.length * 2 - 1 < width) digits = `0${digits}`;
    const nibbles = Array.from(digits).reverse().join('.');
    return base === 'N' ? nibbles.toUpperCase() : nibbles;
  }
  const text = value.toString(base === 'd' ? 10 : base === 'o' ? 8 : 16).padStart(width, '0');
  return base === 'X' ? text.toUpperCase() : text;
}
