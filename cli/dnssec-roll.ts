/**
 * `pharos dnssec roll|retire ZONE`: key rolls (docs/dnssec.md#roll-a-key; RFC 6781 4.1, RFC 7583). The steps are times
 * in the `.private` files, which the server follows.
 */
import { messageOf } from '../config/unknown-values.ts';
import { ALGORITHMS } from '../dnssec/algorithms.ts';
import { isDsOf } from '../dnssec/dnskey.ts';
import { makeKey, setTimes, type ZoneKey } from '../dnssec/key-files.ts';
import { KEY_TTL_SECONDS } from '../dnssec/zone-signer.ts';
import { formatName } from '../wire/name.ts';
import { dsLine } from './dnssec.ts';
import { EXIT, fail, type Output } from './output.ts';
import { askForDs, endpointOf, type ParentDs } from './parent-ds.ts';
import { findKey, findZone, isEnding, utcTime, nowSeconds, wordFor, type DnssecOptions, type SignedZone } from './signed-zone.ts'; // prettier-ignore
import { lackingKey } from './zone-servers.ts';

/** For the reload after a command, and until secondaries have the zone. */
const MARGIN_SECONDS = 3600;

export type RollOptions = DnssecOptions & {
  /** The key that signs the zone, instead of the one that the DS refers to. */
  readonly zsk: boolean;
  /** Number or mnemonic of another algorithm. */
  readonly algorithm: string | undefined;
};

/** Begins a key roll: makes new keys. */
export function dnssecRoll({ zsk, algorithm: text, ...options }: RollOptions, output: Output): number {
  const refuse = (message: string, code: number = EXIT.FAILED): number => fail('dnssec roll', message, code, output);
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const staying = zone.keys.filter((key) => !isEnding(key));
  const kinds = [true, false].map((isEntryPoint) => staying.filter((key) => key.isEntryPoint === isEntryPoint));
  const several = kinds.find(({ length }) => length > 1);
  if (several) {
    const words = several.map((key) => wordFor(zone, key)).join(' and ');
    return refuse(`a roll is under way: the keys ${words} do the same; retire one of them first`);
  }
  const present = staying.find(({ isEntryPoint }) => isEntryPoint) ?? staying[0];
  if (!present) return refuse(`${options.zone} has no key yet: start the server once`);
  const number = text === undefined ? present.algorithm.number : algorithmOf(text);
  if (number === undefined) {
    const known = [...ALGORITHMS.values()].map(({ mnemonic }) => mnemonic.toLowerCase()).join(', ');
    return refuse(`the algorithm ${text ?? ''} is not one of ${known}`, EXIT.USAGE);
  }
  const zoneKey = staying.find(({ isEntryPoint }) => !isEntryPoint);
  if (number !== present.algorithm.number) {
    return rollAlgorithm({ zone, present, number, isSplit: zoneKey !== undefined && zoneKey !== present }, output);
  }
  if (!zsk) return rollEntryPoint(zone, present, output);
  if (!zoneKey || kinds[0]?.length === 0) {
    return refuse(`${options.zone} has no zone signing key: one key signs everything; leave --zsk out`);
  }
  return rollZoneKey(zone, zoneKey, output);
}

function algorithmOf(text: string): number | undefined {
  const wanted = text.toUpperCase();
  return [...ALGORITHMS.values()].find(({ number, mnemonic }) => mnemonic === wanted || String(number) === wanted)?.number; // prettier-ignore
}

/** RFC 6781 4.1.1.1: the DNSKEY of the new key is published before it signs. */
function rollZoneKey(zone: SignedZone, old: ZoneKey, output: Output): number {
  const now = nowSeconds();
  const made = makeKey(zone.rule.keys, zone.apex, now, {
    ...{ algorithm: old.algorithm.number, isEntryPoint: false, times: { publish: now } },
  });
  output.out(`Made zone signing key ${made.tag}. Next:`);
  output.out('1. Reload the server now (pharos reload). The key is published and does not sign yet.');
  const at = utcTime(now + MARGIN_SECONDS + KEY_TTL_SECONDS);
  output.out(`2. From ${at} on: ${retireLine(zone, old)}. The new key signs from then on.`);
  return EXIT.OK;
}

/** RFC 6781 4.1.2: double signature, for the key to which the DS refers. */
function rollEntryPoint(zone: SignedZone, old: ZoneKey, output: Output): number {
  const now = nowSeconds();
  const syncPublish = now + MARGIN_SECONDS + zone.maxTtlSeconds;
  const times = { publish: now, activate: now, syncPublish };
  const made = makeKey(zone.rule.keys, zone.apex, now, {
    ...{ algorithm: old.algorithm.number, isEntryPoint: old.isEntryPoint, times },
  });
  setTimes(old, { syncDelete: syncPublish });
  output.out(`Made key ${made.tag}. Next:`);
  output.out('1. Reload the server now (pharos reload). Both keys sign from then on.');
  tellDs(zone, made, old, output);
  return EXIT.OK;
}

