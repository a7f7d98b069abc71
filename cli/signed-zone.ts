/**
 * What the commands of `pharos dnssec` know of a zone: its keys, TTLs, and name servers.
 */
import { availableParallelism } from 'node:os';
import { keyName, type ZoneKey } from '../dnssec/key-files.ts';
import { KEY_TTL_SECONDS, type SigningRule } from '../dnssec/zone-signer.ts';
import { ttlBounds } from '../steering/steps.ts';
import type { Endpoint } from '../wire/address.ts';
import { formatName, nameKey, type Name } from '../wire/name.ts';
import { soaExpire } from '../wire/rdata.ts';
import { readConfiguration } from '../zones/read/read-all.ts';
import { findSoaRow, rdataOf, recordTtl } from '../zones/read/record-store.ts';
import { nameArgument } from './name-argument.ts';
import { EXIT, fail, showDiagnostics, type Output } from './output.ts';

export type DnssecOptions = {
  readonly zone: string;
  readonly config: string | undefined;
  readonly json: boolean;
};

/** A zone with `dnssec`, and its keys. */
export type SignedZone = {
  readonly apex: Name;
  readonly rule: SigningRule;
  readonly keys: readonly ZoneKey[];
  /** The largest TTL of its records, in seconds. */
  readonly maxTtlSeconds: number;
  /** The name servers in `transfer.notify`. */
  readonly secondaries: readonly Endpoint[];
  /** How long a secondary serves a zone that it cannot transfer, in seconds. */
  readonly expireSeconds: number;
  readonly hasFleet: boolean;
};

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export function utcTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Reads the files. If the zone is missing or has no `dnssec`, prints that and returns undefined. */
export function findZone({ zone, config }: DnssecOptions, output: Output): SignedZone | undefined {
  const where = { cwd: process.cwd(), env: process.env, cores: availableParallelism() };
  const read = readConfiguration({ ...(config === undefined ? {} : { file: config }), ...where });
  const { settings, zones, diagnostics } = read;
  const name = nameArgument(zone);
  if (!name) {
    fail('dnssec', `${zone} is not a domain name`, EXIT.USAGE, output);
    return undefined;
  }
  const found = zones.find(({ apex }) => nameKey(apex) === nameKey(name));
  if (!found || !settings) {
    showDiagnostics(diagnostics.filter(({ severity }) => severity === 'error'), output); // prettier-ignore
    const names = zones.map(({ apex }) => formatName(apex));
    fail('dnssec', `no zone ${zone} in this configuration (it has ${names.join(', ') || 'none'})`, EXIT.FAILED, output);
    return undefined;
  }
  const { records, signing } = found;
  if (!signing) {
    fail('dnssec', `${zone} is not signed: add "dnssec: true" to ${found.file}`, EXIT.FAILED, output);
    return undefined;
  }
  let maxTtlSeconds = KEY_TTL_SECONDS;
  for (let row = 0; row < records.count; row++) maxTtlSeconds = Math.max(maxTtlSeconds, recordTtl(records, row));
  for (const { ttl, steps } of found.services) maxTtlSeconds = Math.max(maxTtlSeconds, ttlBounds(ttl, steps).most);
  const soa = findSoaRow(records);
  return {
    apex: found.apex,
    ...signing,
    maxTtlSeconds,
    secondaries: settings.transfer.notify,
    expireSeconds: soa < 0 ? 0 : soaExpire(rdataOf(records, soa)),
    hasFleet: settings.fleet !== undefined,
  };
}

/** The key with this tag, or with this file name: keys can have the same tag. Returns a message if there is not one. */
export function findKey({ keys }: SignedZone, text: string): ZoneKey | string {
  const wanted = text.replace(/^.*\//, '').replace(/\.(?:key|private)$/, '');
  const found = keys.filter((key) => String(key.tag) === wanted || keyName(key) === wanted);
  const [key] = found;
  if (found.length > 1) return `several keys have the tag ${text}: name one of ${found.map(keyName).join(', ')}`;
  return key ?? `there is no key ${text} (the keys are ${keys.map(keyName).join(', ') || 'none'})`;
}

/** A word for the key in messages: its tag, or its file name if other keys have the same tag. */
export function wordFor({ keys }: SignedZone, key: ZoneKey): string {
  return keys.some((other) => other !== key && other.tag === key.tag) ? keyName(key) : String(key.tag);
}

/** Whether the key's end has been decided. */
export function isEnding({ times }: ZoneKey): boolean {
  return times.inactive !== undefined || times.delete !== undefined;
}
