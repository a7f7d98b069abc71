/**
 * Pairs of key files as `dnssec-keygen` of BIND writes them: `Kexample.com.+013+12345.key` with the DNSKEY record, and
 * `.private` with the private key and the times of the key (`Private-key-format: v1.3`).
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { messageOf } from '../config/unknown-values.ts';
import { formatName, nameKey, parseName, type Name } from '../wire/name.ts';
import { parseRdataText } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import { ALGORITHMS, ECDSA_P256, type Algorithm, type PrivateFields } from './algorithms.ts';
import { dnskeyData, keyTag, SECURE_ENTRY_POINT } from './dnskey.ts';

/** Times of a key in seconds since 1970; undefined: not set. */
export type KeyTimes = {
  readonly publish: number | undefined;
  readonly activate: number | undefined;
  readonly inactive: number | undefined;
  readonly delete: number | undefined;
  /** From when to when CDS and CDNSKEY name the key. */
  readonly syncPublish: number | undefined;
  readonly syncDelete: number | undefined;
};

export type ZoneKey = {
  readonly algorithm: Algorithm;
  readonly tag: number;
  /** DNSKEY data. */
  readonly dnskey: Uint8Array;
  /** Whether the parent's DS may refer to it. */
  readonly isEntryPoint: boolean;
  readonly times: KeyTimes;
  readonly privateKey: KeyObject;
  /** Path of the private key. */
  readonly file: string;
};

/** A pair of key files that cannot be used. */
export type KeyFault = { readonly file: string; readonly why: string };

export type KeyFiles = { readonly keys: readonly ZoneKey[]; readonly faults: readonly KeyFault[] };

const MAX_KEY_FILE_OCTETS = 65_536;
const OTHERS = 0o077;
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const READABLE_FILE = 0o644;
/** Of the DNSKEY record in a file that Pharos writes. */
const KEY_TTL_SECONDS = 3600;

/** Reads all keys of a zone, sorted by algorithm and tag. An absent folder has none. */
export function readKeys(folder: string, apex: Name): KeyFiles {
  const keys: ZoneKey[] = [];
  const faults: KeyFault[] = [];
  for (const name of namesIn(folder)) {
    if (!isFileOf(name, apex)) continue;
    const file = join(folder, name);
    try {
      keys.push(readPair(file, apex));
    } catch (error) {
      faults.push({ file, why: messageOf(error) });
    }
  }
  keys.sort((a, b) => a.algorithm.number - b.algorithm.number || a.tag - b.tag);
  return { keys, faults };
}

/** Two keys can have the same algorithm and tag: then one of the names has a number, as in `+013+12345-2.private`. */
function isFileOf(name: string, apex: Name): boolean {
  const match = /^K(.*)\+\d{3}\+\d{5}(?:-\d+)?\.private$/.exec(name);
  return match !== null && isNameOf(match[1] ?? '', apex);
}

/** The name of its files without suffix, such as `Kexample.com.+013+12345`. */
export function keyName({ file }: Pick<ZoneKey, 'file'>): string {
  return basename(file, '.private');
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isNameOf(text: string, apex: Name): boolean {
  try {
    return nameKey(parseName(text)) === nameKey(apex);
  } catch {
    return false;
  }
}

/** Throws if the files do not hold one usable key pair of the zone. */
function readPair(file: string, apex: Name): ZoneKey {
  if ((statSync(file).mode & OTHERS) !== 0) throw new Error('other users may read it: run chmod 600');
  return readContents(file, apex);
}

function readContents(file: string, apex: Name): ZoneKey {
  const dnskey = readPublicKey(file.replace(/\.private$/, '.key'), apex);
  const fields = readFields(file);
  const number = dnskey[3] ?? 0;
  const algorithm = ALGORITHMS.get(number);
  if (!algorithm) throw new Error(`its algorithm ${number} is not one of ${[...ALGORITHMS.keys()].join(', ')}`);
  const stated = Number.parseInt(fields.texts.get('Algorithm') ?? '', 10);
  if (stated !== number) throw new Error(`its algorithm is not that of the .key file (${number})`);
  const privateKey = algorithm.read(fields.octets, dnskey.subarray(4));
  // The two files may belong to different keys, so the public key must verify a signature of the private key.
  if (!algorithm.verify(dnskey, dnskey.subarray(4), algorithm.sign(dnskey, privateKey))) {
    throw new Error('the .key file has another public key');
  }
  return {
    algorithm,
    tag: keyTag(dnskey),
    dnskey,
    isEntryPoint: ((dnskey[1] ?? 0) & SECURE_ENTRY_POINT) !== 0,
    times: timesOf(fields.texts),
    privateKey,
    file,
  };
}

function readPublicKey(file: string, apex: Name): Uint8Array {
  const text = readRegularFile(file, { maxOctets: MAX_KEY_FILE_OCTETS }).octets.toString('latin1');
  for (const line of text.split('\n')) {
    const match = /^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?DNSKEY\s+(.+?)\s*$/i.exec(line.replace(/;.*/, ''));
    if (!match) continue;
    if (!isNameOf(match[1] ?? '', apex)) throw new Error(`the .key file is of ${match[1] ?? ''}`);
    return parseRdataText(TYPE.DNSKEY, match[2] ?? '', apex);
  }
  throw new Error('the .key file has no DNSKEY record');
}

function readFields(file: string): { readonly texts: Map<string, string>; readonly octets: Map<string, Buffer> } {
  const text = readRegularFile(file, { maxOctets: MAX_KEY_FILE_OCTETS }).octets.toString('latin1');
  const texts = new Map<string, string>();
  const octets = new Map<string, Buffer>();
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z0-9-]+):\s*(.*?)\s*$/.exec(line);
    if (!match) continue;
    const [, name = '', value = ''] = match;
    texts.set(name, value);
    octets.set(name, Buffer.from(value, 'base64'));
  }
  if (!(texts.get('Private-key-format') ?? '').startsWith('v1.')) {
    throw new Error('it is not a private key file of dnssec-keygen (Private-key-format: v1.3)');
  }
  return { texts, octets };
}

