/**
 * `pharos dnssec status|ds|roll|retire|import ZONE`: the keys of a zone (docs/dnssec.md).
 */
import { availableParallelism } from 'node:os';
import { messageOf } from '../config/unknown-values.ts';
import { dsData } from '../dnssec/dnskey.ts';
import { importPair, makeKey, readKeys, setTimes, type ZoneKey } from '../dnssec/key-files.ts';
import { activeKeys, isPublished, KEY_TTL_SECONDS, type SigningRule } from '../dnssec/zone-signer.ts';
import { formatName, nameKey, parseName, type Name } from '../wire/name.ts';
import { formatRdata } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import { readConfiguration } from '../zones/read/read-all.ts';
import { recordTtl } from '../zones/read/record-store.ts';
import { EXIT, fail, showDiagnostics, type Output } from './output.ts';
import { askForDs } from './parent-ds.ts';

export type DnssecOptions = {
  readonly zone: string;
  readonly config: string | undefined;
  readonly json: boolean;
};

/** A zone with `dnssec`, and its keys. */
type SignedZone = {
  readonly apex: Name;
  readonly rule: SigningRule;
  readonly keys: readonly ZoneKey[];
  /** The largest TTL of its records, in seconds. */
  readonly maxTtlSeconds: number;
};

type KeyState = 'future' | 'published' | 'active' | 'retired' | 'removed';

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** Reads the files. If the zone is missing or has no `dnssec`, prints that and returns undefined. */
function findZone({ zone, config }: DnssecOptions, output: Output): SignedZone | undefined {
  const where = { cwd: process.cwd(), env: process.env, cores: availableParallelism() };
  const { zones, diagnostics } = readConfiguration({ ...(config === undefined ? {} : { file: config }), ...where });
  let key: string;
  try {
    key = nameKey(parseName(zone.endsWith('.') ? zone : `${zone}.`));
  } catch {
    fail('dnssec', `${zone} is not a domain name`, EXIT.USAGE, output);
    return undefined;
  }
  const found = zones.find(({ apex }) => nameKey(apex) === key);
  if (!found) {
    showDiagnostics(diagnostics.filter(({ severity }) => severity === 'error'), output); // prettier-ignore
    const names = zones.map(({ apex }) => formatName(apex));
    fail('dnssec', `no zone ${zone} in this configuration (it has ${names.join(', ') || 'none'})`, EXIT.FAILED, output);
    return undefined;
  }
  if (!found.signing) {
    fail('dnssec', `${zone} is not signed: add "dnssec: true" to ${found.file}`, EXIT.FAILED, output);
    return undefined;
  }
  let maxTtlSeconds = KEY_TTL_SECONDS;
  for (let row = 0; row < found.records.count; row++) {
    maxTtlSeconds = Math.max(maxTtlSeconds, recordTtl(found.records, row));
  }
  const { rule, keys } = found.signing;
  return { apex: found.apex, rule, keys, maxTtlSeconds };
}

export function dnssecStatus(options: DnssecOptions, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const now = nowSeconds();
  const keys = zone.keys.map((key) => ({
    tag: key.tag,
    algorithm: key.algorithm.number,
    entry_point: key.isEntryPoint,
    state: stateOf(key, now),
    file: key.file,
    ...Object.fromEntries(Object.entries(key.times).map(([name, at]) => [name, at === undefined ? null : isoTime(at)])),
  }));
  if (options.json) {
    output.out(JSON.stringify({ zone: formatName(zone.apex), keys }, undefined, 2));
    return EXIT.OK;
  }
  if (keys.length === 0) {
    output.out(`${formatName(zone.apex)} has no key yet: the server makes one in ${zone.rule.keys} when it starts.`);
    return EXIT.OK;
  }
  for (const { tag, algorithm, entry_point: isEntryPoint, state, file } of keys) {
    const kind = isEntryPoint ? 'for the DS at the parent' : 'zone signing key';
    output.out(`key ${tag}  algorithm ${algorithm}  ${state}  (${kind})  ${file}`);
  }
  return EXIT.OK;
}

function stateOf(key: ZoneKey, now: number): KeyState {
  if (activeKeys([key], now).length > 0) return 'active';
  if (now >= (key.times.delete ?? Infinity)) return 'removed';
  if (!isPublished(key, now)) return 'future';
  return now >= (key.times.inactive ?? Infinity) ? 'retired' : 'published';
}

/** Prints the DS records for the parent. */
export function dnssecDs(options: DnssecOptions, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const keys = entryPoints(zone);
  if (keys.length === 0) {
    return fail('dnssec ds', `${options.zone} has no key yet: start the server once`, EXIT.FAILED, output);
  }
  const records = keys.map(({ dnskey }) => formatRdata(TYPE.DS, dsData(zone.apex, dnskey)));
  const owner = `${formatName(zone.apex)}.`;
  if (options.json) output.out(JSON.stringify({ zone: formatName(zone.apex), ds: records }, undefined, 2));
  else for (const data of records) output.out(`${owner} ${KEY_TTL_SECONDS} IN DS ${data}`);
  return EXIT.OK;
}

