/**
 * The names of a zone and the types that they have: those of its files or of a transfer, and others made up that show
 * how a server treats what is not there.
 */
import { below, createRandom, type Random } from '../../steering/random.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { isWithin, nameKey, type Name } from '../../wire/name.ts';
import { get8 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';

export type KnownName = { readonly name: Name; readonly types: Set<number> };

/** By `nameKey`. */
export type KnownNames = Map<string, KnownName>;

/** Adds the types of an owner, if it is in the zone. Signatures and denials are not asked for: they come with DO. */
export function addKnown(names: KnownNames, apex: Name, owner: Name, types: readonly number[]): void {
  if (!isWithin(owner, apex)) return;
  const key = nameKey(owner);
  let known = names.get(key);
  if (!known) names.set(key, (known = { name: owner.slice(), types: new Set() }));
  for (const type of types) if (!OF_SIGNER.has(type)) known.types.add(type);
}

const OF_SIGNER: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC]);

/** A question of both servers, for every client. `type` is that of the query. */
export type Question = { readonly name: Name; readonly type: number };

/** Types that are asked for at every name, because clients ask for them. */
const USUAL: readonly number[] = [TYPE.A, TYPE.AAAA];
/** Types of which each name is asked for one that it lacks. */
const OTHERS: readonly number[] = [TYPE.TXT, TYPE.MX, TYPE.CNAME, TYPE.NS, TYPE.SRV, TYPE.HTTPS, TYPE.PTR, TYPE.SOA];
/** Names below which a random name is asked for, and names that are asked for in other letters. */
const MAX_NEAR = 2000;
/** Random names below the apex. */
const ABSENT = 8;

/** All questions of the zone, in the order of the names. Equal seeds give equal questions. */
export function questionsOf(apex: Name, names: KnownNames, seed: number): readonly Question[] {
  const random = createRandom(seed);
  const questions: Question[] = [];
  const ask = (name: Name, types: Iterable<number>): void => {
    for (const type of types) questions.push({ name, type });
  };
  for (const { name, types } of names.values()) {
    const other = OTHERS[below(random, OTHERS.length)] ?? TYPE.TXT;
    const atApex = name.length === apex.length ? [TYPE.SOA, TYPE.NS] : [];
    ask(name, new Set([...types, ...USUAL, ...atApex, other]));
  }
  for (const name of madeUp(apex, names, random)) ask(name, [TYPE.A, TYPE.TXT]);
  for (const { name, types } of some([...names.values()], MAX_NEAR / 4, random)) {
    ask(inOtherCase(name, random), [...types].slice(0, 1));
  }
  return questions;
}

/** Names that the zone's own list does not have. */
function madeUp(apex: Name, names: KnownNames, random: Random): readonly Name[] {
  const found = new Map<string, Name>();
  const add = (name: Name | undefined): void => {
    if (name === undefined) return;
    const key = nameKey(name);
    if (!names.has(key)) found.set(key, name);
  };
  for (let left = ABSENT; left > 0; left--) add(child(apex, randomLabel(random)));
  add(child(child(apex, randomLabel(random)), randomLabel(random)));
  const all = [...names.values()].map(({ name }) => name);
  for (const name of all) {
    // Empty non-terminals, and the names between a cut and its glue.
    for (let above = parent(name); above.length > apex.length; above = parent(above)) add(above);
    if (!isWildcardName(name)) continue;
    // RFC 4592: a name of one label below the wildcard's parent, of two, and one between.
    const closest = parent(name);
    add(child(closest, randomLabel(random)));
    add(child(child(closest, randomLabel(random)), randomLabel(random)));
    add(child(name, randomLabel(random)));
  }
  for (const name of some(all, MAX_NEAR, random)) {
    add(child(name, randomLabel(random)));
    if (name.length > apex.length) add(child(parent(name), randomLabel(random)));
  }
  return [...found.values()];
}

function some<Item>(items: readonly Item[], most: number, random: Random): readonly Item[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, () => items[below(random, items.length)] as Item);
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

function randomLabel(random: Random): string {
  return `x${Array.from({ length: 10 }, () => LETTERS[below(random, LETTERS.length)] ?? '').join('')}`;
}

/** Undefined if the name would be too long. */
function child(name: Name | undefined, label: string): Name | undefined {
  if (name === undefined || name.length + label.length + 1 > MAX_NAME_OCTETS) return undefined;
  return Uint8Array.from([label.length, ...Buffer.from(label), ...name]);
}

function parent(name: Name): Name {
  return name.subarray(get8(name, 0) + 1);
}

function isWildcardName(name: Name): boolean {
  return name[0] === 1 && name[1] === 0x2a;
}

/** RFC 4343: upper and lower case at random. */
function inOtherCase(name: Name, random: Random): Name {
  return name.map((octet) => {
    const lower = octet | 0x20;
    // A length octet is at most 63, so it is never in the range of letters.
    return octet >= 0x41 && lower >= 0x61 && lower <= 0x7a && below(random, 2) === 0 ? octet ^ 0x20 : octet;
  });
}