/** The names of the times in private key files. */
const TIME_FIELDS = {
  publish: 'Publish',
  activate: 'Activate',
  inactive: 'Inactive',
  delete: 'Delete',
  syncPublish: 'SyncPublish',
  syncDelete: 'SyncDelete',
} as const satisfies Record<keyof KeyTimes, string>;

function timesOf(texts: ReadonlyMap<string, string>): KeyTimes {
  const time = (name: string): number | undefined => {
    const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/
      .exec(texts.get(name) ?? '')
      ?.slice(1)
      .map(Number);
    if (!parts) return undefined;
    const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
  };
  return {
    publish: time(TIME_FIELDS.publish),
    activate: time(TIME_FIELDS.activate),
    inactive: time(TIME_FIELDS.inactive),
    delete: time(TIME_FIELDS.delete),
    syncPublish: time(TIME_FIELDS.syncPublish),
    syncDelete: time(TIME_FIELDS.syncDelete),
  };
}

/** The lines of times that are set. */
function timeLines(times: Partial<KeyTimes>): string[] {
  return (Object.keys(TIME_FIELDS) as (keyof KeyTimes)[]).flatMap((name) => {
    const seconds = times[name];
    return seconds === undefined ? [] : `${TIME_FIELDS[name]}: ${stamp(seconds)}`;
  });
}

export type NewKey = {
  /** Default: 13. */
  readonly algorithm?: number;
  /** Default: true. */
  readonly isEntryPoint?: boolean;
  /** Default: published and active from now on. */
  readonly times?: Partial<KeyTimes>;
};

/**
 * Makes a key and writes its two files. An entry point signs everything if the zone has no other keys (a combined
 * signing key, RFC 9499). Throws if the folder cannot be written.
 */
export function makeKey(folder: string, apex: Name, nowSeconds: number, wanted: NewKey = {}): ZoneKey {
  const { algorithm: number = ECDSA_P256, isEntryPoint = true } = wanted;
  const algorithm = ALGORITHMS.get(number);
  if (!algorithm) throw new Error(`algorithm ${number} is not one of ${[...ALGORITHMS.keys()].join(', ')}`);
  // Validators try all keys with a tag, and some limit the number of tries.
  const taken = new Set(readKeys(folder, apex).keys.map(({ tag }) => tag));
  for (;;) {
    const privateKey = algorithm.make();
    const dnskey = dnskeyData(isEntryPoint ? SECURE_ENTRY_POINT : 0, number, algorithm.write(privateKey).publicKey);
    if (taken.has(keyTag(dnskey))) continue;
    const times = wanted.times ?? { publish: nowSeconds, activate: nowSeconds };
    return writePair(folder, apex, { algorithm, privateKey, dnskey, nowSeconds, times });
  }
}

type Pair = Pick<ZoneKey, 'algorithm' | 'privateKey' | 'dnskey'> & {
  readonly nowSeconds: number;
  readonly times: Partial<KeyTimes>;
};

function writePair(folder: string, apex: Name, { algorithm, privateKey, dnskey, nowSeconds, times }: Pair): ZoneKey {
  const { fields, publicKey } = algorithm.write(privateKey);
  const zone = formatName(apex).toLowerCase();
  const flags = ((dnskey[0] ?? 0) << 8) | (dnskey[1] ?? 0);
  const kind = (flags & SECURE_ENTRY_POINT) === 0 ? 'zone' : 'key';
  const lines = [`Created: ${stamp(nowSeconds)}`, ...timeLines(times)];
  return writeFiles(folder, apex, dnskey, {
    publicLines: [
      `; This is a ${kind}-signing key, keyid ${keyTag(dnskey)}, for ${fileNameOf(zone)}`,
      ...lines.map((line) => `; ${line}`),
      `${zone}. ${KEY_TTL_SECONDS} IN DNSKEY ${flags} 3 ${algorithm.number} ${Buffer.from(publicKey).toString('base64')}`,
    ],
    privateLines: [
      'Private-key-format: v1.3',
      `Algorithm: ${algorithm.number} (${algorithm.mnemonic})`,
      ...fieldLines(fields),
      ...lines,
    ],
  });
}

