/**
 * Pairs of key files as `dnssec-keygen` of BIND writes them: `Kexample.com.+013+12345.key` with the DNSKEY record, and
 * `.private` with the private key and the times of the key (`Private-key-format: v1.3`).
 */
import type { KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { messageOf } from '../config/unknown-values.ts';
import { formatName, nameKey, parseName, type Name } from '../wire/name.ts';
import { parseRdataText } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import { ALGORITHMS, ECDSA_P256, makeP256, type Algorithm } from './algorithms.ts';
import { dnskeyData, keyTag, SECURE_ENTRY_POINT } from './dnskey.ts';

/** Times of a key in seconds since 1970; undefined: not set. */
export type KeyTimes = {
  readonly publish: number | undefined;
  readonly activate: number | undefined;
  readonly inactive: number | undefined;
  readonly delete: number | undefined;
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
    const match = /^K(.*)\+(\d{3})\+(\d{5})\.private$/.exec(name);
    if (!match || !isNameOf(match[1] ?? '', apex)) continue;
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
    publish: time('Publish'),
    activate: time('Activate'),
    inactive: time('Inactive'),
    delete: time('Delete'),
  };
}

/**
 * Makes a key that signs everything (a combined signing key, RFC 9499) with algorithm 13, and writes its two files.
 * Throws if the folder cannot be written.
 */
export function makeKey(folder: string, apex: Name, nowSeconds: number): void {
  mkdirSync(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const { privateKey, publicKey } = makeP256();
  const dnskey = dnskeyData(SECURE_ENTRY_POINT, ECDSA_P256, publicKey);
  const zone = formatName(apex).toLowerCase();
  const tag = String(keyTag(dnskey)).padStart(5, '0');
  const base = join(folder, `K${fileNameOf(zone)}+013+${tag}`);
  const at = stamp(nowSeconds);
  const times = ['Created', 'Publish', 'Activate'];
  const text = [
    'Private-key-format: v1.3',
    'Algorithm: 13 (ECDSAP256SHA256)',
    `PrivateKey: ${privateKey.toString('base64')}`,
    ...times.map((name) => `${name}: ${at}`),
  ];
  // The public file is written first: a private key without a public file is a fault.
  writeKeyFile(
    `${base}.key`,
    [
      `; This is a key-signing key, keyid ${Number(tag)}, for ${zone}.`,
      ...times.map((name) => `; ${name}: ${at}`),
      `${zone}. ${KEY_TTL_SECONDS} IN DNSKEY 257 3 13 ${publicKey.toString('base64')}`,
    ],
    READABLE_FILE,
  );
  writeKeyFile(`${base}.private`, text, OWNER_ONLY_FILE);
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
export function setTimes(key: ZoneKey, times: Readonly<Record<'Inactive' | 'Delete', number>>): void {
  const text = readRegularFile(key.file, { maxOctets: MAX_KEY_FILE_OCTETS }).octets.toString('latin1');
  const kept = text
    .split('\n')
    .filter((line) => line !== '' && !Object.keys(times).some((name) => line.startsWith(`${name}:`)));
  writeKeyFile(
    key.file,
    [...kept, ...Object.entries(times).map(([name, seconds]) => `${name}: ${stamp(seconds)}`)],
    OWNER_ONLY_FILE,
  );
}

/**
 * Copies a pair of key files into the folder and returns the key. Throws if the pair cannot be used or already exists.
 */
export function importPair(folder: string, apex: Name, privateFile: string): ZoneKey {
  mkdirSync(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const source = privateFile.replace(/\.(?:key|private)$/, '');
  const read = (suffix: string): string[] =>
    readRegularFile(`${source}${suffix}`, { maxOctets: MAX_KEY_FILE_OCTETS })
      .octets.toString('latin1')
      .trimEnd()
      .split('\n');
  const [publicLines, privateLines] = [read('.key'), read('.private')];
  const target = join(folder, basename(source));
  if (existsSync(`${target}.private`)) throw new Error(`${target}.private is there already`);
  writeKeyFile(`${target}.key`, publicLines, READABLE_FILE);
  writeKeyFile(`${target}.private`, privateLines, OWNER_ONLY_FILE);
  try {
    return readPair(`${target}.private`, apex);
  } catch (error) {
    rmSync(`${target}.private`);
    rmSync(`${target}.key`);
    throw error;
  }
}