/** The keys that sign and to which a DS may refer. */
function entryPoints({ keys }: SignedZone): readonly ZoneKey[] {
  return activeKeys(keys, nowSeconds()).filter(({ isEntryPoint }) => isEntryPoint);
}

/** Begins a key roll: makes a second key, which signs beside the first (RFC 6781 4.1.2: double signature). */
export function dnssecRoll(options: DnssecOptions, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const active = entryPoints(zone).filter(({ times }) => times.inactive === undefined);
  if (active.length > 1) {
    const tags = active.map(({ tag }) => tag).join(' and ');
    return fail(
      'dnssec roll',
      `a roll is under way: the keys ${tags} sign; retire one of them first`,
      EXIT.FAILED,
      output,
    );
  }
  makeKey(zone.rule.keys, zone.apex, nowSeconds());
  const before = new Set(zone.keys.map(({ file }) => file));
  const made = readKeys(zone.rule.keys, zone.apex).keys.find(({ file }) => !before.has(file));
  if (!made) return fail('dnssec roll', 'the new key cannot be read', EXIT.FAILED, output);
  const wait = isoTime(nowSeconds() + KEY_TTL_SECONDS);
  output.out(`Made key ${made.tag}. Next:`);
  output.out('1. Reload the server (pharos reload). Both keys sign from then on.');
  output.out(`2. From ${wait} on, when resolvers have the new key, replace the DS at the parent by:`);
  output.out(`   ${formatName(zone.apex)}. IN DS ${formatRdata(TYPE.DS, dsData(zone.apex, made.dnskey))}`);
  for (const { tag } of active) output.out(`3. pharos dnssec retire ${options.zone} ${tag}`);
  return EXIT.OK;
}

export type RetireOptions = DnssecOptions & {
  readonly tag: string;
  /** The server to ask for the DS records. */
  readonly parent: string | undefined;
};

/** Ends a key roll: the old key stops signing when no resolver can have its DS any more. */
export async function dnssecRetire(options: RetireOptions, output: Output): Promise<number> {
  const refuse = (message: string): number => fail('dnssec retire', message, EXIT.FAILED, output);
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const old = zone.keys.find(({ tag }) => String(tag) === options.tag);
  if (!old) {
    return refuse(`${options.zone} has no key ${options.tag} (it has ${zone.keys.map(({ tag }) => tag).join(', ')})`);
  }
  const next = entryPoints(zone).find((key) => key !== old && key.times.inactive === undefined);
  if (!next) return refuse(`no other key would sign ${options.zone}: run pharos dnssec roll first`);
  const now = nowSeconds();
  const earliest = (next.times.activate ?? 0) + Math.max(KEY_TTL_SECONDS, zone.maxTtlSeconds);
  if (now < earliest) {
    return refuse(`not safe yet: resolvers may not have key ${next.tag}. Earliest: ${isoTime(earliest)}`);
  }
  let ds;
  try {
    ds = await askForDs(zone.apex, options.parent);
  } catch (error) {
    return refuse(`the DS of ${options.zone} is not known: ${messageOf(error)}`);
  }
  const has = ({ tag }: ZoneKey): boolean => ds.tags.includes(tag);
  if (ds.tags.length > 0 && !has(next)) return refuse(`not safe yet: the parent has no DS for key ${next.tag}`);
  if (has(old)) return refuse(`not safe yet: the parent still has the DS of key ${old.tag}: remove it there first`);
  // Resolvers may have the old DS until its TTL ends, and answers with the old signatures until the TTL of these ends.
  const end = now + Math.max(ds.ttlSeconds, zone.maxTtlSeconds);
  setTimes(old, { Inactive: end, Delete: end });
  output.out(`Key ${old.tag} leaves the zone at ${isoTime(end)}. Reload the server (pharos reload).`);
  return EXIT.OK;
}

/** Imports the keys of another signer, so that a signed zone can move to Pharos and remains secure meanwhile. */
export function dnssecImport(options: DnssecOptions & { readonly files: readonly string[] }, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  for (const file of options.files) {
    try {
      const key = importPair(zone.rule.keys, zone.apex, file);
      output.out(`Imported key ${key.tag} (algorithm ${key.algorithm.number}) as ${key.file}`);
    } catch (error) {
      const message = messageOf(error);
      return fail('dnssec import', `${file}: ${message}`, EXIT.FAILED, output);
    }
  }
  return EXIT.OK;
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
