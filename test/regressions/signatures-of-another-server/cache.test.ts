/**
 * As root, servers keep signatures in one folder of root. The name of an entry was that of its zone alone, so two
 * servers with the same zone and other keys replaced each other's signatures, and each made all of its own again at its
 * next start, at the time at which the other one had signed.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../dnssec/key-files.ts';
import { createZoneSigner } from '../../../dnssec/zone-signer.ts';
import { parseName } from '../../../wire/name.ts';
import { TYPE } from '../../../wire/types.ts';
import { folderOf } from '../../support/pharos.ts';

const APEX = parseName('example.com.');
const NOW = 1_796_000_000;
const SET = { owner: APEX, type: TYPE.TXT, ttlSeconds: 300, rdata: [Uint8Array.of(1, 65)] };

test('two servers with the same zone and other keys keep their signatures', () => {
  using folder = folderOf({});
  const cache = { read: [join(folder.path, 'cache')], write: [join(folder.path, 'cache')] };
  const start = (name: string, nowSeconds: number) => {
    const folderOfKeys = join(folder.path, name);
    if (nowSeconds === NOW) makeKey(folderOfKeys, APEX, NOW);
    const { keys } = readKeys(folderOfKeys, APEX);
    const rule = {
      keys: folderOfKeys,
      lifetimeSeconds: 1000,
      refreshSeconds: 500,
      cds: 'none',
      denial: 'nsec',
    } as const;
    const signer = createZoneSigner({ apex: APEX, rule, keys, before: undefined, cache, nowSeconds, isShared: false });
    const [data] = signer.sign(SET);
    signer.keep(cache);
    return { data, made: signer.state.made, signedAt: signer.state.signedAt };
  };
  const first = [start('a', NOW), start('b', NOW)];
  const second = [start('a', NOW + 10), start('b', NOW + 20)];
  expect(second).toEqual(first.map((each) => ({ ...each, made: 0 })));
  expect(first.map(({ made }) => made)).toEqual([1, 1]);
});
