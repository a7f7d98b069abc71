/**
 * Steered names of a signed zone while VIPs drain, fail, come back and ramp, and while the server restarts, through a
 * validating resolver that caches by client subnet: no answer is ever bogus. PHAROS_DNSSEC_SECONDS=300 runs for so long
 * (docs/conformance.md#signed-zones).
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { subnetOption, T } from '../support/message.ts';
import { TEST_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, has, run, serve, type Served } from '../support/process.ts';
import { createDice, printedSeed } from '../support/random.ts';
import { anchorsIn, startResolver } from '../support/validating-resolver.ts';

const SECONDS = Number(process.env['PHAROS_DNSSEC_SECONDS'] ?? 6);

const ZONE = `
zone: example.com
dnssec: true
nameservers: [ns1]
soa: { expire: 4d, negative_ttl: 2s }
records:
  ns1: { A: 192.0.2.53 }
services:
  www:
    answers: 2
    ttl: { min: 1, max: 5 }
    vips:
      kr: { A: 192.0.2.11, AAAA: "2001:db8::11", region: kr }
      us: { A: 192.0.2.12, region: us }
      de: { A: 192.0.2.13, AAAA: "2001:db8::13", region: de }
    steer: [{ geo: { KR: kr, US: us, default: [de, kr] } }]
  few: { answers: all, ttl: 1, vips: { a: { A: 192.0.2.21 }, b: { A: 192.0.2.22 } }, steer: [weighted], when_all_down: none }
  one: { ttl: 1, vips: { a: { A: 192.0.2.31, AAAA: "2001:db8::31" } }, when_all_down: none }
`;

/** Services whose checks fail and pass at random: with a ramp, and with TTLs by what is known of their VIPs. */
const probed = (ports: readonly number[]): string => {
  const vips = ports.map((port, at) => `v${at}: { A: 192.0.2.${41 + at}, AAAA: "2001:db8::${41 + at}", probe: "127.0.0.1:${port}" }`); // prettier-ignore
  const check = '{ type: http, interval: 200ms, fast: 100ms, timeout: 1s, rise: 1, fall: 1 }';
  return `  hot: { answers: 2, ttl: { min: 1, max: 5 }, ramp: 2s, check: ${check}, vips: { ${vips.join(', ')} }, steer: [weighted], when_all_down: none }
  cold: { answers: all, ttl: { min: 1, max: 5 }, check: ${check}, vips: { ${vips.slice(0, 2).join(', ')} }, when_all_down: { A: 198.51.100.9 } }
`;
};

const NAMES = ['hot', 'cold', 'hou', 'www', 'few', 'one', 'onf', 'nope', 'fe', 'x.www', 'ns1'];
const TARGETS = ['www.example.com/kr', 'www.example.com/us', 'www.example.com/de', 'few.example.com/a', 'few.example.com/b', 'one.example.com/a']; // prettier-ignore
const CLIENTS = [[192, 0, 2, 1], [198, 51, 100, 1], [203, 0, 113, 1]]; // prettier-ignore

/** An HTTP server that a check probes: 503 while it is not well. */
async function startTarget() {
  const target = { isWell: true, port: 0, stop: (): Promise<unknown> => Promise.resolve() };
  const server = createServer((_, response) => response.writeHead(target.isWell ? 200 : 503).end()).listen(0, '127.0.0.1'); // prettier-ignore
  await once(server, 'listening');
  target.port = (server.address() as AddressInfo).port;
  target.stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return target;
}

