/**
 * Transfers: NSD and Knot as secondaries, dig and kdig as readers.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../wire/address.ts';
import { freePort } from '../support/free-port.ts';
import { encodeQuery, T } from '../support/message.ts';
import { knotSecondary, nsdSecondary } from '../support/name-servers.ts';
import { folderOf, NO_GEOGRAPHY, type Files } from '../support/pharos.ts';
import { dig, eventually, has, run, serve } from '../support/process.ts';
import { runPharos } from '../support/run.ts';
import { SAMPLES } from '../unit/wire/rdata-samples.ts';

const SECRET = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=';
const WRONG = 'YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWI=';

/** Without types that such a zone cannot have, and NULL, whose empty data Knot reports as malformed. */
const BULK = Object.entries(SAMPLES)
  .filter(
    ([type]) =>
      !['SOA', 'NULL', 'CNAME', 'DNAME', 'NS', 'NSEC', 'NSEC3', 'NSEC3PARAM', 'RRSIG', 'NXT', 'SIG'].includes(type),
  )
  .flatMap(([type, samples]) => samples.map((sample) => `t-${type.toLowerCase()} ${type} ${sample}`));

/** Enough that a transfer takes several messages, each with its signature. */
const MANY = Array.from({ length: 6000 }, (_, i) => `many-${i} A 10.1.${i >> 8}.${i & 255}`);

const zone = (serial: number): string => `
zone: example.com
nameservers: [ns1, ns2.example.net.]
soa: { serial: ${serial} }
include: [bulk.zone]
records:
  ns1: { A: 192.0.2.53 }
  serial: { TXT: "${serial}" }
  sub: { NS: [ns.sub, ns1, ns2.example.net.] }
  ns.sub: { A: 192.0.2.60 }
  "*.wild": { MX: 10 ns1 }
  old: { DNAME: ns1 }
services:
  www: { ttl: 20, vips: { a: { A: 192.0.2.1, weight: 3 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3, weight: 0 } } }
`;

/** `pharos serve` that allows transfers to 127.0.0.1 with the key and to 127.0.0.2 without, and sends them NOTIFY. */
async function primary(notify: readonly number[], secret = SECRET) {
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `
listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0 }
geo: { databases: [small.mmdb] }
transfer:
  keys: { second: { algorithm: hmac-sha256, secret: "\${SECRET}" } }
  allow: [{ from: 127.0.0.1, key: second }, { from: 127.0.0.2 }]
  notify: [${notify.map((port) => `"127.0.0.1:${port}"`).join(', ')}]
`,
    'zones/example.com.yaml': zone(1),
    'zones/bulk.zone': `$TTL 300\n${[...BULK, ...MANY].join('\n')}\n`,
  });
  const server = await serve(['pharos.yaml'], { cwd: folder.path, env: { SECRET: secret } });
  return {
    ...server,
    /** Changes the zone and reloads; resolves when the change is served. */
    change: async (serial: number): Promise<void> => {
      writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone(serial));
      server.child.kill('SIGHUP');
      await eventually(
        () => dig(server.port, 'serial.example.com', 'TXT'),
        (text) => text === `"${serial}"`,
      );
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop('SIGKILL');
      folder[Symbol.dispose]();
    },
  };
}

const SECONDARIES = [
  { name: 'NSD', start: nsdSecondary, there: has('/usr/sbin/nsd') },
  { name: 'Knot', start: knotSecondary, there: has('/usr/sbin/knotd') },
];

describe.each(SECONDARIES)('$name as a secondary', ({ start, there }) => {
  test.skipIf(!there)('has the zone, and the next version as soon as it is notified', async () => {
    const port = await freePort();
    await using server = await primary([port]);
    await using secondary = start({ port, from: server.port, key: { name: 'second', secret: SECRET } });
    const serialThere = () => dig(port, 'serial.example.com', 'TXT').catch(() => secondary.log());
    await eventually(serialThere, (text) => text === '"1"');
    for (const name of ['www', 'x.wild', 'x.old', 'ns.sub', 't-mx', 't-minfo', 't-https', 't-loc', 't-type65400']) {
      for (const type of ['A', 'MX', 'MINFO', 'HTTPS', 'LOC', 'TYPE65400', 'NS']) {
        if (name === 'www' && type === 'A') continue; // chance chooses one of what is transferred
        const question = [`${name}.example.com`, type, '+norec'];
        const sorted = async (at: number) => (await dig(at, ...question)).split('\n').sort();
        expect(await sorted(port), question.join(' ')).toEqual(await sorted(server.port));
      }
    }
    expect((await dig(port, 'www.example.com')).split('\n').sort()).toEqual(['192.0.2.1', '192.0.2.2']);
    await server.change(2);
    await eventually(serialThere, (text) => text === '"2"');
    await server.until(/acknowledged NOTIFY for example\.com/);
  });

  test.skipIf(!there)('has nothing with a wrong secret', async () => {
    const port = await freePort();
    await using server = await primary([port]);
    await using secondary = start({ port, from: server.port, key: { name: 'second', secret: WRONG } });
    // Each says so in different words.
    await eventually(
      () => Promise.resolve(secondary.log()),
      (log) => /NOTAUTH|tsig|TSIG|bad.?sig/i.test(log) && /example\.com/.test(log),
    );
    expect(await dig(port, 'serial.example.com', 'TXT')).toBe('');
  });
});

