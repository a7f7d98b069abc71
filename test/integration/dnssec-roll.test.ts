/**
 * Key rolls on a running server, with a signed parent at NSD that follows CDS, and a validating resolver: a step that
 * is too early is refused with the earliest time, and the zone is secure after every step (docs/dnssec.md#roll-a-key).
 * Hours pass by moving the times of all keys into the past. Caches are in test/unit/cli/dnssec-roll.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dsData } from '../../dnssec/dnskey.ts';
import { makeKey, readKeys, setTimes, type KeyTimes, type NewKey } from '../../dnssec/key-files.ts';
import { parseName } from '../../wire/name.ts';
import { formatRdata } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import { T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, has, run, serve, type Finished } from '../support/process.ts';
import { runNsd, type Running } from '../support/run.ts';
import { startResolver } from '../support/validating-resolver.ts';

const ZONE = `
zone: zone.example
dnssec: true
nameservers: [ns]
soa: { expire: 1h }
records: { ns: { A: 127.0.0.1 }, www: { A: 192.0.2.1 } }
`;
const APEX = parseName('zone.example.');
const LONG_AGO = Math.floor(Date.now() / 1000) - 1_000_000;
const MARGIN_SECONDS = 60;

/** NSD with the zone `example`, signed with the tools of BIND. `place` has its key. */
function parentIn(place: string) {
  const tool = (command: string, ...args: string[]): string => {
    const done = spawnSync(command, args, { cwd: place, encoding: 'utf8' });
    expect(done.status, done.stderr).toBe(0);
    return done.stdout.trim();
  };
  const key = tool('dnssec-keygen', '-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', 'example');
  let nsd: Running | undefined;
  const port = (): number => nsd?.endpoints[0]?.port ?? 0;
  return {
    anchor: readFileSync(join(place, `${key}.key`), 'utf8').replaceAll(/^;.*\n/gm, ''),
    port,
    /** `ds`: the data of DS records. */
    set: async (ds: readonly string[]): Promise<void> => {
      const records = ds.map((data) => `zone DS ${data}\n`).join('');
      writeFileSync(join(place, 'example.zone'), `$ORIGIN example.\n$TTL 300\n@ SOA ns a 1 7200 1800 345600 60\n@ NS ns\nns A 127.0.0.1\nzone NS ns.zone\nns.zone A 127.0.0.1\n${records}`); // prettier-ignore
      tool('dnssec-signzone', '-S', '-z', '-o', 'example', '-f', 'signed', 'example.zone');
      await nsd?.[Symbol.asyncDispose]();
      nsd = await runNsd({ example: readFileSync(join(place, 'signed'), 'utf8') });
    },
    [Symbol.asyncDispose]: async () => {
      await nsd?.[Symbol.asyncDispose]();
    },
  };
}

const KINDS: readonly (readonly [string, readonly NewKey[], readonly string[]])[] = [
  ['one key for everything', [{}], []],
  ['a zone signing key', [{}, { isEntryPoint: false }], ['--zsk']],
  ['the algorithm of two keys', [{}, { isEntryPoint: false }], ['--algorithm', 'ed25519']],
];

