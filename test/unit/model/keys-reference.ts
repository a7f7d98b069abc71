/**
 * Which keys of a zone are published and sign at a time, from the times in their files (docs/dnssec.md#keys), and
 * whether a signature is one of them. Shares no code with the dnssec room.
 */
import { createHash, createPublicKey, verify, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { T, wireName, type DecodedMessage, type DecodedRecord } from '../../support/message.ts';

type Times = Readonly<Partial<Record<'Publish' | 'Activate' | 'Inactive' | 'Delete' | 'SyncPublish' | 'SyncDelete', number>>>; // prettier-ignore
export type RefKey = {
  /** DNSKEY data, in hexadecimal. */
  readonly data: string;
  readonly tag: number;
  readonly algorithm: number;
  readonly isEntryPoint: boolean;
  readonly times: Times;
  readonly publicKey: KeyObject;
};
export type RefRoles = {
  readonly published: readonly RefKey[];
  readonly forKeys: readonly RefKey[];
  readonly forData: readonly RefKey[];
  readonly forParent: readonly RefKey[];
};

/** The keys of all pairs of files in a folder. */
export function readRefKeys(folder: string): readonly RefKey[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.key'));
  return names.map((name) => {
    const [, flags = 0, protocol = 0, algorithm = 0, key = ''] =
      /DNSKEY (\d+) (\d+) (\d+) (\S+)/.exec(readFileSync(join(folder, name), 'utf8')) ?? [];
    const head = Buffer.of(Number(flags) >> 8, Number(flags) & 255, Number(protocol), Number(algorithm));
    const data = Buffer.concat([head, Buffer.from(key, 'base64')]);
    const secret = readFileSync(join(folder, name.replace(/key$/, 'private')), 'utf8');
    const times = Object.fromEntries([...secret.matchAll(/^(Publish|Activate|Inactive|Delete|SyncPublish|SyncDelete): (\d{14})$/gm)].map(([, field = '', at = '']) => [field, secondsOf(at)])); // prettier-ignore
    const isEntryPoint = (Number(flags) & 1) === 1;
    return { data: data.toString('hex'), tag: tagOf(data), algorithm: Number(algorithm), isEntryPoint, times, publicKey: publicKeyOf(data) }; // prettier-ignore
  });
}

function secondsOf(stamp: string): number {
  return Date.parse(stamp.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z')) / 1000;
}

/** RFC 4034 appendix B. */
function tagOf(data: Buffer): number {
  let sum = 0;
  for (const [at, octet] of data.entries()) sum += at % 2 === 0 ? octet * 256 : octet;
  return (sum + Math.floor(sum / 65_536)) % 65_536;
}

/** P-256 (RFC 6605) or Ed25519 (RFC 8080). */
function publicKeyOf(data: Buffer): KeyObject {
  const key = data.subarray(4);
  const [x, y] = [key.subarray(0, 32), key.subarray(32)].map((part) => part.toString('base64url'));
  const jwk = data[3] === 13 ? { kty: 'EC', crv: 'P-256', x, y } : { kty: 'OKP', crv: 'Ed25519', x };
  return createPublicKey({ key: jwk as JsonWebKeyInput['key'], format: 'jwk' });
}

/** docs/dnssec.md#keys */
export function refRoles(keys: readonly RefKey[], seconds: number): RefRoles {
  const isIn = (from: number, until: number | undefined): boolean => from <= seconds && seconds < (until ?? Infinity);
  const published = keys.filter(({ times }) => isIn(times.Publish ?? times.Activate ?? 0, times.Delete));
  const active = keys.filter(({ times }) => {
    const begin = times.Activate ?? (times.Publish === undefined ? 0 : Infinity);
    return isIn(begin, times.Inactive ?? times.Delete);
  });
  /** Keys of one kind. If an algorithm has none of them, its others. */
  const preferring = (list: readonly RefKey[], wants: boolean): readonly RefKey[] =>
    list.filter((key) => {
      const hasKind = list.some(({ algorithm, isEntryPoint }) => algorithm === key.algorithm && isEntryPoint === wants);
      return key.isEntryPoint === wants || !hasKind;
    });
  const forKeys = preferring(active.filter((key) => published.includes(key)), true); // prettier-ignore
  const points = forKeys.some(({ isEntryPoint }) => isEntryPoint) ? forKeys.filter(({ isEntryPoint }) => isEntryPoint) : forKeys; // prettier-ignore
  const named = points.filter(({ times }) => isIn(times.SyncPublish ?? 0, times.SyncDelete));
  return { published, forKeys, forData: preferring(active, false), forParent: named.length > 0 ? named : points };
}

/** The next time after this one at which a key changes what it does. */
export function nextChange(keys: readonly RefKey[], seconds: number): number {
  return Math.min(Infinity, ...keys.flatMap(({ times }) => Object.values(times)).filter((time) => time > seconds));
}

/** What a response of the zone must be signed with. */
export type SignedAs = {
  readonly roles: RefRoles;
  /** Undefined: signatures may have ended, or may not have begun. */
  readonly seconds: number | undefined;
  /** Signatures that were verified before. */
  readonly verified: Set<string>;
};

const KEY_TYPES: readonly number[] = [48, 59, 60];

/** What is wrong with the signatures of a response; undefined if nothing is. */
export function wrongSignatures({ answer, authority }: DecodedMessage, as: SignedAs): string | undefined {
  for (const section of [answer, authority]) {
    const sets = Map.groupBy(section.filter(({ type }) => type !== T.RRSIG), ({ name, type }) => `${name} ${type}`); // prettier-ignore
    for (const [which, set] of sets) {
      const [first] = set;
      if (!first) continue;
      const signatures = section.filter(({ type, name, data }) => type === T.RRSIG && name === first.name && Number.parseInt(data.slice(0, 4), 16) === first.type); // prettier-ignore
      const signers = KEY_TYPES.includes(first.type) ? as.roles.forKeys : as.roles.forData;
      const wanted = signers.map(({ tag }) => tag).sort();
      const got = signatures.map(({ data }) => Number.parseInt(data.slice(32, 36), 16)).sort();
      if (wanted.join() !== got.join())
        return `${which} must be signed by the keys ${wanted.join()}, is by ${got.join()}`;
      for (const signature of signatures) {
        const why = wrongSignature(set, signature, signers, as);
        if (why !== undefined) return `the signature of ${which} ${why}`;
      }
    }
  }
  return undefined;
}

function wrongSignature(
  set: readonly DecodedRecord[],
  { data: text, ttl }: DecodedRecord,
  signers: readonly RefKey[],
  { seconds, verified }: SignedAs,
): string | undefined {
  const data = Buffer.from(text, 'hex');
  const [original, expiration, inception] = [data.readUInt32BE(4), data.readUInt32BE(8), data.readUInt32BE(12)];
  const [first] = set;
  if (!first || ttl !== first.ttl || ttl > original) return `has TTL ${ttl} of ${original}`;
  if (seconds !== undefined && (seconds < inception || seconds >= expiration)) {
    return `is valid from ${inception} to ${expiration}, and it is ${seconds}`;
  }
  const key = signers.find(({ tag, algorithm }) => tag === data.readUInt16BE(16) && algorithm === data[2]);
  if (!key) return 'has another algorithm';
  const sorted = set.map((each) => Buffer.from(each.data, 'hex')).sort((a, b) => Buffer.compare(a, b));
  const known = createHash('sha1').update(text).update(key.data).update(Buffer.concat(sorted)).digest('latin1');
  if (verified.has(known)) return undefined;
  const signer = wireName('sx.');
  const head = Buffer.concat([wireName(first.name), Buffer.of(first.type >> 8, first.type & 255, 0, 1), data.subarray(4, 8)]); // prettier-ignore
  const records = sorted.flatMap((each) => [head, Buffer.of(each.length >> 8, each.length & 255), each]);
  const octets = Buffer.concat([data.subarray(0, 18 + signer.length), ...records]);
  const key256 = { key: key.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  const isValid = verify(key.algorithm === 13 ? 'sha256' : null, octets, key256, data.subarray(18 + signer.length));
  if (!isValid || !data.subarray(18, 18 + signer.length).equals(signer)) return 'is bogus';
  verified.add(known);
  return undefined;
}