describe('readers', () => {
  const key = `hmac-sha256:second:${SECRET}`;
  const soa = (text: string): number => text.split('\n').filter((line) => /\sSOA\s/.test(line)).length;

  test('dig and kdig get transfers, signed and unsigned, and unauthorized clients get none', async () => {
    await using server = await primary([]);
    const at = ['@127.0.0.1', '-p', String(server.port)];
    const ask = async (command: string, ...args: string[]): Promise<string> => {
      const { stdout, stderr } = await run([...at, ...args], { command });
      return stdout + stderr;
    };
    const all = await ask('dig', '-y', key, 'example.com', 'AXFR');
    expect(soa(all)).toBe(2);
    expect(all).toMatch(/^second\.\s.*NOERROR/m);
    expect(all).not.toMatch(/WARNING|verify|malformed/i);
    expect(all).toMatch(/messages [2-9]/);
    const records = /XFR size: (\d+) records/.exec(all)?.[1];
    // dig counts the signature.
    expect(await ask('kdig', '-y', key, 'example.com', 'AXFR')).toContain(`${records ?? ''} records)`);
    expect(soa(await ask('dig', '-b', '127.0.0.2', 'example.com', 'AXFR'))).toBe(2);
    expect(soa(await ask('dig', '-y', key, 'example.com', 'IXFR=0'))).toBe(2);
    expect(soa(await ask('kdig', '-y', key, 'example.com', 'IXFR=0'))).toBe(2);
    expect(soa(await ask('dig', '-y', key, 'example.com', 'IXFR=1'))).toBe(1);
    expect(soa(await ask('dig', '-y', key, '+notcp', 'example.com', 'IXFR=0'))).toBe(1);
    for (const refused of [
      await ask('dig', 'example.com', 'AXFR'),
      await ask('dig', '-y', `hmac-sha256:second:${WRONG}`, 'example.com', 'AXFR'),
      await ask('dig', '-y', `hmac-sha256:third:${SECRET}`, 'example.com', 'AXFR'),
      await ask('dig', '-y', `hmac-sha512:second:${SECRET}`, 'example.com', 'AXFR'),
      await ask('dig', '-b', '127.0.0.3', '-y', key, 'example.com', 'AXFR'),
      await ask('dig', '-b', '127.0.0.2', 'www.example.com', 'AXFR'),
    ]) {
      expect(refused).toMatch(/Transfer failed/);
    }
    expect(await ask('kdig', '-y', `hmac-sha256:second:${WRONG}`, 'example.com', 'AXFR')).toContain('BADSIG');
    // A signed query gets a signed response that dig verifies.
    for (const transport of ['+notcp', '+tcp']) {
      const answered = await ask('dig', '+norec', transport, '-y', key, 'ns1.example.com');
      expect(answered).toContain('192.0.2.53');
      expect(answered).not.toMatch(/could not be validated|Couldn't verify/);
    }
  });
});

describe('a large zone', () => {
  const RECORDS = 200_000;
  const files: Files = {
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml':
      'zone: example.com\nnameservers: [ns1]\ninclude: [bulk.zone]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
    'zones/bulk.zone': `$TTL 60\n${Array.from({ length: RECORDS }, (_, i) => `host-${i} A 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`).join('\n')}\n`,
  };

  test('other queries of the same connection, and of others, are answered meanwhile', async () => {
    const from = parsePrefix('127.0.0.1');
    if (!from) throw new Error('no prefix');
    const settings = {
      keys: [],
      allow: [{ from, key: undefined, steered: 'default' as const }],
      notify: [],
      catalog: undefined,
    };
    await using server = await runPharos(files, undefined, { transfer: { settings, weights: new Int32Array(0) } });
    const [endpoint] = server.endpoints;
    if (!endpoint) throw new Error('no endpoint');

    /** Asks again after each answer; calls back with every message. */
    const client = (each: (message: Buffer) => void) => {
      const socket = connect(endpoint);
      let pending: Buffer = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE()) {
          const message = pending.subarray(2, 2 + pending.readUInt16BE());
          pending = pending.subarray(2 + message.length);
          each(message);
        }
      });
      const send = (name: string, type: number, id: number): void => {
        const query = encodeQuery(name, type, { id });
        socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 255), query]));
      };
      return { socket, send };
    };
    const AXFR = 1;
    /** Queries of each connection that wait at any time. */
    const AT_ONCE = 20;
    const counts = { records: 0, messages: 0, same: 0, other: 0 };
    const done = Promise.withResolvers<undefined>();
    const ask = (who: ReturnType<typeof client>): void => {
      who.send(`host-${counts.same}.example.com`, T.A, 1000);
    };
    const same = client((message) => {
      if (message.readUInt16BE() === AXFR) {
        counts.messages++;
        counts.records += message.readUInt16BE(6);
        // The last one: after 200,000 addresses, two name server records and two SOAs.
        if (counts.records === RECORDS + 4) done.resolve(undefined);
      } else {
        counts.same++;
        ask(same);
      }
    });
    const other = client(() => {
      counts.other++;
      ask(other);
    });
    await once(other.socket, 'connect');
    same.send('example.com', T.AXFR, AXFR);
    for (let query = 0; query < AT_ONCE; query++) {
      ask(same);
      ask(other);
    }
    await done.promise;
    same.socket.destroy();
    other.socket.destroy();
    expect(counts.messages).toBeGreaterThan(50);
    // How many more there are depends on how often this process gets a turn.
    expect(counts.same).toBeGreaterThanOrEqual(AT_ONCE);
    expect(counts.other).toBeGreaterThanOrEqual(AT_ONCE);
  });
});