/** RFC 6781 4.1.4: signatures of the new algorithm, then its DNSKEY, then the DS. */
function rollAlgorithm(
  { zone, present, number, isSplit }: { readonly zone: SignedZone; readonly present: ZoneKey; readonly number: number; readonly isSplit: boolean }, // prettier-ignore
  output: Output,
): number {
  const now = nowSeconds();
  const publish = now + MARGIN_SECONDS + zone.maxTtlSeconds;
  const syncPublish = publish + MARGIN_SECONDS + KEY_TTL_SECONDS;
  const times = { publish, activate: now };
  const make = (isEntryPoint: boolean, more: { syncPublish?: number }): ZoneKey =>
    makeKey(zone.rule.keys, zone.apex, now, { algorithm: number, isEntryPoint, times: { ...times, ...more } });
  const made = make(present.isEntryPoint, { syncPublish });
  if (isSplit) make(false, {});
  setTimes(present, { syncDelete: syncPublish });
  output.out(`Made key ${made.tag} (${made.algorithm.mnemonic}). Next:`);
  output.out('1. Reload the server now (pharos reload). The new algorithm signs from then on.');
  output.out(`   Its DNSKEY enters the zone at ${utcTime(publish)}.`);
  tellDs(zone, made, present, output);
  return EXIT.OK;
}

function tellDs(zone: SignedZone, made: ZoneKey, old: ZoneKey, output: Output): void {
  output.out(`2. From ${utcTime(made.times.syncPublish ?? 0)} on, replace the DS at the parent by:`);
  output.out(`   ${dsLine(zone, made)}`);
  output.out(`3. ${retireLine(zone, old)}`);
}

function retireLine(zone: SignedZone, key: ZoneKey): string {
  return `pharos dnssec retire ${formatName(zone.apex)} ${wordFor(zone, key)}`;
}

export type RetireOptions = DnssecOptions & {
  /** Tag or file name of the old key. */
  readonly key: string;
  /** The server to ask for the DS records. */
  readonly parent: string | undefined;
  /** Addresses of other name servers of the zone. */
  readonly servers: readonly string[];
};

/** A step that is not safe yet, or not possible. */
class Refusal extends Error {}

/** Ends a key roll: the old key leaves when no resolver can need it any more. */
export async function dnssecRetire({ key: text, ...options }: RetireOptions, output: Output): Promise<number> {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const old = findKey(zone, text);
  if (typeof old === 'string') return fail('dnssec retire', old, EXIT.FAILED, output);
  try {
    const lines = await (old.isEntryPoint || !zone.keys.some(({ isEntryPoint }) => isEntryPoint)
      ? retireEntryPoint(zone, old, options)
      : retireZoneKey(zone, old, options));
    for (const line of lines) output.out(line);
    return EXIT.OK;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return fail('dnssec retire', error.message, EXIT.FAILED, output);
  }
}

/** The same as `lackingKey`; a mistake in the command is a refusal. */
async function lackOf(zone: SignedZone, key: ZoneKey, servers: readonly string[]): Promise<string | undefined> {
  if (zone.hasFleet && servers.length === 0) {
    throw new Refusal('the other nodes of the fleet must have the new key: name the address of each with --server');
  }
  try {
    return await lackingKey(zone, key, servers.map(endpointOf));
  } catch (error) {
    throw new Refusal(messageOf(error));
  }
}

async function retireZoneKey(zone: SignedZone, old: ZoneKey, options: Omit<RetireOptions, 'key'>): Promise<string[]> {
  const next = zone.keys.find((key) => key !== old && !key.isEntryPoint && key.algorithm === old.algorithm && !isEnding(key)); // prettier-ignore
  if (!next) throw new Refusal(`no other zone signing key would sign: run pharos dnssec roll --zsk first`);
  const now = nowSeconds();
  const word = wordFor(zone, next);
  const earliest = (next.times.publish ?? 0) + MARGIN_SECONDS + KEY_TTL_SECONDS;
  if (now < earliest) throw new Refusal(`not safe yet: resolvers may not have key ${word}. Earliest: ${utcTime(earliest)}`); // prettier-ignore
  const lacking = await lackOf(zone, next, options.servers);
  if (lacking !== undefined) {
    // The time of publication counts from the day when all servers have the key.
    setTimes(next, { publish: now });
    throw new Refusal(`not safe yet: ${lacking}. Earliest: ${utcTime(now + MARGIN_SECONDS + KEY_TTL_SECONDS)}`);
  }
  const end = now + MARGIN_SECONDS + zone.maxTtlSeconds + staleSeconds(zone);
  // The new key first: a zone with two keys that sign is valid.
  setTimes(next, { activate: now });
  setTimes(old, { inactive: now, delete: end });
  return [`Key ${word} signs instead of key ${wordFor(zone, old)}, which leaves the zone at ${utcTime(end)}. Reload the server (pharos reload).`]; // prettier-ignore
}