describe.skipIf(!has('unbound') || !has('dnssec-signzone') || !has('/usr/sbin/nsd'))(
  'a roll on a running server',
  () => {
    test.each(KINDS)('%s', async (_, wanted, args) => {
      using place = folderOf({});
      using folder = folderOf({
        ...NO_GEOGRAPHY,
        'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { databases: [small.mmdb] }\n', // prettier-ignore
        'zones/zone.example.yaml': ZONE,
      });
      const folderOfKeys = join(folder.path, 'state', 'keys');
      for (const each of wanted) makeKey(folderOfKeys, APEX, LONG_AGO, each);
      const keys = () => readKeys(folderOfKeys, APEX).keys;
      const before = keys();
      const oldDs = before.flatMap(({ isEntryPoint, dnskey }) => (isEntryPoint ? formatRdata(TYPE.DS, dsData(APEX, dnskey)) : [])); // prettier-ignore
      const command = (...more: string[]): Promise<Finished> => run(['dnssec', ...more], { cwd: folder.path });
      await using parent = parentIn(place.path);
      await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
      const records = async (type: string): Promise<string[]> => (await dig(pharos.port, '+nosplit', 'zone.example', type)).split('\n'); // prettier-ignore
      await parent.set(await records('CDS'));
      const step = async (): Promise<void> => {
        const reply = await fetch(`${pharos.api}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer secret' } }); // prettier-ignore
        expect(reply.status).toBe(200);
        const stubs = [{ zone: 'example', ports: [parent.port()], anchors: [parent.anchor] }, { zone: 'zone.example', ports: [pharos.port] }]; // prettier-ignore
        await using resolver = await startResolver(stubs);
        for (const [name, type] of [['www', T.A], ['nope', T.A], ['www', T.TXT]] as const) expect([name, (await resolver.ask(`${name}.zone.example.`, type)).isSecure], resolver.log()).toEqual([name, true]); // prettier-ignore
      };
      /** Moves the times of all keys into the past. */
      const pass = (seconds: number): void => {
        for (const key of keys()) {
          const moved = Object.entries(key.times).flatMap(([name, at]) => (at === undefined ? [] : [[name, at - seconds]])); // prettier-ignore
          setTimes(key, Object.fromEntries(moved) as Partial<KeyTimes>);
        }
      };
      const untilIn = (text: string): number => {
        const last = [...text.matchAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g)].at(-1)?.[0] ?? '';
        return Math.ceil((Date.parse(last) - Date.now()) / 1000);
      };
      await step();

      const rolled = await command('roll', 'zone.example', ...args);
      expect([rolled.code, rolled.stderr]).toEqual([0, '']);
      const old = /retire zone\.example (\d+)/.exec(rolled.stdout)?.[1] ?? '';
      await step();
      const reasons: string[] = [];
      let retired = '';
      for (let tries = 0; retired === ''; tries++) {
        if (tries > 8) throw new Error(reasons.join('\n'));
        const { code, stdout, stderr } = await command('retire', 'zone.example', old, '--parent', `127.0.0.1:${parent.port()}`); // prettier-ignore
        if (code === 0) {
          retired = stdout;
          break;
        }
        reasons.push(stderr);
        if (!stderr.includes('Earliest: ')) {
          // The parent reads CDS. First it keeps the old DS too.
          const isFirst = stderr.includes('has no DS');
          await parent.set([...(await records('CDS')), ...(isFirst ? oldDs : [])]);
        } else {
          pass(Math.max(0, untilIn(stderr) - MARGIN_SECONDS));
          await step();
          const early = await command('retire', 'zone.example', old, '--parent', `127.0.0.1:${parent.port()}`);
          expect([early.code, early.stderr.includes('Earliest: ')]).toEqual([1, true]);
          pass(MARGIN_SECONDS + 1);
        }
        await step();
      }
      expect(reasons[0]).toMatch(/not safe yet: resolvers may not have key \d+\. Earliest: \d{4}-/);
      const isZsk = args.includes('--zsk');
      expect(reasons.some((reason) => reason.includes('the parent has no DS for key'))).toBe(!isZsk);
      expect(reasons.some((reason) => reason.includes('still has the DS of key'))).toBe(!isZsk);
      await step();
      for (const [time] of retired.matchAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g)) {
        pass(Math.max(0, Math.ceil((Date.parse(time) - Date.now()) / 1000) + 1));
        await step();
      }
      const left = (await records('DNSKEY')).filter((text) => before.some(({ dnskey }) => text.endsWith(Buffer.from(dnskey.subarray(4)).toString('base64')))); // prettier-ignore
      expect(left).toHaveLength(isZsk ? 1 : 0);
      expect(await records('DNSKEY')).toHaveLength(wanted.length);
      const again = await command('retire', 'zone.example', String(keys().find((key) => !before.some(({ file }) => file === key.file))?.tag)); // prettier-ignore
      expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('roll')]);
    });
  },
);
