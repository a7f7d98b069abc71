/**
 * Takes real time and chance out of the parts under test, so that a seed always has the same outcome: asynchronous
 * writes of files are done at once, and new keys come from the seed.
 */
import { createECDH, createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { vi } from 'vitest';
import { ALGORITHMS } from '../../../dnssec/algorithms.ts';

type Content = string | Uint8Array;

/** Files that were written as a whole, by their paths, until `writeFiles`. Only a start reads them. */
const unwritten = new Map<string, Content>();

/** Writes the files that the parts have written. */
export function writeFiles(): void {
  for (const [path, content] of unwritten) fs.writeFileSync(path, content);
  unwritten.clear();
}

/** The methods that the parts call, on a file that is open. Throws where the real ones reject. */
function openNow(path: string, flags: string, mode: fs.Mode | undefined): object {
  const done = (): Promise<void> => Promise.resolve();
  if (flags === 'r') return { sync: done, close: done };
  const write = (content: Content): Promise<void> => {
    unwritten.set(path, content);
    return done();
  };
  if (flags === 'w') return { writeFile: write, appendFile: write, sync: done, close: done };
  const descriptor = fs.openSync(path, flags, mode);
  return {
    ...{ sync: done, datasync: done },
    appendFile: (content: Content) => {
      fs.writeFileSync(descriptor, content);
      return done();
    },
    truncate: (octets: number) => {
      fs.ftruncateSync(descriptor, octets);
      return done();
    },
    close: () => {
      fs.closeSync(descriptor);
      return done();
    },
  };
}

/** The algorithms of the model's keys, with their keys for 32 octets. */
const KEYS: readonly (readonly [number: number, keyOf: (octets: Buffer) => KeyObject])[] = [
  [
    13,
    (octets) => {
      const pair = createECDH('prime256v1');
      pair.setPrivateKey(octets);
      // Behind an octet that says that both coordinates follow.
      const point = pair.getPublicKey();
      const [x = '', y = '', d = ''] = [point.subarray(1, 33), point.subarray(33), octets].map((part) => part.toString('base64url')); // prettier-ignore
      return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
    },
  ],
  [
    15,
    (octets) => {
      // RFC 8410 7: PKCS #8, with the key at its end.
      const head = Buffer.from('302e020100300506032b657004220420', 'hex');
      return createPrivateKey({ key: Buffer.concat([head, octets]), format: 'der', type: 'pkcs8' });
    },
  ],
];

/** Until `end`. */
export function withoutChance(): { readonly begin: (seed: number) => void; readonly end: () => void } {
  let [seed, made] = [0, 0];
  const spies = [
    vi.spyOn(fs.promises, 'open').mockImplementation(
      // eslint-disable-next-line @typescript-eslint/require-await -- what it throws must be a rejection
      async (path, flags, mode) => openNow(String(path), String(flags), mode ?? undefined) as fs.promises.FileHandle,
    ),
    // eslint-disable-next-line @typescript-eslint/require-await -- the same
    vi.spyOn(fs.promises, 'rename').mockImplementation(async (from, to) => {
      const content = unwritten.get(String(from));
      if (content === undefined) fs.renameSync(from, to);
      else unwritten.delete(String(from));
      if (content !== undefined) unwritten.set(String(to), content);
    }),
    // eslint-disable-next-line @typescript-eslint/require-await -- the same
    vi.spyOn(fs.promises, 'mkdir').mockImplementation(async (path, options) => fs.mkdirSync(path, options)),
    ...KEYS.map(([number, keyOf]) => {
      const algorithm = ALGORITHMS.get(number);
      if (!algorithm) throw new Error(`no algorithm ${number}`);
      return vi.spyOn(algorithm, 'make').mockImplementation(() => keyOf(createHash('sha256').update(`${seed} ${made++}`).digest())); // prettier-ignore
    }),
  ];
  syncBuiltinESMExports();
  return {
    begin: (next) => {
      [seed, made] = [next, 0];
      unwritten.clear();
    },
    end: () => {
      for (const spy of spies) spy.mockRestore();
      syncBuiltinESMExports();
    },
  };
}