function fieldLines(fields: PrivateFields): string[] {
  return [...fields].map(([name, octets]) => `${name}: ${octets.toString('base64')}`);
}

/** Writes the two files under the first free name. Throws if the folder has the key already. */
function writeFiles(
  folder: string,
  apex: Name,
  dnskey: Uint8Array,
  { publicLines, privateLines }: { readonly publicLines: readonly string[]; readonly privateLines: readonly string[] },
): ZoneKey {
  mkdirSync(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const own = Buffer.from(dnskey);
  const known = readKeys(folder, apex).keys.find((key) => own.equals(key.dnskey));
  if (known) throw new Error(`${known.file} is there already`);
  const numbers = [dnskey[3] ?? 0, keyTag(dnskey)].map((number, index) => String(number).padStart(index === 0 ? 3 : 5, '0')); // prettier-ignore
  const base = join(folder, `K${fileNameOf(formatName(apex).toLowerCase())}+${numbers.join('+')}`);
  let target = base;
  for (let i = 2; existsSync(`${target}.private`) || existsSync(`${target}.key`); i++) target = `${base}-${i}`;
  // The public file is written first: a private key without a public file is a fault.
  writeKeyFile(`${target}.key`, publicLines, READABLE_FILE);
  writeKeyFile(`${target}.private`, privateLines, OWNER_ONLY_FILE);
  return readPair(`${target}.private`, apex);
}

/** As in the names of `dnssec-keygen`: with a final dot. */
function fileNameOf(zone: string): string {
  return `${zone === '.' ? '' : zone.replaceAll('/', '%2F')}.`;
}

function stamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '');
}

function writeKeyFile(path: string, lines: readonly string[], mode: number): void {
  const unfinished = `${path}.tmp-${process.pid}`;
  const descriptor = openSync(unfinished, 'wx', mode);
  try {
    writeSync(descriptor, `${lines.join('\n')}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(unfinished, path);
}

/** Changes times of a key in its `.private` file, as `dnssec-settime` does. */
export function setTimes(key: ZoneKey, times: Partial<KeyTimes>): void {
  const text = readRegularFile(key.file, { maxOctets: MAX_KEY_FILE_OCTETS }).octets.toString('latin1');
  const lines = timeLines(times);
  const names = lines.map((line) => line.slice(0, line.indexOf(':') + 1));
  const kept = text.split('\n').filter((line) => line !== '' && !names.some((name) => line.startsWith(name)));
  writeKeyFile(key.file, [...kept, ...lines], OWNER_ONLY_FILE);
}

/** Copies a pair of key files into the folder and returns the key. Throws if the pair cannot be used or is there. */
export function importPair(folder: string, apex: Name, privateFile: string): ZoneKey {
  const source = privateFile.replace(/\.(?:key|private)$/, '');
  const read = (suffix: string): string[] =>
    readRegularFile(`${source}${suffix}`, { maxOctets: MAX_KEY_FILE_OCTETS })
      .octets.toString('latin1')
      .trimEnd()
      .split('\n');
  const { dnskey } = readContents(`${source}.private`, apex);
  return writeFiles(folder, apex, dnskey, { publicLines: read('.key'), privateLines: read('.private') });
}

/**
 * Writes a private key in PEM form, as Knot keeps it (`keys/ID.pem` in its KASP database), into the folder as a pair of
 * key files. A PEM file does not tell the flags. Throws if the key cannot be used or is there.
 */
export function importPem(
  folder: string,
  apex: Name,
  file: string,
  { isEntryPoint, nowSeconds }: { readonly isEntryPoint: boolean; readonly nowSeconds: number },
): ZoneKey {
  const { octets } = readRegularFile(file, { maxOctets: MAX_KEY_FILE_OCTETS });
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(octets);
  } catch {
    // The message of OpenSSL does not help.
    throw new Error('it is not a private key in PEM form without a password');
  }
  const algorithm = [...ALGORITHMS.values()].find(({ fits }) => fits(privateKey));
  if (!algorithm) throw new Error(`its algorithm is not one of ${[...ALGORITHMS.keys()].join(', ')}`);
  const { publicKey } = algorithm.write(privateKey);
  const dnskey = dnskeyData(isEntryPoint ? SECURE_ENTRY_POINT : 0, algorithm.number, publicKey);
  const times = { publish: nowSeconds, activate: nowSeconds };
  return writePair(folder, apex, { algorithm, privateKey, dnskey, nowSeconds, times });
}
