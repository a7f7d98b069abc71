/**
 * Inputs near valid ones: octets and texts with a few edits. Most edits keep most of the structure, so that an input
 * gets past the first checks of a reader.
 */
import * as fc from 'fast-check';

/** An edit. Positions are modulo the length at that moment. */
type Edit =
  | { readonly kind: 'set'; readonly at: number; readonly octet: number }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'insert'; readonly at: number; readonly octets: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'copy'; readonly at: number; readonly to: number; readonly count: number }
  | { readonly kind: 'cut'; readonly at: number };

const POSITION = fc.nat(65_535);
/** Octets that mean something in many formats: lengths, pointers, ends. */
const OCTET = fc.oneof(fc.constantFrom(0, 1, 0x0a, 0x20, 0x22, 0x3f, 0x40, 0x5c, 0x7f, 0x80, 0xc0, 0xff), fc.nat(255));

const EDIT: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('set' as const), at: POSITION, octet: OCTET }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flip' as const), at: POSITION, bit: fc.nat(7) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('insert' as const),
      at: POSITION,
      octets: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), at: POSITION, count: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('copy' as const), at: POSITION, to: POSITION, count: fc.nat(64) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: POSITION }) },
);

function applyEdit(octets: Buffer, edit: Edit): Buffer {
  const at = octets.length === 0 ? 0 : edit.at % octets.length;
  switch (edit.kind) {
    case 'set':
    case 'flip': {
      const changed = Buffer.from(octets);
      if (octets.length > 0) changed[at] = edit.kind === 'set' ? edit.octet : (octets[at] ?? 0) ^ (1 << edit.bit);
      return changed;
    }
    case 'insert':
      return Buffer.concat([octets.subarray(0, at), edit.octets, octets.subarray(at)]);
    case 'remove':
      return Buffer.concat([octets.subarray(0, at), octets.subarray(at + edit.count)]);
    case 'copy': {
      const to = octets.length === 0 ? 0 : edit.to % octets.length;
      return Buffer.concat([octets.subarray(0, to), octets.subarray(at, at + edit.count), octets.subarray(to)]);
    }
    case 'cut':
      return Buffer.from(octets.subarray(0, at));
  }
}

/** Octets of `base` with up to `most` edits; a third are as they were. */
export function editedOctets(base: fc.Arbitrary<Uint8Array>, most = 6): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      base,
      fc.oneof(
        { weight: 1, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(EDIT, { maxLength: most }) },
      ),
    ) // prettier-ignore
    .map(([octets, edits]) => edits.reduce<Buffer>(applyEdit, Buffer.from(octets)));
}

/** An edit of a text: `remove` characters at a position, and another text in their place. */
type TextEdit = { readonly at: number; readonly remove: number; readonly insert: string };
/** An edit of whole lines. */
type LineEdit = { readonly kind: 'repeat' | 'drop' | 'move'; readonly line: number; readonly to: number };

/** A text of `base` with edits of words, from `words` or random, and of lines. */
export function editedText(base: fc.Arbitrary<string>, words: readonly string[], most = 4): fc.Arbitrary<string> {
  const insert = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...words) },
    { weight: 1, arbitrary: fc.string({ maxLength: 8, unit: 'binary' }) },
    { weight: 1, arbitrary: fc.constant('') },
  );
  const textEdit: fc.Arbitrary<TextEdit> = fc.record({
    at: POSITION,
    remove: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(30)),
    insert,
  });
  const lineEdit: fc.Arbitrary<LineEdit> = fc.record({
    kind: fc.constantFrom('repeat' as const, 'drop' as const, 'move' as const),
    line: POSITION,
    to: POSITION,
  });
  return fc
    .tuple(base, fc.array(textEdit, { maxLength: most }), fc.array(lineEdit, { maxLength: 2 }))
    .map(([text, edits, lineEdits]) => applyLineEdits(edits.reduce(applyTextEdit, text), lineEdits));
}

function applyTextEdit(text: string, { at, remove, insert }: TextEdit): string {
  const from = text.length === 0 ? 0 : at % text.length;
  return text.slice(0, from) + insert + text.slice(from + remove);
}

function applyLineEdits(text: string, edits: readonly LineEdit[]): string {
  const lines = text.split('\n');
  for (const { kind, line, to } of edits) {
    const from = line % lines.length;
    const [taken = ''] = kind === 'repeat' ? [lines[from]] : lines.splice(from, 1);
    if (kind !== 'drop') lines.splice(to % (lines.length + 1), 0, taken);
    if (lines.length === 0) lines.push('');
  }
  return lines.join('\n');
}

/** Any value that JSON has, with names that matter to objects and to `known` keys. */
export function jsonNear(known: readonly string[]): fc.Arbitrary<unknown> {
  const key = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...known) },
    { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', '', 'length') },
  );
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 1e9, 2 ** 32, 2 ** 53, 1e308, 0.5, '', 'up', 'down'),
    fc.string({ maxLength: 12 }),
    fc.constantFrom(...known),
  );
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map((entries) => objectOf(entries)),
    ),
  })).value;
}

/** As `JSON.parse` makes it: `__proto__` is a key like any other. */
function objectOf(entries: readonly (readonly [string, unknown])[]): unknown {
  const members = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return JSON.parse(`{${members.join(',')}}`) as unknown;
}

/** Replaces a value somewhere inside `base`, which is data that JSON can keep. */
export function editedJson(base: unknown, known: readonly string[]): fc.Arbitrary<unknown> {
  const places = placesIn(base);
  return fc
    .array(fc.tuple(fc.nat(Math.max(0, places - 1)), jsonNear(known)), { maxLength: 3 })
    .map((edits) => edits.reduce<unknown>((value, [place, next]) => replaceAt(value, place, next).value, base));
}

function placesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, each) => sum + placesIn(each), 1);
}

/** Replaces the value with number `place`; `left`: what is left to count, -1 once it is replaced. */
function replaceAt(value: unknown, place: number, next: unknown): { value: unknown; left: number } {
  if (place === 0) return { value: next, left: -1 };
  let left = place - 1;
  if (typeof value !== 'object' || value === null) return { value, left };
  const entries = Object.entries(value).map(([key, each]) => {
    if (left < 0) return [key, each] as const;
    const replaced = replaceAt(each, left, next);
    ({ left } = replaced);
    return [key, replaced.value] as const;
  });
  return { value: Array.isArray(value) ? entries.map(([, each]): unknown => each) : objectOf(entries), left };
}

/** Where a stream is divided: lengths of its pieces. */
export const PIECES = fc.array(fc.oneof(fc.nat(3), fc.nat(40), fc.nat(3000)), { maxLength: 8 });

/** The pieces of a stream; the last one has what is left. */
export function divide(octets: Buffer, pieces: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (const piece of pieces) {
    parts.push(octets.subarray(at, at + piece));
    at += piece;
  }
  return [...parts, octets.subarray(at)].filter(({ length }) => length > 0);
}
