/**
 * Domain names in wire form: labels with their lengths and the root's zero octet at the end, never compressed
 * (RFC 1035 3.1). A `Name` keeps its case; `canonical` converts it to lower case.
 */
import { MAX_LABEL_OCTETS, MAX_NAME_OCTETS } from './limits.ts';

/** Uncompressed wire form, root label included: at most 255 octets. */
export type Name = Uint8Array;

export const ROOT: Name = new Uint8Array(1);

/** The text of a name is malformed. The message is for the operator. */
export class NameError extends Error {}

/** `parseName` writes here first: an array of this length is expensive to make. */
const written = new Uint8Array(MAX_NAME_OCTETS);

/**
 * Converts a name from presentation format to wire form (RFC 1035 5.1, RFC 4343 2.1: `\.` and `\DDD`). A name without a
 * final dot is relative to `origin`; `@` is the origin itself. Throws NameError.
 */
export function parseName(text: string, origin?: Name): Name {
  if (text === '@') {
    if (!origin) throw new NameError('"@" is not allowed here: this name has no origin');
    return origin;
  }
  if (text === '.') return ROOT;
  if (text === '') throw new NameError('a name cannot be empty');
  const out = written;
  let length = 1; // out[labelAt] is for the label's length
  let labelAt = 0;
  let absolute = false;
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; at++) {
    let octet = bytes[at] ?? 0;
    if (octet === 0x2e) {
      const labelLength = length - labelAt - 1;
      if (labelLength === 0) throw new NameError(`${text} has an empty label`);
      out[labelAt] = labelLength;
      labelAt = length;
      length++;
      absolute = at === bytes.length - 1;
      if (length > MAX_NAME_OCTETS) throw new NameError(`${text} is longer than ${MAX_NAME_OCTETS} octets`);
      continue;
    }
    if (octet === 0x5c) {
      const digits = /^\d{3}/.exec(bytes.toString('latin1', at + 1, at + 4));
      if (digits) {
        octet = Number(digits[0]);
        if (octet > 255) throw new NameError(`\\${digits[0]} in ${text} is over \\255`);
        at += 3;
      } else {
        at++;
        const next = bytes[at];
        if (next === undefined) throw new NameError(`${text} ends in the middle of an escape`);
        octet = next;
      }
    }
    if (length - labelAt - 1 === MAX_LABEL_OCTETS) {
      throw new NameError(`${text} has a label longer than ${MAX_LABEL_OCTETS} octets`);
    }
    if (length >= MAX_NAME_OCTETS) throw new NameError(`${text} is longer than ${MAX_NAME_OCTETS} octets`);
    out[length++] = octet;
  }
  if (absolute) {
    out[labelAt] = 0; // the root
    return out.slice(0, length);
  }
  out[labelAt] = length - labelAt - 1;
  if (!origin) throw new NameError(`${text} must end with a dot here`);
  if (length + origin.length > MAX_NAME_OCTETS) {
    throw new NameError(`${text} with its origin is longer than ${MAX_NAME_OCTETS} octets`);
  }
  out.set(origin, length);
  return out.slice(0, length + origin.length);
}

/** Converts wire form to text that `parseName` accepts. Only the root has a final dot. */
export function formatName(name: Uint8Array, from = 0): string {
  if (name[from] === 0) return '.';
  let text = '';
  for (let at = from; ;) {
    const labelLength = name[at] ?? 0;
    if (labelLength === 0) return text;
    if (text !== '') text += '.';
    for (let i = at + 1; i <= at + labelLength; i++) {
      const octet = name[i] ?? 0;
      if (octet <= 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, '0')}`;
      else if ('.\\"();@$'.includes(String.fromCharCode(octet))) text += `\\${String.fromCharCode(octet)}`;
      else text += String.fromCharCode(octet);
    }
    at += labelLength + 1;
  }
}

/** The name in canonical form: A-Z become a-z (RFC 4034 6.2, RFC 4343). */
export function canonical(name: Name): Name {
  const out = name.slice();
  for (let at = 0; at < out.length; at++) {
    const octet = out[at] ?? 0;
    // A length octet is at most 63, so it is never in the range of letters.
    if (octet >= 0x41 && octet <= 0x5a) out[at] = octet + 0x20;
  }
  return out;
}

/** The canonical name as a string with one character per octet: a key for maps outside the packet path. */
export function nameKey(name: Name): string {
  return Buffer.from(canonical(name)).toString('latin1');
}

/** Offsets of the labels' length octets, leftmost first, without the root. */
export function labelOffsets(name: Name): number[] {
  const offsets: number[] = [];
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] ?? 0) + 1) offsets.push(at);
  return offsets;
}

/** RFC 4034 6.1: canonical order of two names in canonical form, as for `sort`. */
export function compareCanonical(a: Name, b: Name): number {
  const labelsA = labelOffsets(a);
  const labelsB = labelOffsets(b);
  for (let i = 1; i <= labelsA.length && i <= labelsB.length; i++) {
    const atA = labelsA[labelsA.length - i] ?? 0;
    const atB = labelsB[labelsB.length - i] ?? 0;
    const endA = atA + (a[atA] ?? 0) + 1;
    const order = Buffer.compare(a.subarray(atA + 1, endA), b.subarray(atB + 1, atB + (b[atB] ?? 0) + 1));
    if (order !== 0) return order;
  }
  return labelsA.length - labelsB.length;
}

/** Whether `name` is `ancestor` or below it (RFC 9499: subdomain). Case does not matter. */
export function isWithin(name: Name, ancestor: Name): boolean {
  const from = name.length - ancestor.length;
  if (from < 0) return false;
  if (from > 0 && !labelOffsets(name).includes(from) && ancestor.length > 1) return false;
  return nameKey(name).endsWith(nameKey(ancestor));
}

/** Whether the leftmost label is `*` (RFC 4592 2.1.1). */
export function isWildcard(name: Name): boolean {
  return name[0] === 1 && name[1] === 0x2a;
}

/** The offset after the name at `start`, which may end with a pointer. -1 if the name does not end before `end`. */
export function skipName(message: Uint8Array, start: number, end = message.length): number {
  for (let at = start; at < end;) {
    const octet = message[at] ?? 0;
    if (octet === 0) return at + 1;
    if (octet >= 0xc0) return at + 2;
    if (octet > MAX_LABEL_OCTETS) return -1;
    at += octet + 1;
  }
  return -1;
}