/** How long other servers may serve a zone from before a change. */
function staleSeconds({ secondaries, hasFleet, expireSeconds }: SignedZone): number {
  return secondaries.length > 0 || hasFleet ? expireSeconds : 0;
}

async function retireEntryPoint(
  zone: SignedZone,
  old: ZoneKey,
  options: Omit<RetireOptions, 'key'>,
): Promise<string[]> {
  const isNext = (key: ZoneKey): boolean => key !== old && key.isEntryPoint === old.isEntryPoint && !isEnding(key);
  const next = zone.keys.find(isNext);
  if (!next) throw new Refusal(`no other key would sign ${options.zone}: run pharos dnssec roll first`);
  const now = nowSeconds();
  const word = wordFor(zone, next);
  const { publish = 0, activate = 0, syncPublish = 0 } = next.times;
  const earliest = Math.max(Math.max(publish, activate) + zone.maxTtlSeconds, syncPublish);
  if (now < earliest) throw new Refusal(`not safe yet: resolvers may not have key ${word}. Earliest: ${utcTime(earliest)}`); // prettier-ignore
  const lacking = await lackOf(zone, next, options.servers);
  if (lacking !== undefined) {
    setTimes(next, { syncPublish: now + MARGIN_SECONDS + zone.maxTtlSeconds });
    throw new Refusal(`not safe yet: ${lacking}. Earliest: ${utcTime(now + MARGIN_SECONDS + zone.maxTtlSeconds)}`);
  }
  const ds = await dsOf(zone, options.parent);
  const isAt =
    ({ dnskey }: ZoneKey) =>
    (set: readonly string[]) =>
      set.some((data) => isDsOf(zone.apex, dnskey, data));
  if (ds.servers.some((set) => set.length > 0 && !isAt(next)(set))) {
    throw new Refusal(`not safe yet: the parent has no DS for key ${word}`);
  }
  if (ds.servers.some(isAt(old))) {
    throw new Refusal(`not safe yet: the parent still has the DS of key ${wordFor(zone, old)}: remove it there first`);
  }
  return next.algorithm === old.algorithm ? endKey(zone, old, now, ds) : endAlgorithm(zone, old, now, ds);
}

async function dsOf(zone: SignedZone, parent: string | undefined): Promise<ParentDs> {
  try {
    return await askForDs(zone.apex, parent);
  } catch (error) {
    const hint = parent === undefined ? '; name a name server of the parent with --parent' : '';
    throw new Refusal(`the DS of ${formatName(zone.apex)} is not known: ${messageOf(error)}${hint}`);
  }
}

/** Resolvers may have the old DS until its TTL ends, and data with the old signatures until their TTL ends. */
function endKey(zone: SignedZone, old: ZoneKey, now: number, { ttlSeconds }: ParentDs): string[] {
  const end = now + Math.max(ttlSeconds, zone.maxTtlSeconds);
  setTimes(old, { inactive: end, delete: end });
  return [`Key ${wordFor(zone, old)} leaves the zone at ${utcTime(end)}. Reload the server (pharos reload).`];
}

/** RFC 6781 4.1.4: the DNSKEYs of the algorithm leave the zone before its signatures. */
function endAlgorithm(zone: SignedZone, old: ZoneKey, now: number, { ttlSeconds }: ParentDs): string[] {
  const deleted = now + Math.max(ttlSeconds, zone.maxTtlSeconds);
  const inactive = deleted + MARGIN_SECONDS + KEY_TTL_SECONDS + staleSeconds(zone);
  const leaving = zone.keys.filter((key) => key.algorithm === old.algorithm && !isEnding(key));
  for (const key of leaving) setTimes(key, { inactive, delete: deleted });
  const words = leaving.map((key) => wordFor(zone, key)).join(' and ');
  return [
    `The DNSKEY of ${words} leaves the zone at ${utcTime(deleted)}, and its signatures at ${utcTime(inactive)}.`,
    'Reload the server (pharos reload).',
  ];
}
