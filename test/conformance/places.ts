/**
 * Zones, owners and cuts of master files, and chains and sets in responses. Names are in canonical wire form, one
 * character per octet.
 */
import { wireName } from '../support/message.ts';
import type { Seen, SeenRecord } from './seen.ts';

export type Places = {
  /** Canonical wire form of the apexes of all zones, of all their owners, and of the owners with NS. */
  readonly apexes: ReadonlySet<string>;
  readonly owners: ReadonlySet<string>;
  readonly cuts: ReadonlySet<string>;
  /** Names, including empty non-terminals, that only a parent zone has below the apex of a child zone. */
  readonly occluded: ReadonlySet<string>;
};

const CNAME = 5;
const DNAME = 39;
const FIXED_OCTETS = 8; // type, class, TTL

/** A record's data, names written out. */
export function dataOf({ key, name }: SeenRecord): string {
  return key.slice(name.length + FIXED_OCTETS);
}

/** The name without its first label. */
export function parentOf(name: string): string {
  return name.slice(name.charCodeAt(0) + 1);
}

/** The apex of the zone that a name belongs to; empty if there is none. */
export function zoneOf(name: string, apexes: ReadonlySet<string>): string {
  for (let at = name; at.length > 1; at = parentOf(at)) if (apexes.has(at)) return at;
  return '';
}

/** Whether a name is at or below a delegation. */
export function isBelowCut(name: string, cuts: ReadonlySet<string>, apexes: ReadonlySet<string>): boolean {
  for (let at = name; at.length > 1; at = parentOf(at)) if (cuts.has(at) && !apexes.has(at)) return true;
  return false;
}

/** The names that a chain of CNAMEs passes, including the first one. */
export function chainOf({ name }: { readonly name: string }, answer: readonly SeenRecord[]): string[] {
  const passed = [name];
  for (;;) {
    const link = answer.find((record) => record.type === CNAME && record.name === passed.at(-1));
    if (!link || passed.includes(dataOf(link))) return passed;
    passed.push(dataOf(link));
  }
}

/** The records without the unwanted ones; the same array if there are none. */
export function without(
  records: readonly SeenRecord[],
  unwanted: (record: SeenRecord) => boolean,
): readonly SeenRecord[] {
  return records.some(unwanted) ? records.filter((record) => !unwanted(record)) : records;
}

/** Whether all of `part` is in `whole`. */
export function isSubset(part: readonly SeenRecord[], whole: readonly SeenRecord[]): boolean {
  const keys = new Set(whole.map(({ key }) => key));
  return part.every(({ key }) => keys.has(key));
}

/** RRsets in a section. */
export function setsOf(records: readonly SeenRecord[]): number {
  return new Set(records.map(({ name, type }) => `${name}${type}`)).size;
}

/** The end of a chain. */
export function behindLinks({ answer }: Seen): SeenRecord[] {
  return answer.filter(({ type }) => type !== CNAME && type !== DNAME);
}

/** Owners of master files in which no record starts with a blank. */
export function placesOf(zones: Readonly<Record<string, string>>): Places {
  const owners = new Set<string>();
  const cuts = new Set<string>();
  const occluded = new Set<string>();
  const apexes = new Set(Object.keys(zones).map((zone) => lowerCase(wireName(zone).toString('latin1'))));
  for (const [zone, text] of Object.entries(zones)) {
    for (const [, written = '', type] of text.matchAll(/^([^\s$]\S*)\s+(?:\d+\s+)?([A-Z]+\d*)\s/gm)) {
      const absolute = written === '@' ? zone : written.endsWith('.') ? written : `${written}.${zone}`;
      const owner = lowerCase(wireName(absolute).toString('latin1'));
      owners.add(owner);
      const apex = lowerCase(wireName(zone).toString('latin1'));
      const below: string[] = [];
      for (let at = owner; at !== apex && at.length > 1; at = at.slice(at.charCodeAt(0) + 1)) {
        if (apexes.has(at)) for (const name of below.splice(0)) occluded.add(name);
        below.push(at);
      }
      if (type === 'NS') cuts.add(owner);
    }
  }
  return { apexes, owners, cuts, occluded };
}

/** ASCII only (RFC 4343 3). */
export function lowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
