/**
 * `pharos dnssec retire ZONE KEY`: ends a key roll that `pharos dnssec roll` has begun (docs/dnssec.md#roll-a-key).
 */
import { messageOf } from '../config/unknown-values.ts';
import { isDsOf } from '../dnssec/dnskey.ts';
import { setTimes, type ZoneKey } from '../dnssec/key-files.ts';
import { KEY_TTL_SECONDS } from '../dnssec/zone-signer.ts';
import { formatName } from '../wire/name.ts';
import { change, MARGIN_SECONDS, stepDocument, type Changed } from './dnssec-roll.ts';
import { keyDocument } from './dnssec.ts';
import { EXIT, fail, type Output } from './output.ts';
import { askForDs, endpointOf, type ParentDs } from './parent-ds.ts';
import { findKey, findZone, isEnding, utcTime, nowSeconds, wordFor, type DnssecOptions, type SignedZone } from './signed-zone.ts'; // prettier-ignore
import { lackingKey } from './zone-servers.ts';

export type RetireOptions = DnssecOptions & {
  /** Tag or file name of the old key. */
  readonly key: string;
  /** The server to ask for the DS records. */
  readonly parent: string | undefined;
  /** Addresses of other name servers of the zone. */
  readonly servers: readonly string[];
};

/** A roll that ends: the keys that leave, and one that signs instead. `lines` is the report. */
type Ended = { readonly leaving: readonly Changed[]; readonly staying: Changed; readonly lines: readonly string[] };

/** A step that is not safe yet, or not possible. */
class Refusal extends Error {}

/** Ends a key roll: the old key leaves when no resolver can need it any more. */
export async function dnssecRetire({ key: text, ...options }: RetireOptions, output: Output): Promise<number> {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const old = findKey(zone, text);
  if (typeof old === 'string') return fail('dnssec retire', old, EXIT.FAILED, output);
  try {
    const { lines, leaving, staying } = await (old.isEntryPoint || !zone.keys.some(({ isEntryPoint }) => isEntryPoint)
      ? retireEntryPoint(zone, old, options)
      : retireZoneKey(zone, old, options));
    const now = nowSeconds();
    const document = {
      zone: formatName(zone.apex),
      retired: leaving.map(({ key, times }) => keyDocument(key, now, times)),
      signing: keyDocument(staying.key, now, staying.times),
      next: [stepDocument(zone, { step: 'reload' })],
    };
    for (const line of options.json ? [JSON.stringify(document, undefined, 2)] : lines) output.out(line);
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

async function retireZoneKey(zone: SignedZone, old: ZoneKey, options: Omit<RetireOptions, 'key'>): Promise<Ended> {
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
  const staying = change(next, { activate: now });
  const leaving = [change(old, { inactive: now, delete: end })];
  return { leaving, staying, lines: [`Key ${word} signs instead of key ${wordFor(zone, old)}, which leaves the zone at ${utcTime(end)}. Reload the server (pharos reload).`] }; // prettier-ignore
}

/** How long other servers may serve a zone from before a change. */
function staleSeconds({ secondaries, hasFleet, expireSeconds }: SignedZone): number {
  return secondaries.length > 0 || hasFleet ? expireSeconds : 0;
}

async function retireEntryPoint(zone: SignedZone, old: ZoneKey, options: Omit<RetireOptions, 'key'>): Promise<Ended> {
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
  const ended = next.algorithm === old.algorithm ? endKey(zone, old, now, ds) : endAlgorithm(zone, old, now, ds);
  return { ...ended, staying: { key: next, times: {} } };
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
function endKey(zone: SignedZone, old: ZoneKey, now: number, { ttlSeconds }: ParentDs): Omit<Ended, 'staying'> {
  const end = now + Math.max(ttlSeconds, zone.maxTtlSeconds);
  return {
    leaving: [change(old, { inactive: end, delete: end })],
    lines: [`Key ${wordFor(zone, old)} leaves the zone at ${utcTime(end)}. Reload the server (pharos reload).`],
  };
}

/** RFC 6781 4.1.4: the DNSKEYs of the algorithm leave the zone before its signatures. */
function endAlgorithm(zone: SignedZone, old: ZoneKey, now: number, { ttlSeconds }: ParentDs): Omit<Ended, 'staying'> {
  const deleted = now + Math.max(ttlSeconds, zone.maxTtlSeconds);
  const inactive = deleted + MARGIN_SECONDS + KEY_TTL_SECONDS + staleSeconds(zone);
  const leaving = zone.keys.filter((key) => key.algorithm === old.algorithm && !isEnding(key));
  const words = leaving.map((key) => wordFor(zone, key)).join(' and ');
  return {
    leaving: leaving.map((key) => change(key, { inactive, delete: deleted })),
    lines: [
      `The DNSKEY of ${words} leaves the zone at ${utcTime(deleted)}, and its signatures at ${utcTime(inactive)}.`,
      'Reload the server (pharos reload).',
    ],
  };
}