describe.skipIf(!has('unbound'))('steered names of a signed zone', () => {
  test(
    `through a cache by client subnet, ${SECONDS} s long: never bogus`,
    { timeout: TEST_MS + SECONDS * 2000 },
    async () => {
      const dice = createDice(printedSeed('steered'));
      const port = await freePort();
      const targets = await Promise.all([0, 1, 2].map(startTarget));
      await using _ = {
        [Symbol.asyncDispose]: async () => {
          await Promise.all(targets.map(({ stop }) => stop()));
        },
      };
      using folder = folderOf({
        ...NO_GEOGRAPHY,
        'pharos.yaml': `listen: 127.0.0.1:${port}\nhealth: { suspect: 100% }\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { databases: [small.mmdb], networks: { 198.51.100.0/24: US } }\nregions: { kr: {}, us: {}, de: {} }\n`,
        'zones/example.com.yaml': `${ZONE}${probed(targets.map((target) => target.port))}`,
      });
      let pharos: Served = await serve(['pharos.yaml'], { cwd: folder.path });
      try {
        const anchors = anchorsIn(join(folder.path, 'state', 'keys'));
        const stub = { zone: 'example.com', ports: [port], anchors };
        await using resolver = await startResolver([stub], {
          modules: 'subnetcache validator iterator',
          more: ['send-client-subnet: 127.0.0.1', 'client-subnet-always-forward: yes', 'aggressive-nsec: yes'],
        });
        const change = async (): Promise<void> => {
          if (dice.chance(0.4)) {
            for (const target of targets) target.isWell = dice.chance(0.6);
            return;
          }
          const state = dice.pick(['drain', 'down', 'up', 'auto', 'auto']);
          const path = `${pharos.api}/api/v1/overrides/${dice.pick(TARGETS)}`;
          const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
          const init = state === 'auto' ? { method: 'DELETE' } : { method: 'PUT', body: JSON.stringify({ state }) };
          const { status } = await fetch(path, { ...init, headers });
          // Clearing what is not set is not an error here.
          expect(status === 404 ? 200 : Math.floor(status / 100) * 100).toBe(200);
        };
        const seen = { secure: 0, restarts: 0, denied: 0, sets: new Set<string>() };
        // Checks failed: fewer than all VIPs were served.
        const coldSets = (): number => [...seen.sets].filter((set) => set.startsWith('cold.')).length;
        const end = performance.now() + SECONDS * 1000;
        let restartAt = performance.now() + (SECONDS * 1000) / 2;
        let changeAt = 0;
        // On a busy machine the time is over before enough was seen.
        const isEnough = (): boolean => seen.restarts > 0 && seen.sets.size > 12 && coldSets() > 1;
        while (performance.now() < end || !isEnough()) {
          if (performance.now() > restartAt) {
            await pharos.stop(dice.pick(['SIGTERM', 'SIGKILL']));
            pharos = await serve(['pharos.yaml'], { cwd: folder.path });
            await eventually(() => resolver.ask('ns1.example.com.', T.A).then(({ rcode }) => rcode, () => -1), (rcode) => rcode === 0); // prettier-ignore
            seen.restarts++;
            restartAt = performance.now() + dice.below(20_000) + 5000;
          }
          // Long enough for the caches to fill, and short beside their TTLs.
          if (performance.now() > changeAt) {
            await change();
            changeAt = performance.now() + dice.below(300);
          }
          const [name, type] = [`${dice.pick(NAMES)}.example.com.`, dice.pick([T.A, T.A, T.AAAA, T.TXT])];
          const client = Uint8Array.from(dice.pick(CLIENTS));
          const message = await resolver.ask(name, type, dice.chance(0.7) ? [subnetOption(client, 24)] : []);
          expect([name, type, message.rcode === 0 || message.rcode === 3, message.isSecure], resolver.log()).toEqual([name, type, true, true]); // prettier-ignore
          seen.secure++;
          if (message.answer.length === 0 && /^(?:one|few|hot)\./.test(name) && type === T.A) seen.denied++;
          seen.sets.add(`${name} ${message.answer.filter((each) => each.type === type).map(({ data }) => data).sort().join(' ')}`); // prettier-ignore
        }
        console.log(`steered: ${seen.secure} answers, ${seen.sets.size} sets, ${seen.denied} without data, ${seen.restarts} restarts`); // prettier-ignore
        expect(resolver.log()).not.toContain('validation failure');
      } finally {
        await pharos.stop('SIGKILL');
      }
    },
  );

  test('an aggressive resolver denies a steered name no longer than the negative TTL after a drain', async () => {
    const port = await freePort();
    using folder = folderOf({
      ...NO_GEOGRAPHY,
      'pharos.yaml': `listen: 127.0.0.1:${port}\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { databases: [small.mmdb], networks: { 198.51.100.0/24: US } }\nregions: { kr: {}, us: {}, de: {} }\n`,
      'zones/example.com.yaml': ZONE,
    });
    await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
    const anchors = anchorsIn(join(folder.path, 'state', 'keys'));
    const stub = { zone: 'example.com', ports: [port], anchors };
    await using resolver = await startResolver([stub], { more: ['aggressive-nsec: yes'] });
    const set = async (command: string): Promise<void> => {
      const done = await run([command, 'one.example.com/a', '--api', pharos.api, '--token', 'secret'], {
        cwd: folder.path,
      });
      expect(done.code).toBe(0);
    };
    const addresses = async (): Promise<number> => {
      const message = await resolver.ask('one.example.com.', T.A);
      expect(message.isSecure).toBe(true);
      return message.answer.filter(({ type }) => type === T.A).length;
    };
    // The resolver has the NSEC of the name, which lists A, from a neighbour that does not exist.
    expect((await resolver.ask('onf.example.com.', T.A)).rcode).toBe(3);
    expect(await addresses()).toBe(1);
    await set('down');
    await eventually(addresses, (count) => count === 0);
    // Now it has the NSEC without A. The neighbour is denied with it, and the name comes back after its TTL.
    expect((await resolver.ask('ong.example.com.', T.A)).isSecure).toBe(true);
    await set('auto');
    await eventually(addresses, (count) => count === 1);
    expect(resolver.log()).not.toContain('validation failure');
  });
});
